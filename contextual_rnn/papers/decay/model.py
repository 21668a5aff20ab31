"""Linear cosine decay (Wenke and Fleming, arXiv 1902.03455, section 2.2.2): data, model and metrics.

    x(t) = x0 [(alpha + (tf - t) / tf) (1 + cos(2 pi T t / tf)) / 2 + beta]          (3)

The text has sequences of 25 steps; the authors' code takes tf = 26 and t = 0..25, which gives 25 inputs x(0)..x(24) and
25 targets, the changes x(t) - x(t - 1). This follows the code.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ..._core.module_config import register
from ..._core.state import State
from ...initial_state import ContextState, Generator
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ..common import he_truncated_normal
from ..common import initial_state as make_initial_state

ALPHA, BETA = 0.0, 0.001
STEPS = 25
TRAINING_PERIODS = (0.5, 1.5, 2.5, 3.5, 4.5)
VALIDATION_PERIODS = (1.0, 2.0, 3.0, 4.0)
HIDDEN, CONTEXT_HIDDEN = 128, 50


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
    """Sequences of one data set: `x` (B, 26) in their own unit, and `period` (B,)."""

    x: Tensor
    period: Tensor

    @classmethod
    def draw(cls, periods: tuple[float, ...], each: int, seed: int) -> Sequences:
        """Draw `each` sequences of every period, x0 ~ U(2, 4)."""
        generator = torch.Generator().manual_seed(seed)
        period = torch.tensor(periods).repeat_interleave(each)
        x0 = 2 + 2 * torch.rand(len(period), generator=generator)
        return cls(decay(x0, period), period)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """What maps values to [-1, 1]: x from [0, 4], T from [.5, 4.5], changes from their range in training."""

    lowest_change: float
    highest_change: float

    @classmethod
    def of(cls, training: Sequences) -> Scaling:
        """Take the range of changes from the training sequences."""
        change = training.x.diff(dim=1)
        return cls(float(change.min()), float(change.max()))

    def value(self, x: Tensor) -> Tensor:
        """Scale values."""
        return x / 2 - 1

    def period(self, period: Tensor) -> Tensor:
        """Scale periods."""
        return (period - 2.5) / 2

    def change(self, change: Tensor) -> Tensor:
        """Scale changes."""
        return 2 * (change - self.lowest_change) / (self.highest_change - self.lowest_change) - 1

    def unscale_change(self, scaled: Tensor) -> Tensor:
        """Scale changes back, clipped to their range in training."""
        share = (scaled.clamp(-1, 1) + 1) / 2
        return self.lowest_change + share * (self.highest_change - self.lowest_change)


@register
class DecayModel(nn.Module):
    """The paper's model: an LSTM of 128 units and one linear output, the scaled change.

    Args:
        initial_state: one of `paper.KINDS`.
        period_at_every_step: whether T is joined to every input.
        lowest_change: the least change from step to step in the training data, in the unit of x.
        highest_change: the greatest.
    """

    def __init__(
        self, initial_state: str, period_at_every_step: bool, lowest_change: float, highest_change: float
    ) -> None:
        super().__init__()
        core = nn.LSTM(2 if period_at_every_step else 1, HIDDEN, batch_first=True)
        context = ContextState(core, MLP(2, [CONTEXT_HIDDEN]))
        self.rnn = ContextualRNN(core, make_initial_state(initial_state, core, context))
        self.head = nn.Linear(HIDDEN, 1)
        self.initial_state, self.period_at_every_step = initial_state, period_at_every_step
        self.scaling = Scaling(lowest_change, highest_change)
        self.apply(_initialise)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {
            "initial_state": self.initial_state,
            "period_at_every_step": self.period_at_every_step,
            **dataclasses.asdict(self.scaling),
        }

    def forward(self, x: Tensor, period: Tensor) -> Tensor:
        """Return the scaled changes (B, T) after inputs x (B, T), given the period (B,)."""
        output, _ = self.rnn(self._inputs(x, period), self._context(x, period))
        return self.head(output).squeeze(-1)

    @torch.no_grad()
    def free_run(
        self, x0: Tensor, period: Tensor, steps: int, sample: bool = False, generator: Generator = None
    ) -> Tensor:
        """Return x(0)..x(steps) (B, steps + 1), each value but the first being the model's own.

        Args:
            x0: (B,) x(0).
            period: (B,).
            steps: how many changes to predict.
            sample: whether to sample h0, where it is a distribution.
            generator: where that sample comes from.
        """
        x, values = x0, [x0]
        state: State | None = None
        context = self._context(x0.unsqueeze(-1), period)
        for _ in range(steps):
            inputs = self._inputs(x.unsqueeze(-1), period)
            if state is None:
                output, state = self.rnn(inputs, context, sample=sample, generator=generator)
            else:
                output, state = self.rnn(inputs, state=state)
            x = x + self.scaling.unscale_change(self.head(output[:, 0]).squeeze(-1))
            values.append(x)
        return torch.stack(values, dim=1)

    def _context(self, x: Tensor, period: Tensor) -> Tensor:
        return torch.stack([self.scaling.value(x[:, 0]), self.scaling.period(period)], dim=-1)

    def _inputs(self, x: Tensor, period: Tensor) -> Tensor:
        value = self.scaling.value(x)
        if not self.period_at_every_step:
            return value.unsqueeze(-1)
        return torch.stack([value, self.scaling.period(period).unsqueeze(-1).expand_as(value)], dim=-1)


def _initialise(module: nn.Module) -> None:
    """He (truncated normal) for dense layers; Glorot (uniform) for the LSTM, with a forget bias of 1."""
    if isinstance(module, nn.Linear):
        he_truncated_normal(module)
    elif isinstance(module, nn.LSTM):
        for name, parameter in module.named_parameters():
            if name.startswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
            if name == "bias_ih_l0":
                nn.init.ones_(parameter[HIDDEN : 2 * HIDDEN])


def loss(model: DecayModel, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean squared error of the scaled change, of sequences x (B, 26) and periods (B,)."""
    x, period = batch
    return mse_loss(model(x[:, :-1], period), model.scaling.change(x.diff(dim=1)))


def shuffled(sequences: Sequences, size: int = 128) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return what gives an epoch's batches, the sequences shuffled."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(sequences.x)).split(size):
            yield sequences.x[rows], sequences.period[rows]

    return batches


def one_step_error(model: DecayModel, sequences: Sequences) -> float:
    """Return the mean squared error of the scaled change, given the true value at every step."""
    return float(loss(model, (sequences.x, sequences.period)).detach())


def free_run_error(model: DecayModel, sequences: Sequences) -> float:
    """Return the root mean squared error of whole trajectories run from x(0) alone, in the unit of x."""
    run = model.free_run(sequences.x[:, 0], sequences.period, STEPS)
    return float((run - sequences.x)[:, 1:].square().mean().sqrt())
