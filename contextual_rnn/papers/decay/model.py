"""The paper's model of linear cosine decay, its loss, and its errors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ..._core.module_config import register
from ..._core.state import State
from ...initial_state import ContextState, Generator
from ...kinds import KINDS
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ..experiment import he_truncated_normal
from .data import STEPS, Scaling, Sequences

HIDDEN, CONTEXT_HIDDEN = 128, 50


@register
class DecayModel(nn.Module):
    """An LSTM of 128 units with one linear output: the change to the next step, scaled to [-1, 1].

    The context is (x(0), period), scaled to [-1, 1].

    Args:
        initial_state: one of `PAPER_KINDS`.
        period_at_every_step: whether the period is joined to every input.
        lowest_change: the smallest change from step to step in the training sequences, in the unit of x.
        highest_change: the largest one.
    """

    def __init__(
        self, initial_state: str, period_at_every_step: bool, lowest_change: float, highest_change: float
    ) -> None:
        super().__init__()
        core = nn.LSTM(2 if period_at_every_step else 1, HIDDEN, batch_first=True)
        context = ContextState(core, MLP(2, [CONTEXT_HIDDEN]))  # for every kind, so that the core starts equal
        self.rnn = ContextualRNN(core, KINDS[initial_state].build(core, lambda: context))
        self.head = nn.Linear(HIDDEN, 1)
        self.initial_state, self.period_at_every_step = initial_state, period_at_every_step
        self.lowest_change, self.highest_change = lowest_change, highest_change
        self.scaling = Scaling(lowest_change, highest_change)
        self.apply(_initialise)

    def forward(self, x: Tensor, period: Tensor) -> Tensor:
        """Return the scaled changes (B, T) after inputs x (B, T) with periods (B,)."""
        output, _ = self.rnn(self._inputs(x, period), self._context(x, period))
        return self.head(output).squeeze(-1)

    @torch.no_grad()
    def free_run(
        self, x0: Tensor, period: Tensor, steps: int, sample: bool = False, generator: Generator = None
    ) -> Tensor:
        """Return x(0)..x(steps) (B, steps + 1), where every value but the first is the model's own.

        Args:
            x0: (B,) x(0).
            period: (B,) the periods.
            steps: the number of changes to predict.
            sample: whether to sample h0, if it is a distribution.
            generator: of that sample.
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
    """Initialise dense layers as He et al., and the LSTM as Glorot and Bengio (uniform) with a forget bias of 1."""
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
    """Return the mean squared error of the scaled change, of sequences x (B, 26) with periods (B,)."""
    x, period = batch
    return mse_loss(model(x[:, :-1], period), model.scaling.change(x.diff(dim=1)))


def one_step_error(model: DecayModel, sequences: Sequences) -> float:
    """Return the mean squared error of the scaled change, given the true value at every step."""
    return float(loss(model, (sequences.x, sequences.period)).detach())


def free_run_error(model: DecayModel, sequences: Sequences) -> float:
    """Return the root mean squared error of trajectories that are run from x(0), in the unit of x."""
    run = model.free_run(sequences.x[:, 0], sequences.period, STEPS)
    return float((run - sequences.x)[:, 1:].square().mean().sqrt())
