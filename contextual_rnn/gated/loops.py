"""The compiled loops forward and back over time. See `layout` for the arrays.

All arrays are flat. `leaves` are addresses of compiled functions: those of `product.PRODUCTS`, then the cell's step.
`shape` is a `layout.Shape`, `groups` its groups. `sizes` (T,) are the batch sizes; `slots` (T,) the row of `inputs` and
`gates` at which each step's block starts; `places` (T,) the positions of each step's first row in x, in the output and
in its gradient, whose rows are `stride` apart.
"""

from __future__ import annotations

import numpy as np

from .lanes import lane_count
from .leaf import call, compiled, inlined

MULTIPLY, COPY, ADD, FILL, TAKE, STEP = range(6)


@compiled
def forward(leaves, x, x_places, x_stride, h0, c0, weight, inputs, cells, gates, output, out_places, out_stride,
            h_last, c_last, sizes, slots, reverse, groups, shape):  # fmt: skip
    """Run a cell over a sequence in one direction; `cells` (N, units) are the c that an LSTM's steps start from."""
    features, hidden, units, input_stride, gate_stride, _, _, _, _ = shape
    steps = len(sizes)
    fresh, fresh_c = np.empty(sizes[0] * units, x.dtype), np.empty(sizes[0] * units, x.dtype)
    last, step = (0, -1) if reverse else (steps - 1, 1)
    t = steps - 1 - last
    _start(leaves, inputs, slots[t] * input_stride, input_stride, h0, shape, 0, sizes[t])
    if len(cells):
        _start(leaves, cells, slots[t] * units, units, c0, shape, 0, sizes[t])
    for _ in range(steps):
        rows, inputs_at, gates_at = sizes[t], slots[t] * input_stride, slots[t] * gate_stride
        call(leaves[TAKE], inputs, inputs_at + units, input_stride, x, x_places[t], x_stride, rows, features)
        _sums(leaves, gates, gates_at, inputs, inputs_at, weight, groups, shape, rows)
        call(
            leaves[STEP], gates, gates_at, gate_stride, inputs, inputs_at, input_stride, cells, slots[t] * units,
            fresh, fresh_c, units, rows,
        )  # fmt: skip
        call(leaves[COPY], output, out_places[t], out_stride, fresh, 0, units, rows, hidden)
        wanted = np.int64(0)
        if t != last:
            wanted, slot = sizes[t + step], slots[t + step]
            _hand_on(leaves, inputs, slot * input_stride, input_stride, fresh, h0, shape, rows, wanted)
            if len(cells):
                _hand_on(leaves, cells, slot * units, units, fresh_c, c0, shape, rows, wanted)
        if wanted < rows:
            _end(leaves, h_last, fresh, shape, wanted, rows)
            if len(cells):
                _end(leaves, c_last, fresh_c, shape, wanted, rows)
        t += step


@inlined
def _sums(leaves, gates, gates_at, inputs, inputs_at, weight, groups, shape, rows):
    """Set all planes of a step to the products of their columns of the inputs with the weights."""
    features, hidden, units, input_stride, gate_stride, planes, _, _, _ = shape
    depth, lanes = units + 1 + features, lane_count(gates)
    for group in range(len(groups)):
        plane, of_group, first, end = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        call(
            leaves[MULTIPLY], gates, gates_at + plane * units, gate_stride, inputs, inputs_at + first, input_stride, 1,
            weight, plane * units * depth + first * lanes, depth * lanes, lanes,
            rows, of_group * units // lanes, end - first, 0,
        )  # fmt: skip
    if hidden < units:  # in the padding, an infinite input times a zero weight is NaN
        for plane in range(planes):
            call(leaves[FILL], gates, gates_at + plane * units, gate_stride, rows, hidden, units, 0)


@inlined
def _start(leaves, target, at, stride, state, shape, begin, end):
    """Write rows `begin` to `end` of an initial state (B, H) to a step's block, padding included."""
    call(leaves[COPY], target, at + begin * stride, stride, state, begin * shape[1], shape[1], end - begin, shape[1])
    call(leaves[FILL], target, at + begin * stride, stride, end - begin, shape[1], shape[2], 0)


