"""One layer of a gated core in one direction, as a differentiable operation of the compiled loops."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import loops, packing, reference
from .cells import BACKWARD_STEPS, STEPS
from .layout import CELLS, Cell, Shape, whole
from .leaf import Leaf
from .product import PRODUCTS

BLOCK = 64  # rows of gradients that one product of the weights' gradients takes, at least


class Run(NamedTuple):
    """What is run, apart from tensors.

    Attributes:
        mode: `nn.RNNBase.mode`: GRU, LSTM, RNN_TANH or RNN_RELU.
        sizes: (T,) int64, the number of rows of each step, never more than the step before.
        reverse: whether the layer starts at the last step.
    """

    mode: str
    sizes: np.ndarray
    reverse: bool

    @property
    def cell(self) -> Cell:
        """The planes of the cell."""
        return CELLS[self.mode]


def run_layer(run: Run, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> tuple[Tensor, ...]:
    """Run a layer in one direction.

    Args:
        run: what is run.
        x: (T, B, D) of any strides, or (N, D), the rows of every step one after the other.
        state: h (B, H), and c (B, H) of an LSTM.
        weights: weight_ih, weight_hh and, with biases, bias_ih, bias_hh.

    Returns:
        The outputs (T, B, H) or (N, H), and the final state, h (B, H) and c (B, H).
    """
    tensors = [x, *state, *weights]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _Layer.apply(run, len(state), *tensors)
    return _forward(run, x, state, weights, keep=False)[0]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Run, leaves: int, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        state, weights = tensors[:leaves], list(tensors[leaves:])
        results, trace = _forward(run, x, state, weights, keep=True)
        ctx.set_materialize_grads(False)
        ctx.run, ctx.leaves = run, leaves
        ctx.save_for_backward(x, *tensors, *trace)
        ctx.inputs = 1 + len(tensors)
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        inputs, trace = saved[: ctx.inputs], saved[ctx.inputs :]
        needed = ctx.needs_input_grad[2:]
        differentiate = _backward_of_reference if torch.is_grad_enabled() else _backward
        return None, None, *differentiate(ctx.run, ctx.leaves, inputs, trace, grads, needed)


def _backward_of_reference(
    run: Run, leaves: int, inputs: tuple[Tensor, ...], _: Any, grads: Any, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return gradients that can be differentiated again, through the plain equations."""
    # Views, so that one input that is a function of another counts for itself alone.
    x, *tensors = (tensor.view_as(tensor) for tensor in inputs)
    state, weights = tuple(tensors[:leaves]), tensors[leaves:]
    output, *last = reference.run(run.mode, x.flatten(0, -2), run.sizes.tolist(), state, weights, run.reverse)
    results = [output.view(*x.shape[:-1], -1), *last]
    through = [(result, grad) for result, grad in zip(results, grads, strict=True) if grad is not None]
    wanted = [tensor for tensor, need in zip((x, *tensors), needed, strict=True) if need]
    found = iter(torch.autograd.grad(*zip(*through, strict=True), wanted, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needed]


def _forward(
    run: Run, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor], keep: bool
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """Return the results and, where `keep`, the inputs, gates and cells of all steps that the backward pass reads."""
    cell, rows = run.cell, int(run.sizes[0])
    shape = Shape.of(cell, x.shape[-1], weights[1].shape[1], x.element_size())
    slots = _offsets(run.sizes) if keep else np.arange(len(run.sizes)) % 2 * rows
    held = int(run.sizes.sum()) if keep else 2 * rows
    inputs, gates = x.new_empty(held * shape.input_stride), x.new_empty(held * shape.gate_stride)
    cells = x.new_empty(held * shape.units * (len(state) - 1))
    weight = x.new_empty(shape.planes * shape.units * shape.depth)
    packing.pack(_flat(weight), *map(_flat, _biased(weights)), len(weights) == 4, cell.of_input, cell.of_hidden, shape[:])
    output, last = x.new_empty(*x.shape[:-1], shape.hidden), [_fresh(leaf) for leaf in state]
    loops.forward(
        _leaves(STEPS[cell.number], inputs), *_rows(x, run.sizes), *_pair(state), _flat(weight), _flat(inputs), _flat(cells), _flat(gates),
        *_rows(output, run.sizes), *_pair(last), run.sizes, slots, run.reverse, shape.groups(cell), shape[:],
    )  # fmt: skip
    return (output, *last), [inputs, gates, cells]


def _backward(
    run: Run, leaves: int, tensors: tuple[Tensor, ...], trace: tuple[Tensor, ...], grads: Any, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return the gradients of x, the state and the weights."""
    (x, *others), (inputs, gates, cells), cell = tensors, trace, run.cell
    state, weights = others[:leaves], others[leaves:]
    shape = Shape.of(cell, x.shape[-1], weights[1].shape[1], x.element_size())
    rows, planes, padded = int(run.sizes[0]), shape.planes * shape.units, whole(shape.features, x.element_size())
    has_x, has_weight = needed[0], any(needed[1 + leaves :])
    carried = [_padded(grad, leaf, shape.units) for grad, leaf in zip(grads[1:], state, strict=True)]
    weight_back = x.new_empty((shape.units + padded * has_x) * planes)
    packing.pack_back(_flat(weight_back), *map(_flat, weights[:2]), cell.of_input, cell.of_hidden, has_x, shape[:])
    block = x.new_empty(max(rows, BLOCK) * shape.gate_stride)
    grad_weight = x.new_zeros(shape.depth * shape.gate_stride * has_weight)
    grad_x = x.new_empty(*x.shape[:-1], padded * has_x)
    grad_output = x.new_empty(0, 1, 1) if grads[0] is None else grads[0]
    loops.backward(
        _leaves(BACKWARD_STEPS[cell.number], inputs), *_rows(grad_output, run.sizes), grads[0] is not None, *_pair(carried), _flat(weight_back),
        _flat(inputs), _flat(cells), _flat(gates), _flat(block), _flat(grad_weight), has_weight, _flat(grad_x), has_x,
        run.sizes, _offsets(run.sizes), run.reverse, shape.groups(cell), shape[:],
    )  # fmt: skip
    of_weights: list[Tensor | None] = [None] * len(weights)
    if has_weight:
        of_weights = [_fresh(weight) for weight in weights]
        flat = map(_flat, _biased(of_weights))
        packing.unpack(_flat(grad_weight), *flat, len(weights) == 4, cell.of_input, cell.of_hidden, shape[:])
    of_x = grad_x[..., : shape.features] if has_x else None
    return [of_x, *(leaf[:, : shape.hidden] for leaf in carried), *of_weights]


@functools.cache
def addresses(step: Leaf, dtype: np.dtype) -> tuple[int, ...]:
    return tuple(leaf.address(dtype) for leaf in (*PRODUCTS, step))


def _leaves(step: Leaf, like: Tensor) -> tuple[int, ...]:
    """Return the addresses of the compiled functions that a loop calls."""
    return addresses(step, np.dtype(np.float64 if like.dtype == torch.float64 else np.float32))


def _offsets(sizes: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes) - sizes


def _biased(weights: list[Any]) -> list[Any]:
    return weights if len(weights) == 4 else [*weights, weights[0], weights[0]]


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().view(-1).numpy()


def _fresh(like: Tensor) -> Tensor:
    return torch.empty_like(like, memory_format=torch.contiguous_format)


def _pair(state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return h and c as the loops take them; h stands for the c that a GRU or an RNN has not."""
    return _flat(state[0]), _flat(state[-1])


def _rows(tensor: Tensor, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the memory of (T, B, D) or (N, D), the positions of each step's first row, and the distance of rows."""
    tensor = tensor.detach()
    if tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    memory = tensor.as_strided((max(span, 0),), (1,)).numpy()
    if tensor.dim() == 3:
        return memory, np.arange(len(sizes)) * tensor.stride(0), tensor.stride(1)
    return memory, _offsets(sizes) * tensor.stride(0), tensor.stride(0)


def _padded(grad: Tensor | None, like: Tensor, units: int) -> Tensor:
    padded = like.new_zeros(len(like), units)
    if grad is not None:
        padded[:, : like.shape[1]] = grad
    return padded
