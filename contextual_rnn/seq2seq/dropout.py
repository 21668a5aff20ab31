"""Variational dropout: one mask for all steps of a sequence (Gal and Ghahramani 2016, arXiv 1512.05287)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VariationalDropout(nn.Dropout):
    """Drop the same units at every step of a sequence, in training.

        y_bt = x_bt m_b,  m_bd = 0 with probability p, else 1 / (1 - p)

    Args:
        p: the probability with which a unit is dropped.
    """

    def mask(self, like: Tensor, width: int | None = None) -> Tensor | None:
        """Return m, (B, 1, D), for the rows of a tensor (B, ...) of width D or `width`; None if nothing is dropped."""
        if not self.training or not self.p:
            return None
        ones = like.new_ones(len(like), 1, like.shape[-1] if width is None else width)
        return torch.dropout(ones, self.p, True)

    def forward(self, input: Tensor) -> Tensor:
        """Return a sequence (B, T, D) with dropped units."""
        mask = self.mask(input)
        return input if mask is None else input * mask


def make_dropout(p: float, variational: bool) -> nn.Dropout:
    """Return dropout with one mask for all steps of a sequence, or with one for each step."""
    return VariationalDropout(p) if variational else nn.Dropout(p)