@inlined
def _hand_on(leaves, target, at, stride, fresh, start, shape, rows, wanted):
    """Give the state after a step to the following one; rows that are not alive yet start there."""
    call(leaves[COPY], target, at, stride, fresh, 0, shape[2], min(rows, wanted), shape[2])
    if wanted > rows:
        _start(leaves, target, at, stride, start, shape, rows, wanted)


@inlined
def _end(leaves, last, fresh, shape, begin, end):
    """Write the final state of rows `begin` to `end` to `last` (B, H)."""
    call(leaves[COPY], last, begin * shape[1], shape[1], fresh, begin * shape[2], shape[2], end - begin, shape[1])


@compiled
def backward(leaves, grad_output, grad_places, grad_stride, has_output, carried, carried_c, weight_back, inputs, cells,
             gates, grads, grad_weight, has_weight, grad_x, has_x, sizes, slots, reverse, groups, shape):  # fmt: skip
    """Go back over what `forward` did.

    `carried` (B, units) starts as the gradient of the final state and ends as that of the initial state: rows that are
    not alive at a step keep theirs. The gradients of the sums are collected in `grads` for a block of steps, from which
    two large products then give those of the weights and of x.
    """
    features, hidden, units, input_stride, stride, planes, h_first, h_last, x_last = shape
    steps, capacity, lanes, width = len(sizes), len(grads) // stride, lane_count(carried), planes * units
    x_vectors = (features + lanes - 1) // lanes
    filled, lowest = 0, 0  # rows of `grads` that are filled in, and the row of `inputs` that the lowest belongs to
    for i in range(steps):
        t = i if reverse else steps - 1 - i
        rows, inputs_at, gates_at = sizes[t], slots[t] * input_stride, slots[t] * stride
        lowest = slots[t] if filled == 0 or not reverse else lowest
        to = (filled if reverse else capacity - filled - rows) * stride  # in the order of slots
        if has_output:
            call(leaves[ADD], carried, 0, units, grad_output, grad_places[t], grad_stride, rows, hidden)
        call(
            leaves[STEP], gates, gates_at, stride, inputs, inputs_at, input_stride, cells, slots[t] * units,
            grads, to, carried, carried_c, units, rows,
        )  # fmt: skip
        call(
            leaves[MULTIPLY], carried, 0, units, grads, to + h_first * units, stride, 1,
            weight_back, h_first * units * lanes, width * lanes, lanes,
            rows, units // lanes, (h_last - h_first) * units, h_first,  # a GRU's h has a gradient through z already
        )  # fmt: skip
        filled += rows
        if i == steps - 1 or filled + sizes[i + 1 if reverse else t - 1] > capacity:
            to = 0 if reverse else (capacity - filled) * stride
            if has_weight:
                for group in range(len(groups)):
                    plane, of_group, first, end = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
                    call(
                        leaves[MULTIPLY], grad_weight, first * stride + plane * units, stride,
                        inputs, lowest * input_stride + first, 1, input_stride,
                        grads, to + plane * units, lanes, stride,
                        (end - first + 3) // 4 * 4, of_group * units // lanes, filled, 1,  # whole tiles
                    )  # fmt: skip
            if has_x:
                call(
                    leaves[MULTIPLY], grad_x, lowest * x_vectors * lanes, x_vectors * lanes, grads, to, stride, 1,
                    weight_back, units * width, width * lanes, lanes, filled, x_vectors, x_last * units, 0,
                )  # fmt: skip
            filled = 0


@compiled
def one_step(leaves, x, x_stride, weight, inputs, cells, gates, fresh, fresh_c, groups, shape, rows):
    """Take one step in place: `inputs` (B, units + 1 + D) has h, `cells` c; `fresh` (B, units) is left the new h."""
    features, _, units, input_stride, gate_stride, _, _, _, _ = shape
    call(leaves[TAKE], inputs, units, input_stride, x, 0, x_stride, rows, features)
    _sums(leaves, gates, 0, inputs, 0, weight, groups, shape, rows)
    call(leaves[STEP], gates, 0, gate_stride, inputs, 0, input_stride, cells, 0, fresh, fresh_c, units, rows)
    call(leaves[COPY], inputs, 0, input_stride, fresh, 0, units, rows, units)
    if len(cells):
        call(leaves[COPY], cells, 0, units, fresh_c, 0, units, rows, units)
