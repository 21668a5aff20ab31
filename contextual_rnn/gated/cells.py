"""The element-wise part of one step of each cell, forward and backward, over the rows of a batch.

A row of `gates` has one block of `units` elements for each plane (`layout.Cell`). Before the step, it contains the sums
of the products; afterwards, the values that the backward pass needs. `units` is H rounded up to whole registers; the
padding stays zero. `before` is the state before a step, and `after` the state after it. The rows of `after`, `carried`,
`cells` and the like are contiguous, with `units` elements each; for the other arrays, a function takes the position of
the first row and the stride of the rows.
"""

from __future__ import annotations

from .activations import relu, sigmoid, tanh, through_relu
from .lanes import fma, lane_count, load, store
from .leaf import Leaf, leaf

STEP_POINTERS = "gates before cells after cells_after"
BACK_POINTERS = "gates before cells grads carried carried_c"


@leaf(STEP_POINTERS)
def gru_step(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, after, cells_after, units, rows
):  # fmt: skip
    """H' = n + z (h - n), n = tanh(n + r m); planes n, r, z, m; stores n, r, z and m."""
    for row in range(rows):
        g, b, to = at + row * stride, before_at + row * before_stride, row * units
        for j in range(units, 3 * units, lane_count(gates)):  # a separate loop, because n depends on r
            store(gates, g + j, sigmoid(load(gates, g + j)))
        for j in range(0, units, lane_count(gates)):
            r, z, m = load(gates, g + units + j), load(gates, g + 2 * units + j), load(gates, g + 3 * units + j)
            n = tanh(fma(r, m, load(gates, g + j)))
            store(gates, g + j, n)
            store(after, to + j, fma(z, load(before, b + j) - n, n))


@leaf(BACK_POINTERS)
def gru_step_backward(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, grads, to, carried, carried_c, units, rows
):  # fmt: skip
    """Write the gradients of the sums n, r, z and m; `carried` is h's gradient, and becomes its part through z only."""
    for row in range(rows):
        g, b, d, c = at + row * stride, before_at + row * before_stride, to + row * stride, row * units
        for j in range(0, units, lane_count(gates)):
            n, r = load(gates, g + j), load(gates, g + units + j)
            z, m = load(gates, g + 2 * units + j), load(gates, g + 3 * units + j)
            grad = load(carried, c + j)
            through_z = grad * z
            grad_n = (grad - through_z) * (1.0 - n * n)
            grad_m = grad_n * r
            store(grads, d + j, grad_n)
            store(grads, d + units + j, grad_m * m * (1.0 - r))
            store(grads, d + 2 * units + j, through_z * (load(before, b + j) - n) * (1.0 - z))
            store(grads, d + 3 * units + j, grad_m)
            store(carried, c + j, through_z)


@leaf(STEP_POINTERS)
def lstm_step(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, after, cells_after, units, rows
):  # fmt: skip
    """C' = f c + i g, h' = o tanh(c'); planes i, f, g, o; stores their activations and tanh(c')."""
    for row in range(rows):
        g, b, to = at + row * stride, cells_at + row * units, row * units
        for j in range(0, 2 * units, lane_count(gates)):
            store(gates, g + j, sigmoid(load(gates, g + j)))
        for j in range(0, units, lane_count(gates)):
            store(gates, g + 3 * units + j, sigmoid(load(gates, g + 3 * units + j)))
        for j in range(0, units, lane_count(gates)):
            new = tanh(load(gates, g + 2 * units + j))
            store(gates, g + 2 * units + j, new)
            c = fma(load(gates, g + units + j), load(cells, b + j), load(gates, g + j) * new)
            store(cells_after, to + j, c)
        for j in range(0, units, lane_count(gates)):
            squashed = tanh(load(cells_after, to + j))
            store(gates, g + 4 * units + j, squashed)
            store(after, to + j, load(gates, g + 3 * units + j) * squashed)


@leaf(BACK_POINTERS)
def lstm_step_backward(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, grads, to, carried, carried_c, units, rows
):  # fmt: skip
    """Write the gradients of the sums i, f, g and o; `carried_c` becomes the gradient of c before the step."""
    for row in range(rows):
        g, b, d, c = at + row * stride, cells_at + row * units, to + row * stride, row * units
        for j in range(0, units, lane_count(gates)):
            i, f, new = load(gates, g + j), load(gates, g + units + j), load(gates, g + 2 * units + j)
            o, squashed = load(gates, g + 3 * units + j), load(gates, g + 4 * units + j)
            through_o = load(carried, c + j) * o
            grad_c = fma(through_o, 1.0 - squashed * squashed, load(carried_c, c + j))
            through_i, through_f = grad_c * i, grad_c * f
            store(grads, d + j, through_i * new * (1.0 - i))
            store(grads, d + units + j, through_f * load(cells, b + j) * (1.0 - f))
            store(grads, d + 2 * units + j, through_i * (1.0 - new * new))
            store(grads, d + 3 * units + j, through_o * squashed * (1.0 - o))
            store(carried_c, c + j, through_f)


@leaf(STEP_POINTERS)
def tanh_step(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, after, cells_after, units, rows
):  # fmt: skip
    """H' = tanh(s); one plane s; stores h'."""
    for row in range(rows):
        g, to = at + row * stride, row * units
        for j in range(0, units, lane_count(gates)):
            h = tanh(load(gates, g + j))
            store(gates, g + j, h)
            store(after, to + j, h)


@leaf(BACK_POINTERS)
def tanh_step_backward(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, grads, to, carried, carried_c, units, rows
):  # fmt: skip
    """Write the gradient of the sum s."""
    for row in range(rows):
        g, d, c = at + row * stride, to + row * stride, row * units
        for j in range(0, units, lane_count(gates)):
            h = load(gates, g + j)
            store(grads, d + j, load(carried, c + j) * (1.0 - h * h))


@leaf(STEP_POINTERS)
def relu_step(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, after, cells_after, units, rows
):  # fmt: skip
    """H' = relu(s); one plane s; stores h'."""
    for row in range(rows):
        g, to = at + row * stride, row * units
        for j in range(0, units, lane_count(gates)):
            h = relu(load(gates, g + j))
            store(gates, g + j, h)
            store(after, to + j, h)


@leaf(BACK_POINTERS)
def relu_step_backward(
    gates, at, stride, before, before_at, before_stride, cells, cells_at, grads, to, carried, carried_c, units, rows
):  # fmt: skip
    """Write the gradient of the sum s."""
    for row in range(rows):
        g, d, c = at + row * stride, to + row * stride, row * units
        for j in range(0, units, lane_count(gates)):
            store(grads, d + j, through_relu(load(gates, g + j), load(carried, c + j)))


STEPS: tuple[Leaf, ...] = (gru_step, lstm_step, tanh_step, relu_step)
BACKWARD_STEPS: tuple[Leaf, ...] = (gru_step_backward, lstm_step_backward, tanh_step_backward, relu_step_backward)
