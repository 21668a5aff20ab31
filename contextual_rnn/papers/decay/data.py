"""The sequences of linear cosine decay, and how they are scaled.

    x(t) = x0 [(alpha + (tf - t) / tf) (1 + cos(2 pi T t / tf)) / 2 + beta]

(equation 3 of arXiv 1902.03455). The text has sequences of 25 steps; the code of its authors takes tf = 26 and
t = 0..25, which gives 25 inputs x(0)..x(24) and 25 targets, the changes x(t) - x(t - 1). This follows the code.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

ALPHA, BETA = 0.0, 0.001
STEPS = 25
TRAINING_PERIODS = (0.5, 1.5, 2.5, 3.5, 4.5)
VALIDATION_PERIODS = (1.0, 2.0, 3.0, 4.0)


def decay(x0: Tensor, period: Tensor, tf: int = STEPS + 1) -> Tensor:
    """Return x(0)..x(tf - 1), equation (3).

    Args:
        x0: (B,) initial values.
        period: (B,) T, the number of cosine periods in the whole decay time.
        tf: the total decay time, in steps.

    Returns:
        (B, tf) values, in the unit of `x0`.
    """
    t = torch.arange(tf, dtype=x0.dtype)
    x0, period = x0.unsqueeze(-1), period.unsqueeze(-1)
    return x0 * ((ALPHA + (tf - t) / tf) * (1 + torch.cos(2 * math.pi * period * t / tf)) / 2 + BETA)


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Sequences `x` (B, 26), and the `period` (B,) of each."""

    x: Tensor
    period: Tensor

    @classmethod
    def draw(cls, periods: tuple[float, ...], count: int, seed: int) -> Sequences:
        """Draw `count` sequences of every period, with x0 ~ U(2, 4)."""
        generator = torch.Generator().manual_seed(seed)
        period = torch.tensor(periods).repeat_interleave(count)
        x0 = 2 + 2 * torch.rand(len(period), generator=generator)
        return cls(decay(x0, period), period)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Maps to [-1, 1]: x from [0, 4], the period from [0.5, 4.5], and changes from their range in training."""

    lowest_change: float
    highest_change: float

    @classmethod
    def of(cls, training: Sequences) -> Scaling:
        """Take the range of changes from the training sequences."""
        change = training.x.diff(dim=1)
        return cls(float(change.min()), float(change.max()))

    def value(self, x: Tensor) -> Tensor:
        """Scale values of x."""
        return x / 2 - 1

    def period(self, period: Tensor) -> Tensor:
        """Scale periods."""
        return (period - 2.5) / 2

    def change(self, change: Tensor) -> Tensor:
        """Scale changes of x."""
        return 2 * (change - self.lowest_change) / (self.highest_change - self.lowest_change) - 1

    def unscale_change(self, scaled: Tensor) -> Tensor:
        """Map scaled changes back to the unit of x, clipped to their range in training."""
        share = (scaled.clamp(-1, 1) + 1) / 2
        return self.lowest_change + share * (self.highest_change - self.lowest_change)
