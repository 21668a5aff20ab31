"""One layer of a gated core in one direction, as a differentiable operation of the compiled loops."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import loops, packing, reference
from .cells import BACKWARD_STEPS, STEPS
from .layout import CELLS, Shape, whole
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


class Plan(NamedTuple):
    """What the loops need to know of a layer, apart from tensors."""

    shape: Shape
    sizes: tuple[int, ...]  # `shape` as the loops take it
    groups: np.ndarray
    gates: tuple[np.ndarray, np.ndarray]  # of weight_ih and of weight_hh that each plane sums
    step: tuple[int, ...]  # the addresses of the functions that `loops.forward` calls
    step_backward: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    @functools.cache
    def of(cls, mode: str, features: int, hidden: int, dtype: torch.dtype) -> Plan:
        """Return the plan of a layer; compile what it calls."""
        cell, numbers = CELLS[mode], np.dtype(str(dtype).removeprefix("torch."))
        shape = Shape.of(cell, features, hidden, numbers.itemsize)
        steps = addresses(STEPS[cell.number], numbers), addresses(BACKWARD_STEPS[cell.number], numbers)
        return cls(shape, shape[:], shape.groups(cell), (cell.of_input, cell.of_hidden), *steps, numbers)

    def new(self, size: int) -> np.ndarray:
        """Return memory for numbers."""
        return np.empty(size, self.dtype)


@functools.cache
def addresses(step: Leaf, dtype: np.dtype) -> tuple[int, ...]:
    """Return the addresses of the compiled functions that a loop calls."""
    return tuple(leaf.address(dtype) for leaf in (*PRODUCTS, step))


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
        ctx.save_for_backward(x, *tensors, *map(torch.from_numpy, trace))
        ctx.inputs = 1 + len(tensors)
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        inputs, trace = saved[: ctx.inputs], saved[ctx.inputs :]
        needed = ctx.needs_input_grad[2:]
        plain = not torch.is_grad_enabled() and not any(map(_batched, grads))
        differentiate = _backward if plain else _backward_of_reference
        return None, None, *differentiate(ctx.run, ctx.leaves, inputs, trace, grads, needed)


def _backward_of_reference(
    run: Run, leaves: int, inputs: tuple[Tensor, ...], _: Any, grads: Any, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return gradients through the plain equations, which can be differentiated again and taken for many at once."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        return _through_reference(run, leaves, inputs, grads, needed, create_graph)


def _through_reference(
    run: Run, leaves: int, inputs: tuple[Tensor, ...], grads: Any, needed: tuple[bool, ...], create_graph: bool
) -> list[Tensor | None]:
    # Views, so that one input that is a function of another counts for itself alone.
    x, *tensors = (tensor.view_as(tensor) for tensor in inputs)
    state, weights = tuple(tensors[:leaves]), tensors[leaves:]
    output, *last = reference.run(run.mode, x.flatten(0, -2), run.sizes.tolist(), state, weights, run.reverse)
    results = [output.view(*x.shape[:-1], -1), *last]
    through, along = zip(*((r, g) for r, g in zip(results, grads, strict=True) if g is not None), strict=True)
    wanted = [tensor for tensor, need in zip((x, *tensors), needed, strict=True) if need]
    found = iter(torch.autograd.grad(through, wanted, along, create_graph=create_graph, allow_unused=True))
    return [next(found) if need else None for need in needed]


def _forward(
    run: Run, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor], keep: bool
) -> tuple[tuple[Tensor, ...], list[np.ndarray]]:
    """Return the results and, where `keep`, the inputs, gates and cells of all steps that the backward pass reads."""
    plan, rows = Plan.of(run.mode, x.shape[-1], weights[1].shape[1], x.dtype), int(run.sizes[0])
    shape, new = plan.shape, plan.new
    slots = _offsets(run.sizes) if keep else np.arange(len(run.sizes)) % 2 * rows
    held = int(run.sizes.sum()) if keep else 2 * rows
    inputs, gates = new(held * shape.input_stride), new(held * shape.gate_stride)
    cells, weight = new(held * shape.units * (len(state) - 1)), new(shape.planes * shape.units * shape.depth)
    packing.pack(weight, *_biased(weights), len(weights) == 4, *plan.gates, plan.sizes)
    output, last = x.new_empty(*x.shape[:-1], shape.hidden), [_fresh(leaf) for leaf in state]
    loops.forward(
        plan.step, *_rows(x, run.sizes), *_pair(state), weight, inputs, cells, gates,
        *_rows(output, run.sizes), *_pair(last), run.sizes, slots, run.reverse, plan.groups, plan.sizes,
    )  # fmt: skip
    return (output, *last), [inputs, gates, cells]


def _backward(
    run: Run, leaves: int, tensors: tuple[Tensor, ...], trace: tuple[Tensor, ...], grads: Any, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return the gradients of x, the state and the weights."""
    (x, *others), (inputs, gates, cells) = tensors, map(_flat, trace)
    state, weights = others[:leaves], others[leaves:]
    plan, rows = Plan.of(run.mode, x.shape[-1], weights[1].shape[1], x.dtype), int(run.sizes[0])
    shape, new = plan.shape, plan.new
    padded = whole(shape.features, x.element_size())
    has_x, has_weight = needed[0], any(needed[1 + leaves :])
    carried = [_padded(grad, leaf, shape.units) for grad, leaf in zip(grads[1:], state, strict=True)]
    weight_back = new((shape.units + padded * has_x) * shape.planes * shape.units)
    packing.pack_back(weight_back, *map(_flat, weights[:2]), *plan.gates, has_x, plan.sizes)
    grad_weight = np.zeros((shape.depth + 3) * shape.gate_stride * has_weight, inputs.dtype)
    grad_x = x.new_empty(*x.shape[:-1], padded * has_x)
    grad_output = x.new_empty(0, 1, 1) if grads[0] is None else grads[0]
    loops.backward(
        plan.step_backward, *_rows(grad_output, run.sizes), grads[0] is not None, *_pair(carried), weight_back, inputs,
        cells, gates, new(max(rows, BLOCK) * shape.gate_stride), grad_weight, has_weight, _flat(grad_x), has_x,
        run.sizes, _offsets(run.sizes), run.reverse, plan.groups, plan.sizes,
    )  # fmt: skip
    of_weights: list[Tensor | None] = [None] * len(weights)
    if has_weight:
        of_weights = [_fresh(weight) for weight in weights]
        packing.unpack(grad_weight, *_biased(of_weights), len(weights) == 4, *plan.gates, plan.sizes)
    of_x = grad_x[..., : shape.features] if has_x else None
    return [of_x, *(leaf[:, : shape.hidden] for leaf in carried), *of_weights]


