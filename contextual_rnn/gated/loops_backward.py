"""The compiled loops back over time; see `layout` for the arrays and `loops` for the arguments.

`carried` (B, units) starts as the gradient of the final state and ends as that of the initial state: rows that are not
alive at a step keep theirs. The gradients of the sums are collected in `grads` for a block of steps, from which two
large products then give those of the weights and of x.
"""

from __future__ import annotations

import numpy as np

from .cells import gru_step_backward, lstm_step_backward, rnn_step_backward
from .lanes import lane_count, load, store
from .product import compiled, copy, multiply


@compiled
def _add_output_gradient(carried, grad_output, place, stride, shape, rows):
    _, hidden, units, _, _, _ = shape
    lanes = lane_count(carried)
    whole = hidden - hidden % lanes
    for row in range(rows):
        c, g = row * units, place + row * stride
        for j in range(0, whole, lanes):
            store(carried, c + j, load(carried, c + j) + load(grad_output, g + j))
        for j in range(whole, hidden):
            carried[c + j] += grad_output[g + j]


@compiled
def _carry(carried, grads, to, weight_back, shape, rows, first, last, add):
    """Set `carried` to the gradient of h through planes `first` to `last`, or add it where `add`."""
    _, _, units, _, stride, planes = shape
    lanes, depth = lane_count(carried), planes * units
    multiply(
        carried, 0, units, grads, to * stride + first * units, stride, 1,
        weight_back, first * units * lanes, depth * lanes, lanes,
        rows, units // lanes, (last - first) * units, add,
    )  # fmt: skip


@compiled
def _weights(grad_weight, inputs, grads, slot, to, rows, shape, plane, planes, first, last):
    """Add the gradient of the weights of columns `first` to `last` of the inputs for some planes."""
    _, _, units, input_stride, stride, _ = shape
    lanes = lane_count(grads)
    multiply(
        grad_weight, first * stride + plane * units, stride,
        inputs, slot * input_stride + first, 1, input_stride,
        grads, to * stride + plane * units, lanes, stride,
        last - first, planes * units // lanes, rows, True,
    )  # fmt: skip


@compiled
def _grad_x(grad_x, grads, slot, to, rows, weight_back, shape, planes):
    """Set the gradients of x (N, D rounded up to whole registers) of a block of steps, through the first planes."""
    features, _, units, _, stride, all_planes = shape
    lanes, depth = lane_count(grads), all_planes * units
    vectors = (features + lanes - 1) // lanes
    multiply(
        grad_x, slot * vectors * lanes, vectors * lanes, grads, to * stride, stride, 1,
        weight_back, units * depth, depth * lanes, lanes, rows, vectors, planes * units, False,
    )  # fmt: skip


@compiled
def _place(filled, first_slot, slot, rows, capacity, reverse):
    """Return where in `grads` a step goes: blocks follow the order of slots, which `reverse` goes up and else down."""
    return filled if reverse else capacity - filled - rows


@compiled
def gru_backward(grad_output, grad_places, grad_stride, has_output, carried, weight_back, inputs, gates, grads,
                 grad_weight, has_weight, grad_x, has_x, sizes, slots, reverse, shape):  # fmt: skip
    """Go back over what `gru_forward` did."""
    features, _, units, input_stride, stride, _ = shape
    steps, capacity, depth = len(sizes), len(grads) // stride, units + 1 + features
    filled, low = 0, 0
    for i in range(steps + 1):
        t = i if reverse else steps - 1 - i
        if i == steps or filled + sizes[t] > capacity:
            to = 0 if reverse else capacity - filled
            if has_weight:
                _weights(grad_weight, inputs, grads, low, to, filled, shape, 0, 1, units, depth)
                _weights(grad_weight, inputs, grads, low, to, filled, shape, 1, 2, 0, depth)
                _weights(grad_weight, inputs, grads, low, to, filled, shape, 3, 1, 0, units + 1)
            if has_x:
                _grad_x(grad_x, grads, low, to, filled, weight_back, shape, 3)
            filled = 0
            if i == steps:
                break
        slot, rows = slots[t], sizes[t]
        low = slot if filled == 0 or not reverse else low
        to = filled if reverse else capacity - filled - rows
        if has_output:
            _add_output_gradient(carried, grad_output, grad_places[t], grad_stride, shape, rows)
        gru_step_backward(
            gates, slot * stride, stride, inputs, slot * input_stride, input_stride, grads, to * stride, carried,
            units, rows,
        )  # fmt: skip
        _carry(carried, grads, to, weight_back, shape, rows, 1, 4, True)
        filled += rows


@compiled
def lstm_backward(grad_output, grad_places, grad_stride, has_output, carried, carried_c, weight_back, inputs, cells,
                  gates, grads, grad_weight, has_weight, grad_x, has_x, sizes, slots, reverse, shape):  # fmt: skip
    """Go back over what `lstm_forward` did."""
    features, _, units, input_stride, stride, _ = shape
    steps, capacity, depth = len(sizes), len(grads) // stride, units + 1 + features
    filled, low = 0, 0
    for i in range(steps + 1):
        t = i if reverse else steps - 1 - i
        if i == steps or filled + sizes[t] > capacity:
            to = 0 if reverse else capacity - filled
            if has_weight:
                _weights(grad_weight, inputs, grads, low, to, filled, shape, 0, 4, 0, depth)
            if has_x:
                _grad_x(grad_x, grads, low, to, filled, weight_back, shape, 4)
            filled = 0
            if i == steps:
                break
        slot, rows = slots[t], sizes[t]
        low = slot if filled == 0 or not reverse else low
        to = filled if reverse else capacity - filled - rows
        if has_output:
            _add_output_gradient(carried, grad_output, grad_places[t], grad_stride, shape, rows)
        lstm_step_backward(
            gates, slot * stride, stride, cells, slot * units, grads, to * stride, carried, carried_c, units, rows
        )
        _carry(carried, grads, to, weight_back, shape, rows, 0, 4, False)
        filled += rows


@compiled
def rnn_backward(grad_output, grad_places, grad_stride, has_output, carried, weight_back, inputs, gates, grads,
                 grad_weight, has_weight, grad_x, has_x, sizes, slots, reverse, shape, relu):  # fmt: skip
    """Go back over what `rnn_forward` did."""
    features, _, units, input_stride, stride, _ = shape
    steps, capacity, depth = len(sizes), len(grads) // stride, units + 1 + features
    filled, low = 0, 0
    for i in range(steps + 1):
        t = i if reverse else steps - 1 - i
        if i == steps or filled + sizes[t] > capacity:
            to = 0 if reverse else capacity - filled
            if has_weight:
                _weights(grad_weight, inputs, grads, low, to, filled, shape, 0, 1, 0, depth)
            if has_x:
                _grad_x(grad_x, grads, low, to, filled, weight_back, shape, 1)
            filled = 0
            if i == steps:
                break
        slot, rows = slots[t], sizes[t]
        low = slot if filled == 0 or not reverse else low
        to = filled if reverse else capacity - filled - rows
        if has_output:
            _add_output_gradient(carried, grad_output, grad_places[t], grad_stride, shape, rows)
        rnn_step_backward(gates, slot * stride, stride, relu, grads, to * stride, carried, units, rows)
        _carry(carried, grads, to, weight_back, shape, rows, 0, 1, False)
        filled += rows
