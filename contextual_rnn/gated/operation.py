"""One layer of a gated core in one direction, as a differentiable operation of the compiled loops."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import loops, reference
from .cells import BACKWARD_STEPS, STEPS
from .layout import CELLS, Shape, whole
from .leaf import Leaf

BLOCK = 64  # the minimum number of rows in one product for the gradients of the weights


class Run(NamedTuple):
    """The arguments of a run that are not tensors.

    Attributes:
        mode: `nn.RNNBase.mode`: GRU, LSTM, RNN_TANH or RNN_RELU.
        sizes: (T,) int64, the number of rows of each step, which never increases.
        reverse: whether the layer starts at the last step.
    """

    mode: str
    sizes: np.ndarray
    reverse: bool


class Plan(NamedTuple):
    """The arguments of the loops for a layer that are not tensors."""

    shape: Shape
    cell: tuple[np.ndarray, np.ndarray, tuple[int, ...]]  # planes, groups and shape, as arguments of the loops
    planes: int
    step: tuple[int, ...]  # the addresses of the functions that `loops.forward` calls
    step_backward: tuple[int, ...]

    @classmethod
    @functools.cache
    def of(cls, mode: str, features: int, hidden: int, dtype: torch.dtype) -> Plan:
        """Return the plan of a layer, and compile the functions that it calls."""
        cell, numbers = CELLS[mode], np.dtype(str(dtype).removeprefix("torch."))
        shape = Shape.of(cell, features, hidden, numbers.itemsize)
        steps = addresses(STEPS[cell.number], numbers), addresses(BACKWARD_STEPS[cell.number], numbers)
        return cls(shape, (cell.planes, shape.groups(cell), shape[:]), len(cell.planes), *steps)


@functools.cache
def addresses(step: Leaf, dtype: np.dtype) -> tuple[int, ...]:
    """Return the addresses of the compiled functions that a loop calls."""
    return tuple(leaf.address(dtype) for leaf in (*loops.LEAVES, step))


def run_layer(run: Run, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> tuple[Tensor, ...]:
    """Run a layer in one direction.

    Args:
        run: the arguments that are not tensors.
        x: (T, B, D) with any strides, or (N, D), the rows of every step one after the other.
        state: h (B, H), and c (B, H) for an LSTM.
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
        plain = not torch.is_grad_enabled() and not any(map(_batched, grads))
        differentiate = _backward if plain else _backward_of_reference
        return None, None, *differentiate(ctx.run, ctx.leaves, inputs, trace, grads, needed)


