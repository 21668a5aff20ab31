"""The fast-weights operation as Triton kernels: one launch per sequence, float32, H up to 128.

Outputs and gradients were compared with those of the explicit matrices on an NVIDIA H100; see
docs/results/fast_weights.md for times.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from . import triton_kernels
from .attention import look_up
from .recurrence import NO_SECOND_DERIVATIVE, Recurrence

__all__ = ["fast_weights", "look_up", "supports"]

MOST_UNITS = 128  # W, A and the gradient of A then fill the registers of a multiprocessor


def supports(tensor: Tensor) -> bool:
    """Return whether these kernels run on the device, dtype and width of a tensor (..., H)."""
    return tensor.is_cuda and tensor.dtype == torch.float32 and tensor.shape[-1] <= MOST_UNITS


def fast_weights(
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    A: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    recurrence: Recurrence,
    *,
    return_fast: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the recurrence; see `operation.fast_weights`."""
    return _Operation.apply(projected, weight_hh, h, A, gain, offset, recurrence, return_fast)


class _Operation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        weight_hh: Tensor,
        h: Tensor,
        fast: Tensor | None,
        gain: Tensor | None,
        offset: Tensor | None,
        recurrence: Recurrence,
        return_fast: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        projected = projected.transpose(0, 1).contiguous()
        steps, rows, units = projected.shape
        inner, norm = recurrence.inner_steps, recurrence.inner_steps if recurrence.layer_norm else 0
        room = projected.new_empty
        hidden, queries = room(steps + 1, rows, units), room(steps, inner, rows, units)
        normalised, deviation = room(steps, norm, rows, units), room(steps, norm, rows)
        kept = room(math.ceil(steps / triton_kernels.STRIDE), rows, units, units)
        last = room(rows, units, units) if return_fast else None
        hidden[0] = h
        weight = weight_hh.contiguous()
        if rows:
            triton_kernels.forward[(rows,)](
                projected, weight, _or_other(fast, weight), _or_other(gain, weight), _or_other(offset, weight),
                hidden, queries, normalised, deviation, kept, weight if last is None else last,
                steps, rows, recurrence.decay, recurrence.rate, recurrence.epsilon,
                **_settings(units, recurrence, gain), has_fast=fast is not None, wants_fast=return_fast,
            )  # fmt: skip
        ctx.save_for_backward(weight, gain, hidden, queries, normalised, deviation, kept)
        ctx.recurrence = recurrence
        return hidden[1:].transpose(0, 1), hidden[steps].clone(), last

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor | None, grad_last: Tensor | None, grad_fast: Tensor | None) -> Any:
        if torch.is_grad_enabled():  # the gradients computed below would not be differentiable
            raise RuntimeError(NO_SECOND_DERIVATIVE)
        weight, gain, hidden, queries, normalised, deviation, kept = ctx.saved_tensors
        steps, _, rows, units = queries.shape
        grad_hidden = None if grad_output is None else grad_output.transpose(0, 1).contiguous()
        grad_z, grad_start = torch.empty_like(hidden[1:]), torch.empty_like(hidden[0])
        grad_norm = hidden.new_zeros(2, rows, units)
        wants_fast = ctx.needs_input_grad[3]
        grad_fast_start = hidden.new_empty(rows, units, units) if wants_fast else None
        if rows:
            triton_kernels.backward[(rows,)](
                _or_other(grad_hidden, weight), _or_other(grad_last, weight), _or_other(grad_fast, weight), weight,
                _or_other(gain, weight), hidden, queries, normalised, deviation, kept,
                grad_z, grad_start, grad_norm, weight if grad_fast_start is None else grad_fast_start,
                steps, rows, ctx.recurrence.decay, ctx.recurrence.rate,
                **_settings(units, ctx.recurrence, gain), has_hidden=grad_hidden is not None,
                has_last=grad_last is not None, has_fast=grad_fast is not None, wants_fast=wants_fast,
            )  # fmt: skip
        grad_weight = grad_z.flatten(0, 1).T @ hidden[:-1].flatten(0, 1)
        of_norm = (None, None) if gain is None else grad_norm.sum(dim=1)
        return grad_z.transpose(0, 1), grad_weight, grad_start, grad_fast_start, *of_norm, None, None


def _or_other(tensor: Tensor | None, other: Tensor) -> Tensor:
    """Return `tensor` in contiguous memory, or `other`, which the kernel does not read, if it is None."""
    return other if tensor is None else tensor.contiguous()


def _settings(units: int, recurrence: Recurrence, gain: Tensor | None) -> dict[str, Any]:
    padded = max(16, 1 << (units - 1).bit_length())
    return {
        "units": units,
        "padded": padded,
        "inner": recurrence.inner_steps,
        "stride": triton_kernels.STRIDE,
        "relu": recurrence.activation == "relu",
        "final": recurrence.write == "final",
        "layer_norm": recurrence.layer_norm,
        "has_gain": gain is not None,
        "num_warps": 4 if padded < 64 else padded // 8,  # the fewest without register spills, up to 64 units
    }
