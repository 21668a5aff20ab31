"""Draw from categorical distributions with uniform random numbers that the caller provides."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_category(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw one category for every row by inverting the cumulative distribution.

    Args:
        logits: (N, V).
        uniform: (N,) uniform random numbers in (0, 1).

    Returns:
        (N,) category numbers.
    """
    cumulative = at_least_single(logits).softmax(dim=1).cumsum(dim=1)
    cumulative = cumulative / cumulative[:, -1:]  # the last is 1 only up to rounding
    places = torch.searchsorted(cumulative, uniform.to(cumulative).unsqueeze(1).contiguous())
    return places.squeeze(1).clamp(max=logits.shape[1] - 1)


def at_least_single(values: Tensor) -> Tensor:
    """Convert to float32 or wider, because half-precision sums over many categories lose the unlikely categories."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
