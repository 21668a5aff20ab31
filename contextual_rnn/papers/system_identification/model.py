"""A model of a measured system: a core, its initial state, and a linear readout of its outputs.

x_0 = initial state,  x_t = f(x_(t-1), u_t),  y_t = c x_t + d
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.records import Batch, Record
from ..._core.state import State, move
from ...cores import make_core
from ...initial_state import ContextState
from ...kinds import KINDS
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...scaling import StandardisedColumns
from ...state_estimation import estimate_state
from .state_space_model import StateSpace

CELLS = ("state-space", "lstm", "gru", "rnn")
STEPS = 20  # of the estimate of an initial state


@register
class SystemModel(StandardisedColumns):
    """Simulates an output from an input, after a window in which both are known.

    Args:
        initial_state: the name of a kind of initial state.
        window: k, the known steps.
        cell: one of `CELLS`.
        states: the width of the state of a core of states, or the hidden units of the others.
        units: the tanh units of a core of states.
        context_hidden: the units of g(window).
        estimate_weight: of the distance of an estimated initial state from its start; see `estimate_state`.
    """

    purpose = "predicts the output of a measured system"

    def __init__(
        self,
        initial_state: str,
        window: int,
        cell: str = "state-space",
        states: int = 4,
        units: int = 16,
        context_hidden: int = 32,
        estimate_weight: float = 0.1,
    ) -> None:
        super().__init__()
        self.initial_state, self.window, self.cell = initial_state, window, cell
        self.states, self.units, self.context_hidden = states, units, context_hidden
        self.estimate_weight = estimate_weight
        self.kind = KINDS[initial_state]
        self.reads_window = initial_state == "warm-up"
        width = 3 if self.reads_window else 1
        core = StateSpace(width, states, units) if cell == "state-space" else make_core(cell, width, states, 1)
        activation = None if cell == "state-space" else nn.Tanh()

        def make_context_state() -> ContextState:
            return ContextState(core, WithInput(MLP(2 * window, context_hidden, "tanh")), activation=activation)

        self.rnn = ContextualRNN(core, self.kind.build(core, make_context_state))
        self.head = nn.Linear(states, 1)
        self.add_scales(1, 1)

    def forward(self, inputs: Tensor, opening: Tensor) -> Tensor:
        """Return the simulated targets after the window, (B, T - k, 1), in their own unit.

        Args:
            inputs: (B, T, 1), in their own unit.
            opening: (B, k, 1), the targets of the window.
        """
        k, kind = self.window, self.kind
        inputs, opening = self.standardised_inputs(inputs), self.standardised_targets(opening)
        context = torch.cat([inputs[:, :k, 0], opening[:, :, 0]], dim=1) if kind.needs_context else None
        if self.reads_window:
            known = torch.cat([opening, torch.ones_like(opening)], dim=2)
            inputs = torch.cat([inputs, nn.functional.pad(known, (0, 0, 0, inputs.shape[1] - k))], dim=2)
            context = None
        elif kind.is_estimated and not self.training:
            start = self._estimated(inputs[:, :k], opening, context)
            return self._read(self.rnn(inputs, state=start)[0][:, k:])
        elif not kind.runs_over_window:
            return self._read(self.rnn(inputs[:, k:], context)[0])
        return self._read(self.rnn(inputs, context)[0][:, k:])

    @torch.no_grad()
    def predict(self, record: Record) -> Tensor:
        """Return the simulated targets of a record after the window, (T - k, 1)."""
        return self(record.inputs.unsqueeze(0), record.targets[: self.window].unsqueeze(0))[0]

    def _estimated(self, inputs: Tensor, opening: Tensor, context: Tensor | None) -> State:
        rnn, head = copy.deepcopy(self.rnn).double(), copy.deepcopy(self.head).double()  # float32 stops at its rounding

        def simulate(inputs: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = rnn(inputs, state=state)
            return head(output), state

        start = move(self.rnn.initial_state(len(inputs), context), torch.float64)
        found = estimate_state(
            simulate, inputs.double(), opening.double(), start=start, weight=self.estimate_weight, iterations=STEPS
        )
        return move(found, inputs.dtype)

    def _read(self, output: Tensor) -> Tensor:
        return self.head(output) * self.target_scale + self.target_mean


class WithInput(nn.Module):
    """Returns the input of a network beside its output, (B, D + F)."""

    def __init__(self, network: MLP) -> None:
        super().__init__()
        self.network = network
        self.out_features = network.in_features + network.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D + F) of (B, D)."""
        return torch.cat([x, self.network(x)], dim=1)


def loss(model: SystemModel, batch: Batch) -> Tensor:
    """Return the mean squared error of the standardised targets after the window."""
    inputs, targets = batch[:2]
    return (
        ((model(inputs, targets[:, : model.window]) - targets[:, model.window :]) / model.target_scale).square().mean()
    )


def rmse(predicted: Tensor, record: Record, window: int, steps: int | None = None) -> float:
    """Return the root mean squared error of predictions (T - k, 1) of a record, or of their first steps only."""
    return float((predicted - record.targets[window:])[:steps].double().square().mean().sqrt())


def ensemble(models: Sequence[SystemModel], record: Record) -> Tensor:
    """Return the mean of the predictions of several models, (T - k, 1)."""
    return torch.stack([model.predict(record) for model in models]).mean(dim=0)
