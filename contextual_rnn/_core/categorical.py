"""Draws of categories, each by a number of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_category(logits: Tensor, uniform: Tensor) -> Tensor:
    """Return the category (N,) in whose share of (0, 1) a number (N,) lies, of logits (N, V)."""
    ends = at_least_single(logits).softmax(dim=1).cumsum(dim=1)
    ends = ends / ends[:, -1:]  # shares add up to 1 but for rounding, and what lies past them is no category's
    places = torch.searchsorted(ends, uniform.to(ends).unsqueeze(1).contiguous())
    return places.squeeze(1).clamp(max=logits.shape[1] - 1)


def at_least_single(values: Tensor) -> Tensor:
    """Return numbers in float32 or wider: in half precision, sums over many categories lose the unlikely ones."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
