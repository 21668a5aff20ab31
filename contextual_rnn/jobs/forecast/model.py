"""Forecasts of series by an encoder and a decoder: one reads the past, the other writes the future step by step.

    encoder over [u_t; y_t] of the past;  the decoder's h_0 = bridge(the encoder's final state)
    h_s = decoder([y_{s-1}; u_s], h_{s-1}),  y_s = W h_s + b

The inputs u are known in the future, too. The encoder reads standardised targets; the decoder reads and writes
differences from the last known targets, so that an output of 0 is the persistence forecast. Targets are scaled by their
mean and standard deviation over the training table, or, with `scale` window, over the past of each window (as in Kim et
al. 2022, reversible instance normalization).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.records import Batch, Record, collate, read_targets
from ...coding import Coding, encoded_width, places_of
from ...context import Field
from ...cores import make_core
from ...data.missing import REFUSE, hold_the_end
from ...data.of_fit import read_by_a_model
from ...data.season import season_in_past, season_places
from ...data.series import context_width, input_width, inputs_of, target_width
from ...data.series_scales import SeriesScales, split_level, usual_spread, window_scale
from ...data.table import Source
from ...errors import InputError
from ...explore.explorable import Explorable
from ...explore.explored import Explored
from ...explore.page import Page
from ...export.files import Graphs
from ...initial_state import ConstantState, ContextState, InitialState
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...scaling import StandardisedColumns
from ...seq2seq import Decoder, Encoder, EncoderDecoder, ScheduledSampling, make_attention, make_bridge
from ...study.restored import Restored
from .direct_linear import DirectLinear
from .quantiles import names_of_quantiles, quantile_forecasts
from .settings import ForecastSettings
from .windows import Question

if TYPE_CHECKING:
    from .errors import ForecastErrors

CHUNK = 256  # windows forecast at once, which bounds the memory


def known_ahead(settings: ForecastSettings) -> list[int]:
    """Return the columns of a record's inputs that are known of the future: all but past-only ones."""
    first, both = len(settings.inputs), len(inputs_of(settings))
    indicators = 0 if settings.missing == REFUSE else both
    kept = [*range(first), *range(both, both + first * bool(indicators))]
    return [*kept, *range(both + indicators, input_width(settings))]


