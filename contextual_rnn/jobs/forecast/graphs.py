"""The graphs of a model of forecasts, which `export` writes: the forecast, its encoder, and one step of its decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..._core.state import leaves
from ...data.series import input_width, target_width
from ...errors import InputError
from ...export.field_columns import FieldColumns
from ...export.files import Graphs
from ...export.graph_spec import GraphSpec, Input
from ...export.rnn_graphs import STATE_NAMES, core_width, next_names
from ...export.seq2seq_graphs import DecoderStep, decoder_inputs

if TYPE_CHECKING:
    from .model import ForecastModel

RESERVED = (
    *("past_inputs", "future_inputs", "past_targets", "forecast", "quantiles", "base", "scale", "known", "keys"),
    *("values", *STATE_NAMES),
)


class Forecasting(nn.Module):
    """Forecast, from the past and from the inputs that are known ahead."""

    def __init__(self, model: ForecastModel, columns: FieldColumns) -> None:
        super().__init__()
        self.model, self.columns = model, columns

    def read(self, past_targets: Tensor, rest: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the arguments of `ForecastModel.forward`; columns that are not known ahead are NaN in the future."""
        settings, width = self.model.settings, len(self.model.input_mean)
        size, given = past_targets.shape[0], list(rest)
        inputs = past_targets.new_zeros(size, settings.past + settings.horizon, 0)
        if width:
            past, ahead = given.pop(0), self.model.known_ahead
            columns = [torch.full_like(past_targets[:, :1, :1], torch.nan).expand(-1, settings.horizon, -1)] * width
            if ahead:
                future = given.pop(0)
                for place, column in enumerate(ahead):
                    columns[column] = future[:, :, place : place + 1]
            inputs = torch.cat([past, torch.cat(columns, dim=2)], dim=1)
        return inputs, past_targets, self.columns.vector(given, past_targets)

    def forward(self, past_targets: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return the forecast (B, horizon, Y), and its quantiles (B, Q, horizon, Y), if the model has any."""
        inputs, past, context = self.read(past_targets, rest)
        found = self.model(inputs, past, context)
        if not self.model.settings.quantiles:
            return (found,)
        scale = self.model._prepared(inputs, past, context)[4]
        return found, found.unsqueeze(1) + self.model.offsets * (scale.unsqueeze(1) if scale.dim() == 3 else scale)


class Encoding(Forecasting):
    """Encode the past, and start the decoder."""

    def forward(self, past_targets: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return the base and the scale of the forecast, what is known ahead, and the decoder's state and memory."""
        inputs, past, context = self.read(past_targets, rest)
        source, _, known, base, scale = self.model._prepared(inputs, past, context)
        lengths = torch.full_like(source[:, 0, 0], source.shape[1]).long()
        (state, _), memory = self.model.pairs.encode(source, lengths, self.model._known(context), sample=False)
        horizon, size = self.model.settings.horizon, source.shape[0]
        whole = scale.expand(size, 1, -1) if scale.dim() == 3 else scale.view(1, 1, -1).expand(size, 1, -1)
        return (
            base.expand(-1, horizon, -1).clone(), whole.clone(), *([known.clone()] if known.shape[2] else []),
            *leaves(state), *(() if memory is None else memory[:2]),
        )  # fmt: skip


def forecast_graphs(model: ForecastModel) -> Graphs:
    """Return the graphs of a model of forecasts.

    Raises:
        InputError: the model keeps a scale for each series by its name, which no graph reads.
    """
    if model.scales is not None:
        raise InputError(
            "`scale` series keeps a scale for each series by its name, which no graph reads; train with another `scale`"
        )
    settings, columns = model.settings, FieldColumns(model.fields, RESERVED)
    width, ahead = input_width(settings), len(model.known_ahead)
    inputs = [Input("past_targets", ("batch", settings.past, target_width(settings)), about="in their own units")]
    if width:
        inputs.append(Input("past_inputs", ("batch", settings.past, width), about="of the past, in their own units"))
    if ahead:
        inputs.append(Input("future_inputs", ("batch", settings.horizon, ahead), about="those that are known ahead"))
    inputs += columns.inputs
    state, memory = decoder_inputs(model.pairs)
    names = [one.name for one in state]
    read = core_width(model.pairs.decoder.rnn.core)
    started = [
        "base",
        "scale",
        *(["known"] if read > len(settings.targets) else []),
        *names,
        *(one.name for one in memory[:2]),
    ]
    fed = Input("fed", ("batch", read), about="the last output, and what is known of the step")
    outputs = ["output", *next_names(names)]
    forecasts = ["forecast", *(["quantiles"] if settings.quantiles else [])]
    about = "one step of the decoder: a forecast is output * scale + base"
    specs = [
        GraphSpec("", Forecasting(model, columns), inputs, forecasts, about="forecasts"),
        GraphSpec("encoder", Encoding(model, columns), inputs, started, about="the past encoded"),
        GraphSpec("step", DecoderStep(model.pairs), [fed, *state, *memory], outputs, about=about),
    ]
    described: dict[str, Any] = {
        "job": "forecast",
        "past": settings.past,
        "horizon": settings.horizon,
        "labels": columns.labels,
        "context": columns.names,
    }
    described |= {"input_columns": [*settings.inputs, *settings.past_inputs], "known_ahead": model.known_ahead}
    described |= {"quantiles": list(settings.quantiles)}
    described |= {"input_labels": model.coding.labels, "offsets": model.coding.offsets}
    return Graphs(specs, {**described, "target_columns": list(settings.targets), "missing": settings.missing})
