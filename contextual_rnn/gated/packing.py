"""Copy weights between PyTorch's layout and that of the compiled loops, one plane at a time; see `layout`.

`i` and `h` are the first rows of a plane's gate in W (G H, D) and in U (G H, H); -1 if the plane has none.
"""

from __future__ import annotations

from .lanes import lane_count, load, store
from .leaf import leaf


@leaf("weight W U b d")
def pack(weight, at, W, U, b, d, i, h, has_bias, features, hidden, units):
    """Write a plane of `weight` (units / lanes, units + 1 + D, lanes)."""
    lanes, depth = lane_count(weight), units + 1 + features
    for n in range(units * depth):
        weight[at + n] = 0
    for unit in range(hidden):
        to = at + unit // lanes * depth * lanes + unit % lanes
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


@leaf("weight source")
def pack_back(weight, to, depth, source, start, rows, columns, units):
    """Write a plane of `weight_back` (columns rounded up / lanes, units, lanes), whose columns are `depth` apart.

    The source is (rows, columns). If `start` is negative, there is no source and the plane is zero.
    """
    lanes = lane_count(weight)
    for column in range(0, columns, lanes):
        for n in range(units * lanes):
            weight[to + n] = 0
        whole = column + lanes <= columns
        for row in range(rows if start >= 0 else 0):
            if whole:
                store(weight, to + row * lanes, load(source, start + row * columns + column))
            else:
                for k in range(column, columns):
                    weight[to + row * lanes + k - column] = source[start + row * columns + k]
        to += depth


@leaf("grad W U b d")
def unpack(grad, at, stride, W, U, b, d, i, h, has_bias, features, hidden, units):
    """Write the gradients W, U, b and d from a plane of `grad` (units + 1 + D, units), with rows `stride` apart."""
    bias = at + units * stride
    for first in range(0, hidden, 8):  # eight rows at a time, so that few cache lines are in use
        end = min(first + 8, hidden)
        if h >= 0:
            for k in range(hidden):
                for unit in range(first, end):
                    U[(h + unit) * hidden + k] = grad[at + k * stride + unit]
        if i >= 0:
            for k in range(features):
                for unit in range(first, end):
                    W[(i + unit) * features + k] = grad[bias + (1 + k) * stride + unit]
    if has_bias:
        for unit in range(hidden):
            if h >= 0:
                d[h + unit] = grad[bias + unit]
            if i >= 0:
                b[i + unit] = grad[bias + unit]
