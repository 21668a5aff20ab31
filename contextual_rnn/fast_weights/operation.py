"""The fast-weights operation: the recurrence over a sequence with its gradients, in chunks that bound the memory."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from . import attention
from .attention import Trace
from .recurrence import NO_SECOND_DERIVATIVE, Recurrence


def fast_weights(
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    A: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    recurrence: Recurrence,
    *,
    kernels: Any = attention,
    chunk: int | None = None,
    return_fast: bool = True,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the same recurrence as `reference`, in less memory.

    Within a chunk, a step attends to the vectors that earlier steps wrote; at the end of the chunk, these are added to
    A. So the memory is that of a few tensors (T, B, H) and T / chunk matrices.

    Args:
        projected: C x_t + b, (B, T, H).
        weight_hh: W, (H, H).
        h: h_0, (B, H).
        A: A_0, (B, H, H); None is zero.
        gain: the gain of LN, (H,), or None for 1.
        offset: the offset of LN, (H,), or None for 0.
        recurrence: the settings; `Recurrence` has the equations.
        kernels: the module whose functions run a chunk, such as `attention`, or a module with its own `fast_weights`
            for whole sequences.
        chunk: the number of steps of a chunk; None chooses it from T and H.
        return_fast: whether to compute A_T, which costs one batched matrix product.

    Returns:
        h_1 to h_T (B, T, H), h_T (B, H), and A_T (B, H, H), which is None without `return_fast`.
    """
    if hasattr(kernels, "fast_weights"):
        arguments = (projected, weight_hh, h, A, gain, offset, recurrence)
        return kernels.fast_weights(*arguments, return_fast=return_fast)
    chunk = chunk or chunk_length(projected.shape[1], projected.shape[2])
    return _Operation.apply(projected, weight_hh, h, A, gain, offset, recurrence, kernels, chunk, return_fast)


@torch.no_grad()
def attention_scores(
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    A: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    recurrence: Recurrence,
) -> Tensor:
    """Return rate decay^(t-i) q_s . v_i, (B, S, T, T), the factor by which step t multiplies v_i; 0 where i > t.

    The arguments are those of `fast_weights`. No gradient passes through the result.
    """
    projected = projected.transpose(0, 1)
    steps = len(projected)
    trace = Trace.empty(projected, steps, recurrence)
    trace.hidden[0] = h
    attention.forward(projected, weight_hh, A, gain, offset, trace, recurrence)
    time = torch.arange(steps, device=h.device)
    ages = time.unsqueeze(1) - time
    faded = torch.where(ages >= 0, recurrence.rate * recurrence.decay ** ages.double(), 0).to(projected)
    scores = trace.scores.permute(2, 1, 0, 3)
    return torch.where(faded > 0, scores, 0) * faded


def chunk_length(steps: int, hidden: int) -> int:
    """Return the number of steps of a chunk: all, unless attention to so many steps costs more than a matrix."""
    return steps if steps <= max(2 * hidden, 32) else 16


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
        kernels: Any,
        chunk: int,
        return_fast: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        projected = kernels.lay(projected.transpose(0, 1))
        steps = len(projected)
        trace = kernels.empty(projected, min(chunk, steps), recurrence)
        trace.hidden[0] = h
        starts = [fast]  # A at the start of every chunk
        for part in _chunks(steps, chunk):
            kernels.forward(projected[part], weight_hh, starts[-1], gain, offset, trace[part], recurrence)
            if part.stop < steps or return_fast:
                starts.append(kernels.write(starts[-1], trace[part], recurrence))
        last = starts.pop() if return_fast else None
        ctx.save_for_backward(weight_hh, gain, *starts, *vars(trace).values())
        ctx.recurrence, ctx.kernels, ctx.chunk = recurrence, kernels, chunk
        return trace.hidden[1:].transpose(0, 1), trace.hidden[steps].clone(), last

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor | None, grad_last: Tensor | None, grad_fast: Tensor | None) -> Any:
        if torch.is_grad_enabled():  # the gradients computed below would not be differentiable
            raise RuntimeError(NO_SECOND_DERIVATIVE)
        weight_hh, gain, *starts = ctx.saved_tensors
        starts, trace = starts[:-5], Trace(*starts[-5:])
        steps, recurrence = len(trace.queries), ctx.recurrence
        kernels = ctx.kernels
        grad_hidden = None if grad_output is None else kernels.lay(grad_output.transpose(0, 1))
        grad_z, shared = [], []
        for part, fast in zip(reversed(list(_chunks(steps, ctx.chunk))), reversed(starts), strict=True):
            gradients = None if grad_hidden is None else grad_hidden[part]
            cut = trace[part]
            z, grad_last, grad_u, *of_weights = kernels.backward(
                gradients, grad_last, grad_fast, weight_hh, fast, gain, cut, recurrence
            )
            grad_z.append(z)
            shared.append(of_weights)
            if part.start or ctx.needs_input_grad[3]:
                grad_fast = kernels.write_backward(grad_fast, grad_u, cut, recurrence)
        grad_projected = grad_z[0] if len(grad_z) == 1 else torch.cat(grad_z[::-1])
        grad_weight, grad_gain, grad_offset = (
            None if parts[0] is None else functools.reduce(torch.add, parts) for parts in zip(*shared, strict=True)
        )
        grad_fast = grad_fast if ctx.needs_input_grad[3] else None
        return grad_projected.transpose(0, 1), grad_weight, grad_last, grad_fast, grad_gain, grad_offset, *[None] * 4


def _chunks(steps: int, chunk: int) -> Any:
    return (slice(start, min(start + chunk, steps)) for start in range(0, steps, chunk))
