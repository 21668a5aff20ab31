"""The compiled loops of the forward and the backward pass over time. See `layout` for the arrays.

Arrays of numbers are passed as addresses, which the loops only pass on, so the loops are compiled once for all types;
a missing array is 0. `leaves` are the addresses of the compiled functions `LEAVES`, followed by the cell's step.
`shape` is a `layout.Shape`; `planes_of` and `groups` are those of the cell. `sizes` (T,) are the batch sizes and
`offsets` (T,) their sums over the previous steps. `stride` is the distance between rows of x, of the output and of its
gradient; `step` is the distance between steps, or -1 if they are packed.
"""

from __future__ import annotations

from .leaf import compiled, inlined, invoke
from .packing import pack, pack_back, unpack
from .product import add, copy, fill, multiply, take

LEAVES = (multiply, copy, add, fill, take, pack, pack_back, unpack)
MULTIPLY, COPY, ADD, FILL, TAKE, PACK, PACK_BACK, UNPACK, STEP = range(len(LEAVES) + 1)


@compiled
def forward(
    leaves, x, x_step, x_stride, h0, c0, W, U, b, d, weight, inputs, cells, gates, fresh, fresh_c,
    output, out_step, out_stride, h_last, c_last, sizes, offsets, keep, reverse, planes_of, groups, shape,
):  # fmt: skip
    """Run a cell over a sequence in one direction.

    `cells` (N, units) are the c before each step of an LSTM. Without `keep`, `inputs`, `gates` and `cells` have room
    for the rows of two steps only.
    """
    features, hidden, units, input_stride, gate_stride, _ = shape[:6]
    steps = len(sizes)
    _pack(leaves, W, U, b, d, weight, planes_of, shape)
    last, step = (0, -1) if reverse else (steps - 1, 1)
    t = steps - 1 - last
    slot = offsets[t] if keep else 0
    _start(leaves, inputs, slot * input_stride, input_stride, h0, hidden, units, 0, sizes[t])
    if c0 != 0:
        _start(leaves, cells, slot * units, units, c0, hidden, units, 0, sizes[t])
    for _ in range(steps):
        rows, inputs_at, gates_at = sizes[t], slot * input_stride, slot * gate_stride
        at = offsets[t] * x_stride if x_step < 0 else t * x_step
        invoke(leaves[TAKE], inputs, inputs_at + units, input_stride, x, at, x_stride, rows, features)
        _sums(leaves, gates, gates_at, inputs, inputs_at, weight, len(planes_of), groups, shape, rows)
        invoke(
            leaves[STEP], gates, gates_at, gate_stride, inputs, inputs_at, input_stride, cells, slot * units,
            fresh, fresh_c, units, rows,
        )  # fmt: skip
        at = offsets[t] * out_stride if out_step < 0 else t * out_step
        invoke(leaves[COPY], output, at, out_stride, fresh, 0, units, rows, hidden)
        wanted = 0
        if t != last:
            wanted = sizes[t + step]
            slot = offsets[t + step] if keep else sizes[0] - slot
            _hand_on(leaves, inputs, slot * input_stride, input_stride, fresh, h0, hidden, units, rows, wanted)
            if c0 != 0:
                _hand_on(leaves, cells, slot * units, units, fresh_c, c0, hidden, units, rows, wanted)
        if wanted < rows:
            _end(leaves, h_last, fresh, hidden, units, wanted, rows)
            if c0 != 0:
                _end(leaves, c_last, fresh_c, hidden, units, wanted, rows)
        t += step


@inlined
def _pack(leaves, W, U, b, d, weight, planes_of, shape):
    """Pack the weights into `weight`."""
    features, hidden, units = shape[:3]
    for plane in range(len(planes_of)):
        to, i, h = plane * units * (units + 1 + features), planes_of[plane, 0] * hidden, planes_of[plane, 1] * hidden
        invoke(leaves[PACK], weight, to, W, U, b, d, i, h, b != 0, features, hidden, units)


@compiled
def pack_all(leaves, W, U, b, d, weight, planes_of, shape):
    """Pack the weights into `weight`, for `one_step`."""
    _pack(leaves, W, U, b, d, weight, planes_of, shape)


@inlined
def _sums(leaves, gates, gates_at, inputs, inputs_at, weight, planes, groups, shape, rows):
    """Set all planes of a step to the products of their columns of the inputs with the weights."""
    features, hidden, units, input_stride, gate_stride, lanes = shape[:6]
    depth = units + 1 + features
    for group in range(len(groups)):
        plane, of_group, first, end = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
        invoke(
            leaves[MULTIPLY], gates, gates_at + plane * units, gate_stride, inputs, inputs_at + first, input_stride, 1,
            weight, plane * units * depth + first * lanes, depth * lanes, lanes,
            rows, of_group * units // lanes, end - first, 0,
        )  # fmt: skip
    if hidden < units:  # in the padding, an infinite input times a zero weight is NaN
        for plane in range(planes):
            invoke(leaves[FILL], gates, gates_at + plane * units, gate_stride, rows, hidden, units, 0)


@inlined
def _start(leaves, target, at, stride, state, hidden, units, begin, end):
    """Write rows `begin` to `end` of an initial state (B, H), with padding, to the block of a step."""
    invoke(leaves[COPY], target, at + begin * stride, stride, state, begin * hidden, hidden, end - begin, hidden)
    invoke(leaves[FILL], target, at + begin * stride, stride, end - begin, hidden, units, 0)


