"""Baselines of generation, which need no training: normal distributions that know neither the past nor the context."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..._core.records import Record
from ...scaling import mean_and_scale
from ...sequence_model import Samples

FLOOR = 0.01  # the smallest standard deviation, relative to that of the target; that of `SeriesGenerator` too


class NormalSteps:
    """Normally distributed steps, independent of each other, or the steps of a random walk.

        y_0 ~ N(m, s^2);  y_t ~ N(m, s^2), or y_{t-1} + N(m', s'^2) for a random walk

    m and s are the mean and the standard deviation of the targets of the training series, m' and s' those of their
    changes from step to step. A series ends after every step with the same probability.

    Args:
        training: the training series.
        walk: whether it is a random walk, which needs a series of two steps or more.
    """

    device = torch.device("cpu")

    def __init__(self, training: Sequence[Record], walk: bool) -> None:
        steps = torch.cat([record.targets for record in training])
        self.walk = walk
        self.first_mean, self.target_scale = mean_and_scale(steps)
        changes = torch.cat([record.targets.diff(dim=0) for record in training]) if walk else steps
        self.mean, scale = mean_and_scale(changes)
        self.scale = torch.maximum(scale, FLOOR * self.target_scale)
        self.end = len(training) / (len(steps) + 1)  # one more step than there are, so that it is below 1

    def losses(self, targets: Tensor, context: Tensor, lengths: Tensor, filled: Tensor | None = None) -> Tensor:
        """Return the negative log-likelihood of every step in nats, (B, T); see `SeriesGenerator.losses`."""
        mean, scale = self._steps(targets.shape[1])
        read = targets
        if filled is not None:
            values = filled[..., : targets.shape[2]]
            read = torch.where(values.isnan(), self.first_mean, values)
        last = torch.nn.functional.pad(read[:, :-1], (0, 0, 1, 0)) if self.walk else 0
        losses = -torch.distributions.Normal(last + mean, scale).log_prob(read).sum(2)
        losses = torch.where(targets.isnan().any(2), 0, losses)
        time = torch.arange(targets.shape[1])
        ends = time == lengths.unsqueeze(1) - 1
        losses = losses - torch.where(ends, math.log(self.end), math.log(1 - self.end))
        return torch.where(time < lengths.unsqueeze(1), losses, 0)

    def trajectories(self, context: Tensor, n: int, steps: int, *, seed: int = 0, **options: Any) -> Samples:
        """Generate n series of `steps` steps; see `SeriesGenerator.trajectories`."""
        mean, scale = self._steps(steps)
        drawn = mean + scale * torch.randn(n, steps, mean.shape[-1], generator=torch.Generator().manual_seed(seed))
        return Samples(drawn.cumsum(1) if self.walk else drawn, torch.full((n,), steps))

    def _steps(self, steps: int) -> tuple[Tensor, Tensor]:
        """Return the means and standard deviations of what is added at each of T steps, (T, Y) each."""
        mean, scale = self.mean.repeat(steps, 1), self.scale.repeat(steps, 1)
        mean[0], scale[0] = self.first_mean, self.target_scale
        return mean, scale


def baselines(training: Sequence[Record]) -> dict[str, NormalSteps]:
    """Return the baselines by their names; without the random walk if every series has a single step."""
    found = {"independent steps": NormalSteps(training, walk=False)}
    if max(map(len, training)) > 1:
        found["random walk"] = NormalSteps(training, walk=True)
    return found
