"""Forecasts of series by encoder and decoder: the past is read, the future is written, each step from the one before.

    encoder over (u_t, y_t) of the past;  decoder's h_0 = bridge(its final state)
    h_s = decoder([y_{s-1}; u_s], h_{s-1}),  y_s = W h_s + b

The inputs u are known in the future too. Targets are standardised; the decoder's are differences from the last known
value, which holding it would make 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ...data.standardise import mean_and_scale
from ...initial_state import ConstantState, ContextState, InitialState
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...seq2seq import Decoder, Encoder, EncoderDecoder, ScheduledSampling, make_attention, make_bridge
from ..pairs.model import CELLS
from ..series.train import Record, random_windows, unit

AT_ONCE = 256  # stretches forecast at once


class Stretches(NamedTuple):
    """Stretches of series: inputs (B, past + horizon, U), targets (B, past + horizon, Y), context (B, C)."""

    inputs: Tensor
    targets: Tensor
    context: Tensor


@dataclasses.dataclass(frozen=True)
class ForecastConfig:
    """A model that forecasts.

    Attributes:
        past: steps that are read.
        horizon: steps that are forecast.
        cell: of encoder and decoder, lstm or gru.
        hidden: units of each.
        layers: of each.
        bridge: zero, project, concat or copy.
        attention: none, additive or multiplicative.
        context_hidden: units of the network from the context columns to the encoder's own h0.
    """

    past: int = 50
    horizon: int = 20
    cell: str = "gru"
    hidden: int = 32
    layers: int = 1
    bridge: str = "project"
    attention: str = "none"
    context_hidden: int = 32


@register
class ForecastModel(nn.Module):
    """An encoder over the past and a decoder over the future.

    Args:
        config: the model.
        inputs: U, the number of input columns.
        targets: Y, the number of target columns.
        context: C, the width of the vector known of a whole series.

    Attributes:
        updates: how many training steps it has taken, (); scheduled sampling goes by it.
    """

    input_mean: Tensor
    input_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor
    updates: Tensor

    def __init__(self, config: ForecastConfig | dict[str, Any], inputs: int, targets: int, context: int = 0) -> None:
        super().__init__()
        self.settings = config if isinstance(config, ForecastConfig) else ForecastConfig(**config)
        self.sizes = {"inputs": inputs, "targets": targets, "context": context}
        given, cell = self.settings, CELLS[self.settings.cell]
        reads = cell(inputs + targets, given.hidden, given.layers, batch_first=True)
        writes = cell(targets + inputs, given.hidden, given.layers, batch_first=True)
        own: InitialState = ConstantState(reads)
        if context:
            own = ContextState(reads, MLP(context, [given.context_hidden]), activation=nn.Tanh())
        attention = make_attention(given.attention, given.hidden, given.hidden)
        decoder = Decoder(ContextualRNN(writes, make_bridge(given.bridge, reads, writes)), targets, None, attention)
        self.pairs = EncoderDecoder(Encoder(ContextualRNN(reads, own)), decoder)
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
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

    def loss(self, stretches: Stretches, feeding: ScheduledSampling | None = None) -> Tensor:
        """Return the mean squared error of standardised targets, each step fed as `feeding` says."""
        source, first, known, last = self._prepared(stretches.inputs, stretches.targets[:, : self.settings.past])
        future = (stretches.targets[:, self.settings.past :] - last) / self.target_scale
        return self.pairs.loss(
            source,
            future,
            context=self._told(stretches.context),
            feeding=feeding,
            training_step=int(self.updates),
            first=first,
            known=known,
        )

    def forecast(self, inputs: Tensor, past: Tensor, context: Tensor) -> Tensor:
        """Return the forecasts (B, horizon, Y) in the targets' units.

        Args:
            inputs: (B, past + horizon, U), in their own units.
            past: (B, past, Y) the known targets.
            context: (B, C) what is known of each series.
        """
        source, first, known, last = self._prepared(inputs, past)
        found = self.pairs.free_run(source, first, self.settings.horizon, context=self._told(context), known=known)
        return found * self.target_scale + last

    def _prepared(self, inputs: Tensor, past: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the encoder's source, the decoder's first element and known inputs, and the last known targets."""
        inputs = (inputs - self.input_mean) / self.input_scale
        source = torch.cat([inputs[:, : self.settings.past], (past - self.target_mean) / self.target_scale], dim=2)
        return source, torch.zeros_like(past[:, 0]), inputs[:, self.settings.past :], past[:, -1:]

    def _told(self, context: Tensor) -> Tensor | None:
        return context if self.sizes["context"] else None


def stack(records: Sequence[Record]) -> Stretches:
    """Return records of one length as a batch."""
    parts = [torch.stack([getattr(record, name) for record in records]) for name in ("inputs", "targets", "context")]
    return Stretches(*parts)


def windows(records: Sequence[Record], config: ForecastConfig) -> list[Record]:
    """Cut records into stretches of past and horizon whose horizons follow each other and do not overlap."""
    size = config.past + config.horizon
    return [
        record.part(start, start + size)
        for record in records
        for start in range(0, len(record) - size + 1, config.horizon)
    ]


@torch.no_grad()
def forecasts(model: ForecastModel, stretches: Sequence[Record]) -> Iterator[Tensor]:
    """Yield the forecast (horizon, Y) of every stretch, of which the targets of its past alone are read."""
    place, past = model.updates.device, model.settings.past
    for at in range(0, len(stretches), AT_ONCE):
        batch = stack(stretches[at : at + AT_ONCE])
        found = model.forecast(batch.inputs.to(place), batch.targets[:, :past].to(place), batch.context.to(place))
        yield from found.cpu()


def squared_errors(model: ForecastModel, stretches: Sequence[Record]) -> Tensor:
    """Return the squared errors (N, horizon), a mean over targets, in `series_training.unit`."""
    return _mean_squares(torch.stack(list(forecasts(model, stretches))), stretches, model)


def hold_last(model: ForecastModel, stretches: Sequence[Record]) -> Tensor:
    """Return those of holding the last known value."""
    past = model.settings.past
    held = torch.stack([record.targets[past - 1 : past].expand(model.settings.horizon, -1) for record in stretches])
    return _mean_squares(held, stretches, model)


def _mean_squares(found: Tensor, stretches: Sequence[Record], model: ForecastModel) -> Tensor:
    future = torch.stack([record.targets[model.settings.past :] for record in stretches])
    return ((found.double() - future.double()) / unit(model).double()).square().mean(2)


def random_stretches(
    records: Sequence[Record], size: int, batch_size: int, updates: int
) -> Callable[[], Iterator[Stretches]]:
    """Return what draws an epoch's batches: `updates` of `batch_size` stretches of `size` steps, all equally likely."""
    draw = random_windows(records, size, batch_size, updates)

    def batches() -> Iterator[Stretches]:
        for inputs, targets, context, _ in draw():
            yield Stretches(inputs, targets, context)

    return batches
