"""Means and deviations of columns, for models that count in standardised units and answer in the columns' own."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_and_scale(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of every column of (N, F), and its deviation, 1 for one that is constant; both (F,)."""
    if not values.shape[1]:
        return values.new_zeros(0), values.new_ones(0)
    scale, mean = torch.std_mean(values, dim=0, correction=0)
    return mean, torch.where(scale > 0, scale, torch.ones_like(scale))