@register
class ForecastModel(Restored, StandardisedColumns, Explorable):
    """An encoder over the past and a decoder over the horizon.

    Args:
        settings: the model's columns, sizes, bridge and attention.
        fields: a field for every context column, which turns its values into numbers.
        frequency: of the rows of the training table, in words, such as "1 day"; None if it has no column of times.
        linear: whether the model keeps a linear model as a baseline; with `base` linear, it always has one.
        scales: those of the training series, with `scale` series only.
        coding: how the cells of the training table became numbers. Inputs that are labels are one-hot encoded.

    Attributes:
        updates: the number of training steps so far, (); scheduled sampling depends on it.
        usual: (Y,), with `scale` window only: the usual spread of a window's past relative to its level.
        offsets: (Q, horizon, Y), with `quantiles` only: the quantiles of scaled errors; see `fit_quantiles`.
    """

    purpose = "forecasts series; use `forecast`"

    updates: Tensor
    usual: Tensor
    offsets: Tensor

    def __init__(
        self,
        settings: ForecastSettings | dict[str, Any],
        fields: dict[str, Field] | None = None,
        frequency: str | None = None,
        linear: bool = False,
        scales: SeriesScales | None = None,
        coding: Coding | dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.frequency, self.scales, self.coding = frequency, scales, Coding.of(coding)
        given = settings if isinstance(settings, ForecastSettings) else ForecastSettings.from_json(settings)
        self.settings = given
        self.add_fields(fields or {}, given.context)
        self.label_counts = self.coding.counts(inputs_of(given))
        columns, targets, context = input_width(given), len(given.targets), context_width(self.fields)
        self.scaled_inputs, self.fills = len(inputs_of(given)), given.missing != REFUSE or bool(given.past_inputs)
        self.known_ahead = known_ahead(given)
        self.read_ahead = places_of(self.known_ahead, columns, self.label_counts)
        inputs = encoded_width(columns, self.label_counts)
        encoder = make_core(given.cell, inputs + target_width(given), given.hidden, given.layers)
        self.season = season_in_past(frequency, given.past) if given.base == "seasonal" else None
        self.linear = self.make_linear() if linear or given.base == "linear" else None
        known = len(self.read_ahead) + (targets if given.base in ("seasonal", "linear") else 0)
        decoder = make_core(given.cell, targets + known, given.hidden, given.layers)
        start: InitialState = ConstantState(encoder)
        if context:
            start = ContextState(encoder, MLP(context, [given.context_hidden]), activation=nn.Tanh())
        attention = make_attention(given.attention, given.hidden, given.hidden)
        rnn = ContextualRNN(decoder, make_bridge(given.bridge, encoder, decoder))
        self.pairs = EncoderDecoder(Encoder(ContextualRNN(encoder, start)), Decoder(rnn, targets, None, attention))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        if given.base == "linear":
            self.add_nothing()
        self.add_scales(columns, targets)
        names = inputs_of(given), given.targets
        self.leave_out_indicators(*map(self.coding.trained_indicators, names))
        if given.quantiles:
            self.register_buffer("offsets", torch.zeros(len(given.quantiles), given.horizon, targets))
        if given.scale == "window":
            self.register_buffer("usual", torch.zeros(targets))

    def add_nothing(self) -> None:
        """Set the output layer of the decoder to 0, so that forecasts are those of the base."""
        for parameter in self.pairs.decoder.output.parameters():
            nn.init.zeros_(parameter)

    def make_linear(self) -> DirectLinear:
        """Return a linear model of the same columns, whose weights are 0."""
        indicators = target_width(self.settings) - len(self.settings.targets)
        columns, context = input_width(self.settings), context_width(self.fields)
        inputs = encoded_width(columns, self.label_counts) + indicators
        return DirectLinear(self.settings, inputs, len(self.read_ahead), context)

    @classmethod
    def page(cls, explored: Explored) -> Page:
        """Return the page of such models; see `explore`."""
        from .page import ForecastPage

        return ForecastPage(explored)

    def standardise(self, records: Sequence[Record]) -> None:
        """Set the scales to those of training records; see `StandardisedColumns.standardise`."""
        super().standardise(records)
        past = self.settings.past
        if self.settings.scale == "window":
            parts = [record.read.unfold(0, past, past).transpose(1, 2) for record in records if len(record) >= past]
            self.usual.copy_(usual_spread(self.values_of(torch.cat(parts).to(self.device))))

    def with_levels(self, windows: Sequence[Record]) -> Sequence[Record]:
        """Return windows or series with the level of their series; as they are, unless `scale` is series.

        See `SeriesScales.with_levels`.
        """
        return windows if self.scales is None else self.scales.with_levels(windows, self.settings.past)

    def values_of(self, read: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the values (B, past, Y) of targets that may have indicators (B, past, 2Y).

        NaN becomes what is 0 after scaling: the training mean; with `scale` series, that of the series; with `scale`
        window, the mean of the window's known values, if there are any.

        Args:
            read: the targets.
            level: (B, 1, Y), the mean of each series, with `scale` series only.
        """
        values = read[..., : len(self.target_mean)]
        if self.settings.missing == REFUSE:
            return values
        otherwise = self.target_mean if level is None else level
        if self.settings.scale == "window":
            mean = values.nanmean(1, keepdim=True)
            otherwise = torch.where(mean.isnan(), otherwise, mean)
        return torch.where(values.isnan(), otherwise, values)

    def scale_of(self, past: Tensor, level: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return what known targets (B, past, Y) are standardised by: mean and scale, (B, 1, Y) or (Y,) each.

        Args:
            past: the targets.
            level: the mean and scale of each series, with `scale` series only.
        """
        if level is not None:
            return level
        if self.settings.scale == "window":
            return window_scale(past, self.usual, self.target_scale)
        return self.target_mean, self.target_scale

    @torch.no_grad()
    def scales_of(self, windows: Sequence[Record]) -> Tensor:
        """Return the scale of the targets of each window, (N, 1, Y); see `scale_of`."""
        past = torch.stack([window.read[: self.settings.past] for window in windows]).to(self.device)
        level = self._split(torch.stack([window.context for window in self.with_levels(windows)]).to(self.device))[1]
        if self.settings.missing == "interpolate":
            past = hold_the_end(past, len(self.target_mean))
        scale = self.scale_of(self.values_of(past, level and level[0]), level)[1]
        return scale.cpu().expand(len(windows), 1, -1)

    def loss(self, batch: Batch, feeding: ScheduledSampling | None = None) -> Tensor:
        """Return the mean squared error of standardised targets over the horizon, (); missing ones are left out.

        Args:
            batch: windows: inputs (B, past + horizon, U), targets (B, past + horizon, Y), context (B, C) and lengths;
                and the filled targets (B, past + horizon, 2Y), if missing ones are filled.
            feeding: when the decoder reads its own outputs; None feeds the true targets.
        """
        inputs, targets, context, _ = batch[:4]
        past, read = self.settings.past, read_targets(batch)
        prepared, measured = self._prepared(inputs, read[:, :past], context), targets[:, past:]
        if bool(measured.isnan().any()):
            return self._masked_loss(measured, read[:, past:], prepared, context, feeding)
        source, first, known, base, scale = prepared
        future = (measured - base) / scale
        return self.pairs.loss(
            source,
            future,
            context=self._known(context),
            feeding=feeding,
            training_step=int(self.updates),
            first=first,
            known=known,
        )

    def _masked_loss(
        self,
        measured: Tensor,
        read: Tensor,
        prepared: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
        context: Tensor,
        feeding: ScheduledSampling | None,
    ) -> Tensor:
        """Return the loss of the measured targets of horizons, (B, horizon, Y) with NaN; `read` has them filled."""
        source, first, known, base, scale = prepared
        future = ((read[..., : measured.shape[2]] - base) / scale).nan_to_num(0)
        fed = torch.cat([torch.cat([first.unsqueeze(1), future[:, :-1]], dim=1), known], dim=2)
        outputs = self.pairs(source, fed, None, self._known(context), feeding, int(self.updates)).outputs
        there = ~measured.isnan()
        error = torch.where(there, outputs - future, 0).square()
        return error.sum() / there.sum().clamp(min=1)

    def forward(self, inputs: Tensor, past: Tensor, context: Tensor) -> Tensor:
        """Return the forecasts, (B, horizon, Y), in the targets' units.

        Args:
            inputs: (B, past + horizon, U), in their own units.
            past: (B, past, Y), the known targets; (B, past, 2Y) with indicators if missing ones are filled.
            context: (B, C), the context vector of each series; with `scale` series, followed by its mean and scale.
        """
        source, first, known, base, scale = self._prepared(inputs, past, context)
        found = self.pairs.free_run(source, first, self.settings.horizon, context=self._known(context), known=known)
        return found * scale + base

    @torch.no_grad()
    def forecasts(self, windows: Sequence[Record]) -> Iterator[Tensor]:
        """Yield the forecast (horizon, Y) of every window; of its targets, only those of the past are read."""
        for start in range(0, len(windows), CHUNK):
            batch = collate(self.with_levels(windows[start : start + CHUNK]))
            inputs, targets, context = (part.to(self.device) for part in (batch[0], read_targets(batch), batch[2]))
            yield from self(inputs, targets[:, : self.settings.past], context).cpu()

    def forecast(self, past: Source, future: Source | None = None) -> Any:
        """Forecast the steps that follow every series of a table.

        Args:
            past: the path of a file, or a data frame, with series whose inputs and targets are known. Forecasts are
                made from the last `past` steps of each, but the whole table is checked: give the last rows alone if
                values or rows are missing before them.
            future: for a model with inputs, a table with the inputs of the `horizon` steps that follow. With a column
                of times, its rows are found by their time; without one, it must hold exactly those steps. A model
                without inputs needs none; it takes one with the targets, to compare with, or with the times alone.

        Returns:
            A data frame of the kind of `past`, polars for a file, with `horizon` rows per series, in the order in which
            the series first appear in `past`: the series column if there is one, the times if the model has a column of
            times, in the type of that column of `past`, `step` (1 is the first step after the past), the measured
            targets if `future` has them, the forecasts, with `_predicted` after the targets' names, and their
            quantiles, such as `y_quantile_0.1`, if the model has any. Its pandas index is that of the rows of `future`,
            if both are pandas frames.

        Raises:
            InputError: a table is wrong, `future` is missing or lacks a series, or a series is too short.
        """
        return self.answer(self.question(past, future))

    def errors(self, past: Source, future: Source) -> ForecastErrors:
        """Return the errors of forecasts whose targets are known by now, of the model and of the baselines.

        They are RMSE, MAE, MASE and RMSSE, overall and by series. MASE and RMSSE are scaled by the rows of `past`, and
        the mean of the baseline of that name is the mean of the series in `past`.

        Args:
            past: see `forecast`.
            future: the table of the steps that follow, with the targets, and with the inputs if the model has any.

        Raises:
            InputError: a table is wrong, or `future` has no targets.
        """
        from .errors import forecast_errors

        found = forecast_errors(self, self.question(past, future))
        if found is None:
            raise InputError("`future` has no targets to compare the forecasts with")
        return found

    def graphs(self) -> Graphs:
        """Return what `export` writes; see `graphs.forecast_graphs`."""
        from .graphs import forecast_graphs

        return forecast_graphs(self)

    def question(self, past: Source, future: Source | None = None) -> Question:
        """Read the tables of `forecast`."""
        with read_by_a_model("past", "future"):
            return Question.read(past, future, self.settings, self.frequency, self.coding)

    def answer(self, question: Question) -> Any:
        """Return the data frame of `forecast`."""
        with read_by_a_model("past", "future"):
            windows = question.windows(self.settings, self.fields)
        forecasts = torch.stack(list(self.eval().forecasts(windows)))
        quantiles: dict[str, Any] = {}
        if self.settings.quantiles:
            found = quantile_forecasts(self, windows, forecasts)
            for name, level, place in names_of_quantiles(self):
                quantiles[name] = self.coding.restored(self.settings.targets[place], found[:, level, :, place])
        return question.frame(forecasts, self.settings, quantiles)

    def linear_regression(self, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor, Tensor, Tensor]:
        """Return what a linear model reads and forecasts of a minibatch of windows.

        Returns:
            The arguments of `DirectLinear.features`; the scaled differences of the targets of the horizon from the last
            known ones, (B, horizon, Y), NaN where a target is missing; and these last ones and the scale, (B, 1, Y).
        """
        past = self.settings.past
        context, level = self._split(batch[2])
        inputs, values, indicators, scaled, scale = self._scaled(batch[0], read_targets(batch)[:, :past], level)
        ahead, last = inputs[:, past:, self.read_ahead], values[:, -1:]
        read = scaled, torch.cat([inputs[:, :past], indicators], dim=2), ahead, context
        return read, (batch[1][:, past:] - last) / scale, last, scale

    def _prepared(self, inputs: Tensor, past: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the source, the decoder's first element and known inputs, the base of the forecast and the scale."""
        steps, (context, level) = self.settings.past, self._split(context)
        inputs, values, indicators, scaled, scale = self._scaled(inputs, past, level)
        source = torch.cat([inputs[:, :steps], scaled, indicators], dim=2)
        ahead = inputs[:, steps:, self.read_ahead] if self.settings.past_inputs else inputs[:, steps:]
        first, last = torch.zeros_like(values[:, 0]), values[:, -1:]
        if self.linear is not None and self.settings.base == "linear":
            read = torch.cat([inputs[:, :steps], indicators], dim=2)
            found = self.linear(scaled, read, ahead, context)
            return source, first, torch.cat([ahead, found], dim=2), last + found * scale, scale
        if self.season is not None:
            season = values[:, season_places(self.season, steps, self.settings.horizon)]
            return source, first, torch.cat([ahead, (season - last) / scale], dim=2), season, scale
        return source, first, ahead, last, scale

    def _scaled(
        self, inputs: Tensor, past: Tensor, level: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return scaled inputs; the targets of the past, the indicators of filled ones, the scaled ones, the scale."""
        size = len(self.target_mean)
        if self.settings.missing == "interpolate":
            past, inputs = hold_the_end(past, size), self._without_later(inputs)
        values, indicators = self.values_of(past, level and level[0]), self.indicators(past)
        mean, scale = self.scale_of(values, level)
        return self.standardised_inputs(inputs), values, indicators, (values - mean) / scale, scale

    def _without_later(self, inputs: Tensor) -> Tensor:
        """Replace past-only inputs that were interpolated beyond the past by the last known ones."""
        first, both = len(self.settings.inputs), len(inputs_of(self.settings))
        if first == both:
            return inputs
        places = [*range(first, both), *range(both + first, 2 * both)]
        steps = self.settings.past
        past, held = inputs[:, :steps], hold_the_end(inputs[:, :steps, places], both - first)
        columns = [  # new ones, since a graph that `export` records has no assignments
            held[..., places.index(column), None] if column in places else past[..., column, None]
            for column in range(inputs.shape[2])
        ]
        return torch.cat([torch.cat(columns, dim=2), inputs[:, steps:]], dim=1)

    def _split(self, context: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Return context vectors, and the mean and scale of each series with `scale` series; see `split_level`."""
        if self.scales is None:
            return context, None
        context, *level = split_level(context, len(self.target_mean))
        return context, (level[0], level[1])

    def _known(self, context: Tensor) -> Tensor | None:
        return self._split(context)[0] if self.fields else None
