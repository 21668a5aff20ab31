"""The fast-weights recurrence as in Ba et al. (arXiv 1610.06258), with an explicit matrix per example."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from .._core.tracing import shapes_are_traced
from .recurrence import Recurrence


def reference(
    projected: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    A: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    recurrence: Recurrence,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recurrence with explicit matrices, (B, H, H) at every step.

    Args:
        projected: C x_t + b, (B, T, H).
        weight_hh: W, (H, H).
        h: h_0, (B, H).
        A: A_0, (B, H, H); None is zero.
        gain: the gain of LN, (H,), or None for 1.
        offset: the offset of LN, (H,), or None for 0.
        recurrence: the settings; `Recurrence` has the equations.

    Returns:
        h_1 to h_T (B, T, H), h_T (B, H) and A_T (B, H, H).
    """
    f = {"relu": torch.relu, "tanh": torch.tanh}[recurrence.activation]
    fast = h.new_zeros(*h.shape, h.shape[-1]) if A is None else A
    # A traced size would make ONNX's layer norm one of unknown shape.
    units = (len(weight_hh.unbind()),) if shapes_are_traced() else h.shape[1:]
    outputs = []
    for projected_t in projected.unbind(dim=1):
        z = projected_t + h @ weight_hh.T
        p = f(z)
        v = h if recurrence.write == "final" else p
        fast = recurrence.decay * fast + recurrence.rate * v.unsqueeze(2) * v.unsqueeze(1)
        h = p
        for _ in range(recurrence.inner_steps):
            u = z + (fast @ h.unsqueeze(2)).squeeze(2)
            h = f(layer_norm(u, units, gain, offset, recurrence.epsilon) if recurrence.layer_norm else u)
        outputs.append(h)
    return torch.stack(outputs, dim=1), h, fast