def _backward_of_reference(
    run: Run, leaves: int, inputs: tuple[Tensor, ...], _: Any, grads: Any, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return gradients through the equations in PyTorch, for second derivatives and batched gradients."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        return _through_reference(run, leaves, inputs, grads, needed, create_graph)


def _through_reference(
    run: Run, leaves: int, inputs: tuple[Tensor, ...], grads: Any, needed: tuple[bool, ...], create_graph: bool
) -> list[Tensor | None]:
    # Views, so that the gradient of an input does not include that through another input.
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
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """Return the results and, if `keep`, the inputs, gates and cells of all steps for the backward pass."""
    plan, rows = Plan.of(run.mode, x.shape[-1], weights[1].shape[1], x.dtype), int(run.sizes[0])
    shape, offsets = plan.shape, np.cumsum(run.sizes) - run.sizes
    held, leaves = int(offsets[-1] + run.sizes[-1]) if keep else 2 * rows, len(state)
    x, state, weights = _in_rows(x), tuple(map(_whole, state)), list(map(_whole, weights))
    kept = [x.new_empty(held * size) for size in (shape.input_stride, shape.gate_stride, shape.units)[: 1 + leaves]]
    cells = kept[2] if leaves == 2 else None
    scratch = x.new_empty(plan.planes * shape.units * shape.depth + leaves * rows * shape.units)
    fresh = scratch.data_ptr() + plan.planes * shape.units * shape.depth * x.element_size()
    output, last = x.new_empty(*x.shape[:-1], shape.hidden), [torch.empty_like(leaf) for leaf in state]
    loops.forward(
        plan.step, *_strides(x), *pointers(state, 2), *pointers(weights, 4), scratch.data_ptr(), kept[0].data_ptr(),
        0 if cells is None else cells.data_ptr(), kept[1].data_ptr(), fresh,
        fresh + rows * shape.units * x.element_size(), *_strides(output), *pointers(last, 2),
        run.sizes, offsets, keep, run.reverse, *plan.cell,
    )  # fmt: skip
    return (output, *last), kept


def _backward(
    run: Run, leaves: int, tensors: tuple[Tensor, ...], trace: tuple[Tensor, ...], grads: Any, needed: tuple[bool, ...]
) -> list[Tensor | None]:
    """Return the gradients of x, the state and the weights."""
    x, *others = tensors
    state, weights, trace = others[:leaves], list(map(_whole, others[leaves:])), tuple(map(_whole, trace))
    plan, rows = Plan.of(run.mode, x.shape[-1], weights[1].shape[1], x.dtype), int(run.sizes[0])
    shape, offsets, capacity = plan.shape, np.cumsum(run.sizes) - run.sizes, max(rows, BLOCK)
    has_x, has_weight = needed[0], any(needed[1 + leaves :])
    padded = whole(shape.features, x.element_size()) * has_x
    carried = [_padded(grad, leaf, shape.units) for grad, leaf in zip(grads[1:], state, strict=True)]
    weight_back = x.new_empty((shape.units + padded) * plan.planes * shape.units)
    block = x.new_empty(capacity * shape.gate_stride)
    grad_weight = x.new_zeros((shape.depth + 3) * shape.gate_stride) if has_weight else None
    of_weights = [torch.empty_like(weight) if has_weight else None for weight in weights]
    grad_x = x.new_empty(*x.shape[:-1], padded) if has_x else None
    grad_output = None if grads[0] is None else _in_rows(grads[0])
    loops.backward(
        plan.step_backward, *_strides(grad_output), *pointers(carried, 2), *pointers(weights[:2], 2),
        weight_back.data_ptr(), trace[0].data_ptr(), *pointers(trace[2:], 1), trace[1].data_ptr(), block.data_ptr(),
        capacity, *pointers([grad_weight], 1), *pointers(of_weights, 4), *pointers([grad_x], 1),
        run.sizes, offsets, run.reverse, *plan.cell,
    )  # fmt: skip
    of_x = None if grad_x is None else grad_x[..., : shape.features]
    return [of_x, *(leaf[:, : shape.hidden] for leaf in carried), *of_weights]


def _batched(grad: Tensor | None) -> bool:
    """Return whether a gradient is a batch of gradients, as under `torch.vmap` and with `is_grads_batched`."""
    functorch = torch._C._functorch
    return grad is not None and (functorch.is_functorch_wrapped_tensor(grad) or functorch.is_legacy_batchedtensor(grad))


def _whole(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous()


def _in_rows(tensor: Tensor) -> Tensor:
    """Return a tensor whose rows are contiguous; its other dimensions may have any strides."""
    tensor = tensor.detach()
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def pointers(tensors: Sequence[Tensor | None], count: int) -> list[int]:
    """Return the addresses of tensors; 0 for None."""
    found = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
    return found + [0] * (count - len(found))


def _strides(tensor: Tensor | None) -> tuple[int, int, int]:
    """Return the address of (T, B, D) or (N, D), the stride of its steps (-1 if packed), and the stride of its rows."""
    if tensor is None:
        return 0, 0, 0
    step, stride = tensor.stride()[:2] if tensor.dim() == 3 else (-1, tensor.stride(0))
    return tensor.data_ptr(), step, stride


def _padded(grad: Tensor | None, like: Tensor, units: int) -> Tensor:
    padded = like.new_zeros(len(like), units)
    if grad is not None:
        padded[:, : like.shape[1]] = grad
    return padded
