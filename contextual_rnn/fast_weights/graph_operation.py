"""The fast-weights operation as one node of a graph, for `torch.compile`, which cannot trace Numba or Triton kernels.

The node stores only its inputs; the backward pass runs the forward pass again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .backend import choose
from .operation import fast_weights
from .recurrence import Recurrence


def graph_fast_weights(
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    A: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    recurrence: Recurrence,
    *,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recurrence and return the results of `operation.fast_weights`.

    Args:
        projected: C x_t + b, (B, T, H).
        weight_hh: W, (H, H).
        h: h_0, (B, H).
        A: A_0, (B, H, H); None is zero.
        gain: the gain of LN, (H,), or None for 1.
        offset: the offset of LN, (H,), or None for 0.
        recurrence: the settings.
        backend: one of `backend.BACKENDS` except `"reference"`.
    """
    return _forward(projected, weight_hh, h, A, gain, offset, *vars(recurrence).values(), backend)


def _run(tensors: list[Tensor | None], settings: tuple) -> tuple[Tensor, Tensor, Tensor]:
    *values, backend = settings
    projected = tensors[0]
    assert projected is not None
    output, last, fast = fast_weights(*tensors, Recurrence(*values), kernels=choose(backend, projected))  # type: ignore[arg-type,misc]
    assert fast is not None
    return output, last, fast


@torch.library.custom_op("contextual_rnn::fast_weights", mutates_args=())
def _forward(
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    fast: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    inner_steps: int,
    decay: float,
    rate: float,
    write: str,
    activation: str,
    layer_norm: bool,
    epsilon: float,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    settings = (inner_steps, decay, rate, write, activation, layer_norm, epsilon, backend)
    output, last, after = _run([projected, weight_hh, h, fast, gain, offset], settings)
    return output.contiguous(), last.contiguous(), after.contiguous()


@_forward.register_fake
def _(projected: Tensor, weight_hh: Tensor, h: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(projected, memory_format=torch.contiguous_format),
        torch.empty_like(h, memory_format=torch.contiguous_format),
        h.new_empty(*h.shape, h.shape[1]),
    )


@torch.library.custom_op("contextual_rnn::fast_weights_backward", mutates_args=())
def _backward(
    grad_output: Tensor,
    grad_last: Tensor,
    grad_fast: Tensor,
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    fast: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    inner_steps: int,
    decay: float,
    rate: float,
    write: str,
    activation: str,
    layer_norm: bool,
    epsilon: float,
    backend: str,
) -> list[Tensor]:
    settings = (inner_steps, decay, rate, write, activation, layer_norm, epsilon, backend)
    given = [projected, weight_hh, h, fast, gain, offset]
    inputs = [None if tensor is None else tensor.detach().requires_grad_() for tensor in given]
    wanted = [tensor for tensor in inputs if tensor is not None]
    with torch.enable_grad():
        results = _run(inputs, settings)
    gradients = torch.autograd.grad(results, wanted, (grad_output, grad_last, grad_fast))
    return [gradient.clone(memory_format=torch.contiguous_format) for gradient in gradients]


@_backward.register_fake
def _(*arguments: Any) -> list[Tensor]:
    given = [tensor for tensor in arguments[3:9] if tensor is not None]
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in given]


def _keep_inputs(ctx: Any, inputs: tuple, output: Any) -> None:
    ctx.save_for_backward(*inputs[:6])
    ctx.settings = inputs[6:]


def _gradients(ctx: Any, *gradients: Tensor) -> tuple:
    found = iter(_backward(*(gradient.contiguous() for gradient in gradients), *ctx.saved_tensors, *ctx.settings))
    of_tensors = [None if tensor is None else next(found) for tensor in ctx.saved_tensors]
    return *of_tensors, *[None] * len(ctx.settings)


_forward.register_autograd(_gradients, setup_context=_keep_inputs)
