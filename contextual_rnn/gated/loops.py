"""The compiled loops over time: one forward and one backward function for each cell. See `layout` for the arrays.

All arrays are flat. `shape` is a `layout.Shape`. `sizes` (T,) are the batch sizes; `slots` (T,) the row of `inputs` and
`gates` at which each step's block starts; `places` the positions of each step's first row in x, in the output and in
its gradient, whose rows are `stride` apart.
"""

from __future__ import annotations

import numpy as np

from .cells import gru_step, gru_step_backward, lstm_step, lstm_step_backward, rnn_step, rnn_step_backward
from .lanes import lane_count, load, store
from .product import compiled, copy, multiply


@compiled
def _start(target, at, stride, state, shape, begin, end):
    """Write rows `begin` to `end` of an initial state (B, H) to a step's block, padding included."""
    _, hidden, units, _, _, _ = shape
    for row in range(begin, end):
        to = at + row * stride
        copy(target, to, state, row * hidden, hidden)
        for j in range(hidden, units):
            target[to + j] = 0


@compiled
def _hand_on(fresh, target, stride, state, last, sizes, slots, t, following, shape):
    """Give the state after step t to the following step, or to `last` (B, H) where a row ends."""
    _, hidden, units, _, _, _ = shape
    rows, wanted = sizes[t], 0
    if 0 <= following < len(sizes):
        wanted = sizes[following]
    for row in range(min(rows, wanted)):
        to = (slots[following] + row) * stride
        for j in range(0, units, lane_count(fresh)):
            store(target, to + j, load(fresh, row * units + j))
    if wanted > rows:
        _start(target, slots[following] * stride, stride, state, shape, rows, wanted)
    for row in range(wanted, rows):
        copy(last, row * hidden, fresh, row * units, hidden)


@compiled
def _take_inputs(inputs, slot, x, place, x_stride, shape, rows):
    features, _, units, stride, _, _ = shape
    for row in range(rows):
        to = (slot + row) * stride + units
        inputs[to] = 1
        copy(inputs, to + 1, x, place + row * x_stride, features)


@compiled
def _give_output(output, place, stride, fresh, shape, rows):
    _, hidden, units, _, _, _ = shape
    for row in range(rows):
        copy(output, place + row * stride, fresh, row * units, hidden)


@compiled
def _sum(gates, inputs, weight, slot, shape, rows, plane, planes, first, last):
    """Set planes to the product of columns `first` to `last` of the inputs with their weights."""
    features, _, units, input_stride, gate_stride, _ = shape
    lanes, depth = lane_count(gates), units + 1 + features
    multiply(
        gates, slot * gate_stride + plane * units, gate_stride,
        inputs, slot * input_stride + first, input_stride, 1,
        weight, plane * units * depth + first * lanes, depth * lanes, lanes,
        rows, planes * units // lanes, last - first, False,
    )  # fmt: skip


@compiled
def _clear_padding(gates, slot, shape, rows):
    """Zero the padding of the sums, where an infinite input times a zero weight is NaN."""
    _, hidden, units, _, stride, planes = shape
    if hidden < units:
        for row in range(slot, slot + rows):
            for plane in range(planes):
                for j in range(hidden, units):
                    gates[row * stride + plane * units + j] = 0


@compiled
def gru_forward(x, x_places, x_stride, h0, weight, inputs, gates, output, out_places, out_stride, h_last,
                sizes, slots, reverse, shape):  # fmt: skip
    """Run a GRU over a sequence in one direction."""
    features, _, units, input_stride, gate_stride, _ = shape
    steps, depth = len(sizes), units + 1 + features
    fresh = np.empty(np.max(sizes) * units, x.dtype)
    first = steps - 1 if reverse else 0
    _start(inputs, slots[first] * input_stride, input_stride, h0, shape, 0, sizes[first])
    for i in range(steps):
        t, following = (steps - 1 - i, steps - 2 - i) if reverse else (i, i + 1)
        slot, rows = slots[t], sizes[t]
        _take_inputs(inputs, slot, x, x_places[t], x_stride, shape, rows)
        _sum(gates, inputs, weight, slot, shape, rows, 0, 1, units, depth)
        _sum(gates, inputs, weight, slot, shape, rows, 1, 2, 0, depth)
        _sum(gates, inputs, weight, slot, shape, rows, 3, 1, 0, units + 1)
        _clear_padding(gates, slot, shape, rows)
        gru_step(gates, slot * gate_stride, gate_stride, inputs, slot * input_stride, input_stride, fresh, units, rows)
        _hand_on(fresh, inputs, input_stride, h0, h_last, sizes, slots, t, following, shape)
        _give_output(output, out_places[t], out_stride, fresh, shape, rows)


@compiled
def lstm_forward(x, x_places, x_stride, h0, c0, weight, inputs, cells, gates, output, out_places, out_stride,
                 h_last, c_last, sizes, slots, reverse, shape):  # fmt: skip
    """Run an LSTM over a sequence in one direction; `cells` (N, units) are the c that the steps start from."""
    features, _, units, input_stride, gate_stride, _ = shape
    steps, depth = len(sizes), units + 1 + features
    fresh, fresh_c = np.empty(np.max(sizes) * units, x.dtype), np.empty(np.max(sizes) * units, x.dtype)
    first = steps - 1 if reverse else 0
    _start(inputs, slots[first] * input_stride, input_stride, h0, shape, 0, sizes[first])
    _start(cells, slots[first] * units, units, c0, shape, 0, sizes[first])
    for i in range(steps):
        t, following = (steps - 1 - i, steps - 2 - i) if reverse else (i, i + 1)
        slot, rows = slots[t], sizes[t]
        _take_inputs(inputs, slot, x, x_places[t], x_stride, shape, rows)
        _sum(gates, inputs, weight, slot, shape, rows, 0, 4, 0, depth)
        _clear_padding(gates, slot, shape, rows)
        lstm_step(gates, slot * gate_stride, gate_stride, cells, slot * units, fresh, fresh_c, units, rows)
        _hand_on(fresh, inputs, input_stride, h0, h_last, sizes, slots, t, following, shape)
        _hand_on(fresh_c, cells, units, c0, c_last, sizes, slots, t, following, shape)
        _give_output(output, out_places[t], out_stride, fresh, shape, rows)


@compiled
def rnn_forward(x, x_places, x_stride, h0, weight, inputs, gates, output, out_places, out_stride, h_last,
                sizes, slots, reverse, shape, relu):  # fmt: skip
    """Run a plain RNN over a sequence in one direction."""
    features, _, units, input_stride, gate_stride, _ = shape
    steps, depth = len(sizes), units + 1 + features
    fresh = np.empty(np.max(sizes) * units, x.dtype)
    first = steps - 1 if reverse else 0
    _start(inputs, slots[first] * input_stride, input_stride, h0, shape, 0, sizes[first])
    for i in range(steps):
        t, following = (steps - 1 - i, steps - 2 - i) if reverse else (i, i + 1)
        slot, rows = slots[t], sizes[t]
        _take_inputs(inputs, slot, x, x_places[t], x_stride, shape, rows)
        _sum(gates, inputs, weight, slot, shape, rows, 0, 1, 0, depth)
        _clear_padding(gates, slot, shape, rows)
        rnn_step(gates, slot * gate_stride, gate_stride, relu, fresh, units, rows)
        _hand_on(fresh, inputs, input_stride, h0, h_last, sizes, slots, t, following, shape)
        _give_output(output, out_places[t], out_stride, fresh, shape, rows)
