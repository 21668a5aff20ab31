"""Series with inputs and targets: simulate the targets from the inputs and what is known at the start.

    h_0 = initial state,  h_t = f(h_{t-1}, u_t),  y_t = W h_t + b

The first k steps of a series, its window, may be known with their targets. Where the state is a function of them, it
starts after them; every kind is scored on the same steps, those after the window. Targets after the window are never
fed back, so that every run is a free run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.state import State
from ...data.standardise import mean_and_scale
from ...fast_weights.rnn import FastWeightsRNN
from ...initial_state import ConstantState, ContextState, ErrorNoise, FreeState, GaussianState, InitialState
from ...mlp import MLP
from ...recurrent import ContextualRNN

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
Start = Literal["zero", "free", "error-noise", "context", "gaussian"]
Kind = Literal["zero", "free", "error-noise", "warm-up", "every-step", "context", "gaussian"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NEED_CONTEXT = ("warm-up", "every-step", "context", "gaussian")
AFTER_WINDOW = ("every-step", "context", "gaussian")  # the others run over the window as well


@dataclasses.dataclass(frozen=True)
class SeriesConfig:
    """A model of series.

    Attributes:
        initial_state: one of `KINDS`; the controls `warm-up` and `every-step` start from zero.
        cell: lstm, gru, rnn, or fast-weights, which has one layer.
        hidden: units of each layer.
        layers: of the core.
        window: k, the steps at the start whose targets are known, in steps.
        context_hidden: units of the context network's hidden layer.
    """

    initial_state: str = "context"
    cell: str = "gru"
    hidden: int = 32
    layers: int = 1
    window: int = 0
    context_hidden: int = 32


@register
class SeriesModel(nn.Module):
    """A recurrent core that simulates series, its initial state, and a linear readout.

    Args:
        config: the model.
        inputs: U, the number of input columns.
        targets: Y, the number of target columns.
        context: C, the width of the vector known of a whole series.
    """

    input_mean: Tensor
    input_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, config: SeriesConfig | dict[str, Any], inputs: int, targets: int, context: int = 0) -> None:
        super().__init__()
        self.settings = config if isinstance(config, SeriesConfig) else SeriesConfig(**config)
        self.sizes = {"inputs": inputs, "targets": targets, "context": context}
        kind, window = self.settings.initial_state, self.settings.window
        self.vector_size = context + window * (inputs + targets)
        self.joined_size = {"warm-up": targets + context + 1, "every-step": self.vector_size}.get(kind, 0)
        core = core_of(self.settings.cell, inputs + self.joined_size, self.settings.hidden, self.settings.layers)
        self.rnn = ContextualRNN(core, initial_state_of(self.settings, core, self.vector_size))
        self.head = nn.Linear(self.settings.hidden, targets)
        for name, size in (("input", inputs), ("target", targets)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"config": dataclasses.asdict(self.settings), **self.sizes}

    def standardise(self, inputs: Tensor, targets: Tensor) -> None:
        """Take means and scales from training steps: inputs (N, U), targets (N, Y)."""
        for name, values in (("input", inputs), ("target", targets)):
            mean, scale = mean_and_scale(values)
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_scale").copy_(scale)

    def forward(self, inputs: Tensor, opening: Tensor, context: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """Simulate from the start.

        Args:
            inputs: (B, T, U), in their own units, padded.
            opening: (B, k, Y) targets of the window.
            context: (B, C) what is known of each series.
            lengths: (B,) steps of each series, the window's included; more than k.

        Returns:
            Predictions (B, T - k, Y) in the targets' units, and the state to carry on from: the core's own, and the
            vector joined to every input.
        """
        k, kind = self.settings.window, self.settings.initial_state
        inputs = (inputs - self.input_mean) / self.input_scale
        opening = (opening - self.target_mean) / self.target_scale
        vector = torch.cat([context, inputs[:, :k].flatten(1), opening.flatten(1)], dim=-1)
        if kind in AFTER_WINDOW:
            inputs, lengths = inputs[:, k:], lengths - k
        joined = _joined(kind, inputs.shape[1], vector, opening, context)
        known = vector if kind in ("context", "gaussian") else None
        output, state = self.rnn(torch.cat([inputs, joined], dim=-1), known, lengths=_unless_equal(lengths, inputs))
        output = output if kind in AFTER_WINDOW else output[:, k:]
        return self._read(output), (state, joined[:, -1] if kind == "every-step" else vector[:, :0])

    def carry_on(self, inputs: Tensor, state: State, lengths: Tensor) -> tuple[Tensor, State]:
        """Go on from a state that `forward` or `carry_on` returned: inputs (B, T, U) to predictions (B, T, Y)."""
        core_state, vector = state
        inputs = (inputs - self.input_mean) / self.input_scale
        joined = (
            vector if self.settings.initial_state == "every-step" else vector.new_zeros(len(vector), self.joined_size)
        )
        joined = joined.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        unequal = _unless_equal(lengths, inputs)
        output, core_state = self.rnn(torch.cat([inputs, joined], dim=-1), state=core_state, lengths=unequal)
        return self._read(output), (core_state, vector)

    def _read(self, output: Tensor) -> Tensor:
        return self.head(output) * self.target_scale + self.target_mean


def core_of(cell: str, inputs: int, hidden: int, layers: int) -> nn.Module:
    """Return the recurrent core of a name; fast-weights has one layer."""
    return (
        FastWeightsRNN(inputs, hidden)
        if cell == "fast-weights"
        else CELLS[cell](inputs, hidden, layers, batch_first=True)
    )


def initial_state_of(config: Any, core: nn.Module, context: int) -> InitialState:
    """Return the initial state that a configuration names, for a context (B, `context`); a control's is zero."""
    if config.initial_state == "free":
        return FreeState(core)
    if config.initial_state == "error-noise":
        return ErrorNoise(FreeState(core))
    if config.initial_state not in ("context", "gaussian"):
        return ConstantState(core)
    told = ContextState(core, MLP(context, [config.context_hidden]), activation=nn.Tanh())
    return GaussianState(told) if config.initial_state == "gaussian" else told


def _joined(kind: str, steps: int, vector: Tensor, opening: Tensor, context: Tensor) -> Tensor:
    """Return what is joined to every input of the controls (B, steps, ...): nothing, for the others."""
    size, window = opening.shape[:2]
    if kind == "every-step":
        return vector.unsqueeze(1).expand(-1, steps, -1)
    if kind != "warm-up":
        return vector.new_zeros(size, steps, 0)
    known = torch.cat([opening, context.unsqueeze(1).expand(-1, window, -1), opening.new_ones(size, window, 1)], -1)
    return nn.functional.pad(known, (0, 0, 0, steps - window))


def _unless_equal(lengths: Tensor, padded: Tensor) -> Tensor | None:
    return None if bool((lengths == padded.shape[1]).all()) else lengths
