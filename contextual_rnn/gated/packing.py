"""Compiled copies between the weights as PyTorch has them and as the loops read them; see `layout`."""

from __future__ import annotations

from .lanes import lane_count
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
    lanes, depth = lane_count(weight), planes * units
    weight[:] = 0
    for plane in range(planes):
        i, h = of_input[plane] * hidden, of_hidden[plane] * hidden
        for unit in range(hidden):
            row = (plane * units + unit) * lanes
            if h >= 0:
                for k in range(hidden):
                    weight[k // lanes * depth * lanes + row + k % lanes] = U[(h + unit) * hidden + k]
            if i >= 0 and has_x:
                for k in range(features):
                    weight[(units + k // lanes * lanes) * depth + row + k % lanes] = W[(i + unit) * features + k]


@compiled
def unpack(grad, W, U, b, d, has_bias, of_input, of_hidden, shape):
    """Fill in the gradients W, U, b and d of `grad` (units + 1 + D, P units), whose rows are `gate_stride` apart."""
    features, hidden, units, _, stride, planes, _, _, _ = shape
    for plane in range(planes):
        i, h = of_input[plane] * hidden, of_hidden[plane] * hidden
        for unit in range(hidden):
            column = plane * units + unit
            if h >= 0:
                for k in range(hidden):
                    U[(h + unit) * hidden + k] = grad[k * stride + column]
                if has_bias:
                    d[h + unit] = grad[units * stride + column]
            if i >= 0:
                for k in range(features):
                    W[(i + unit) * features + k] = grad[(units + 1 + k) * stride + column]
                if has_bias:
                    b[i + unit] = grad[units * stride + column]
