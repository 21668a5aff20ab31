"""Compiled copies between the weights as PyTorch has them and as the loops read them; see `layout`."""

from __future__ import annotations

from .lanes import lane_count, load, store
from .leaf import compiled


@compiled
def pack(weight, W, U, b, d, has_bias, of_input, of_hidden, shape):
    """Fill in `weight` (P units / lanes, units + 1 + D, lanes) of W (G H, D), U (G H, H), b and d (G H,)."""
    features, hidden, units, _, _, planes, _, _, _ = shape
    lanes, depth = lane_count(weight), units + 1 + features
    weight[:] = 0
    for plane in range(planes):
        i, h = of_input[plane] * hidden, of_hidden[plane] * hidden
        for first in range(0, hidden, lanes):
            column = (plane * units + first) // lanes * depth * lanes
            for lane in range(min(lanes, hidden - first)):
                unit, to = first + lane, column + lane
                if h >= 0:
                    for k in range(hidden):
                        weight[to + k * lanes] = U[(h + unit) * hidden + k]
                    if has_bias:
                        weight[to + units * lanes] += d[h + unit]
                if i >= 0:
                    for k in range(features):
                        weight[to + (units + 1 + k) * lanes] = W[(i + unit) * features + k]
                    if has_bias:
                        weight[to + units * lanes] += b[i + unit]


@compiled
def pack_back(weight, W, U, of_input, of_hidden, has_x, shape):
    """Fill in `weight_back` ((units + D rounded up) / lanes, P units, lanes)."""
    features, hidden, units, _, _, planes, _, _, _ = shape
    depth = planes * units * lane_count(weight)
    weight[:] = 0
    for plane in range(planes):
        i, h, row = of_input[plane] * hidden, of_hidden[plane] * hidden, plane * units * lane_count(weight)
        if h >= 0:
            _pack_columns(weight, row, depth, U, h * hidden, hidden, hidden)
        if i >= 0 and has_x:
            _pack_columns(weight, units // lane_count(weight) * depth + row, depth, W, i * features, hidden, features)


@compiled
def _pack_columns(weight, to, depth, source, start, rows, columns):
    """Copy a matrix, a column of registers after the other."""
    lanes = lane_count(weight)
    for column in range(0, columns - columns % lanes, lanes):
        for row in range(rows):
            store(weight, to + row * lanes, load(source, start + row * columns + column))
        to += depth
    for row in range(rows):
        for k in range(columns - columns % lanes, columns):
            weight[to + row * lanes + k % lanes] = source[start + row * columns + k]


@compiled
def unpack(grad, W, U, b, d, has_bias, of_input, of_hidden, shape):
    """Fill in the gradients W, U, b and d of `grad` (units + 1 + D, P units), whose rows are `gate_stride` apart."""
    features, hidden, units, _, stride, planes, _, _, _ = shape
    for plane in range(planes):
        i, h, column = of_input[plane] * hidden, of_hidden[plane] * hidden, plane * units
        if h >= 0:
            _transpose(U, h * hidden, grad, column, stride, hidden, hidden)
        if i >= 0:
            _transpose(W, i * features, grad, (units + 1) * stride + column, stride, hidden, features)
        for unit in range(hidden):
            if h >= 0 and has_bias:
                d[h + unit] = grad[units * stride + column + unit]
            if i >= 0 and has_bias:
                b[i + unit] = grad[units * stride + column + unit]


@compiled
def _transpose(target, to, source, start, stride, rows, columns):
    """Set target (rows, columns) to the transpose of the source, eight rows at a time, so that few lines are open."""
    for first in range(0, rows, 8):
        for k in range(columns):
            for row in range(first, min(first + 8, rows)):
                target[to + row * columns + k] = source[start + k * stride + row]