def _batched(grad: Tensor | None) -> bool:
    """Whether a gradient stands for many at once, as `torch.vmap` and `is_grads_batched` make them."""
    functorch = torch._C._functorch
    return grad is not None and (functorch.is_functorch_wrapped_tensor(grad) or functorch.is_legacy_batchedtensor(grad))


def _offsets(sizes: np.ndarray) -> np.ndarray:
    return np.cumsum(sizes) - sizes


def _flat(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy()).reshape(-1)


def _biased(weights: list[Any]) -> list[np.ndarray]:
    """Return four flat weights; those of the inputs stand for biases that are not there."""
    flat = [_flat(weight) for weight in weights]
    return flat if len(flat) == 4 else [*flat, flat[0], flat[0]]


def _fresh(like: Tensor) -> Tensor:
    return torch.empty_like(like, memory_format=torch.contiguous_format)


def _pair(state: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return h and c as the loops take them; h stands for the c that a GRU or an RNN has not."""
    h = _flat(state[0])
    return h, _flat(state[1]) if len(state) == 2 else h


def _rows(tensor: Tensor, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the memory of (T, B, D) or (N, D), the positions of each step's first row, and the distance of rows."""
    if tensor.is_contiguous() or tensor.stride(-1) != 1:
        return _flat(tensor), _offsets(sizes) * tensor.shape[-1], tensor.shape[-1]
    strides = tensor.stride()
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, strides, strict=True))
    memory = tensor.detach().as_strided((span,), (1,)).numpy()
    if tensor.dim() == 3:
        return memory, np.arange(len(sizes)) * strides[0], strides[1]
    return memory, _offsets(sizes) * strides[0], strides[0]


def _padded(grad: Tensor | None, like: Tensor, units: int) -> Tensor:
    padded = like.new_zeros(len(like), units)
    if grad is not None:
        padded[:, : like.shape[1]] = grad
    return padded