@inlined
def _hand_on(leaves, target, at, stride, fresh, start, hidden, units, rows, wanted):
    """Copy the state after a step to the next step; rows that begin at the next step get their initial state."""
    invoke(leaves[COPY], target, at, stride, fresh, 0, units, min(rows, wanted), units)
    if wanted > rows:
        _start(leaves, target, at, stride, start, hidden, units, rows, wanted)


@inlined
def _end(leaves, last, fresh, hidden, units, begin, end):
    """Write the final state of rows `begin` to `end` to `last` (B, H)."""
    invoke(leaves[COPY], last, begin * hidden, hidden, fresh, begin * units, units, end - begin, hidden)


@compiled
def one_step(leaves, x, x_stride, weight, inputs, cells, gates, fresh, fresh_c, planes, groups, shape, rows):
    """Take one step in place: `inputs` (B, units + 1 + D) has h, `cells` has c; `fresh` (B, units) gets the new h."""
    features, _, units, input_stride, gate_stride, _ = shape[:6]
    invoke(leaves[TAKE], inputs, units, input_stride, x, 0, x_stride, rows, features)
    _sums(leaves, gates, 0, inputs, 0, weight, planes, groups, shape, rows)
    invoke(leaves[STEP], gates, 0, gate_stride, inputs, 0, input_stride, cells, 0, fresh, fresh_c, units, rows)
    invoke(leaves[COPY], inputs, 0, input_stride, fresh, 0, units, rows, units)
    if cells != 0:
        invoke(leaves[COPY], cells, 0, units, fresh_c, 0, units, rows, units)


@compiled
def backward(
    leaves, grad_output, grad_step, grad_stride, carried, carried_c, W, U, weight_back, inputs, cells, gates,
    grads, capacity, grad_weight, grad_W, grad_U, grad_b, grad_d, grad_x, sizes, offsets, reverse,
    planes_of, groups, shape,
):  # fmt: skip
    """Run the backward pass of `forward`.

    `carried` (B, units) starts as the gradient of the final state and becomes that of the initial state; rows without
    the current step do not change. The gradients of the sums are collected for a block of steps in `grads`, which has
    `capacity` rows; two large products then give the gradients of the weights and of x.
    """
    features, hidden, units, input_stride, stride, lanes, h_first, h_last, x_last = shape
    steps, planes = len(sizes), len(planes_of)
    column, x_vectors = planes * units * lanes, (features + lanes - 1) // lanes
    for plane in range(planes):
        i, h, to = planes_of[plane, 0] * hidden, planes_of[plane, 1] * hidden, plane * units * lanes
        invoke(leaves[PACK_BACK], weight_back, to, column, U, h * hidden, hidden, hidden, units)
        if grad_x != 0:
            to += units // lanes * column
            invoke(leaves[PACK_BACK], weight_back, to, column, W, i * features, hidden, features, units)
    filled, lowest = 0, 0  # the number of filled rows of `grads`, and the row of `inputs` that the first belongs to
    for n in range(steps):
        t = n if reverse else steps - 1 - n
        rows, slot = sizes[t], offsets[t]
        lowest = slot if filled == 0 or not reverse else lowest
        to = (filled if reverse else capacity - filled - rows) * stride  # in the order of time
        if grad_output != 0:
            at = slot * grad_stride if grad_step < 0 else t * grad_step
            invoke(leaves[ADD], carried, 0, units, grad_output, at, grad_stride, rows, hidden)
        invoke(
            leaves[STEP], gates, slot * stride, stride, inputs, slot * input_stride, input_stride, cells, slot * units,
            grads, to, carried, carried_c, units, rows,
        )  # fmt: skip
        invoke(
            leaves[MULTIPLY], carried, 0, units, grads, to + h_first * units, stride, 1,
            weight_back, h_first * units * lanes, column, lanes,
            rows, units // lanes, (h_last - h_first) * units, h_first,  # for a GRU, add to the gradient through z
        )  # fmt: skip
        filled += rows
        if n == steps - 1 or filled + sizes[n + 1 if reverse else t - 1] > capacity:
            to = 0 if reverse else (capacity - filled) * stride
            if grad_weight != 0:
                for group in range(len(groups)):
                    plane, of_group, first, end = groups[group, 0], groups[group, 1], groups[group, 2], groups[group, 3]
                    invoke(
                        leaves[MULTIPLY], grad_weight, first * stride + plane * units, stride,
                        inputs, lowest * input_stride + first, 1, input_stride,
                        grads, to + plane * units, lanes, stride,
                        (end - first + 3) // 4 * 4, of_group * units // lanes, filled, 1,  # whole tiles
                    )  # fmt: skip
            if grad_x != 0:
                invoke(
                    leaves[MULTIPLY], grad_x, lowest * x_vectors * lanes, x_vectors * lanes, grads, to, stride, 1,
                    weight_back, units // lanes * column, column, lanes, filled, x_vectors, x_last * units, 0,
                )  # fmt: skip
            filled = 0
    if grad_weight != 0:
        for plane in range(planes):
            i, h = planes_of[plane, 0] * hidden, planes_of[plane, 1] * hidden
            invoke(
                leaves[UNPACK], grad_weight, plane * units, stride, grad_W, grad_U, grad_b, grad_d, i, h, grad_b != 0,
                features, hidden, units,
            )  # fmt: skip
