"""A model that simulates the targets of series from their inputs and from what is known at the start.

    h_0 = initial state,  h_t = f(h_{t-1}, u_t),  y_t = W h_t + b

The first k steps of a series, its window, may be known with their targets. A kind of initial state that is a function
of the window starts after it. All kinds are scored on the same steps, those after the window. Targets after the window
are never fed back: every run is a free run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.records import Record, collate, read_targets
from ..._core.state import State, move, select_rows
from ..._core.tracing import values_are_known
from ...coding import Coding, encoded_width
from ...context import Field
from ...cores import make_core
from ...data.missing import REFUSE, hold_the_end
from ...data.season import season_in_past
from ...data.series import context_width, input_width, target_width
from ...data.series_scales import SeriesScales, split_level, usual_spread, window_scale
from ...data.table import Source
from ...explore.explorable import Explorable
from ...explore.explored import Explored
from ...explore.page import Page
from ...export.files import Graphs
from ...initial_state import ContextState
from ...linear import LinearModel
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...scaling import StandardisedColumns
from ...state_estimation import estimate_state
from ...study.restored import Restored
from .metrics import Predict, mean_baseline, persistence, seasonal
from .predict import Prediction, States, predict
from .settings import SeriesSettings
from .window_reader import SeriesWindowReader

CHUNK = 64  # series simulated at once, which bounds the memory
ITERATIONS = 10  # of the estimate of an h0


@register
class SeriesModel(Restored, StandardisedColumns, Explorable):
    """A recurrent core that simulates series, its initial state, and a linear readout.

    Args:
        settings: the model's columns, sizes and kind of initial state.
        fields: a field for every context column, which turns its values into numbers.
        frequency: of the rows of the training table, in words, such as "1 day"; None if it has no column of times.
        linear: a linear model of the same columns, kept as a baseline; None keeps none.
        scales: those of the training series, with `scale` series only.
        coding: how the cells of the training table became numbers. Inputs that are labels are one-hot encoded.

    Attributes:
        usual: (Y,), with `scale` window only: the usual spread of a window relative to its level.
        carried_size: the width of what is carried on beside the core's state: the vector that is joined to every input,
            and the mean and scale of the targets, unless `scale` is global.
    """

    usual: Tensor

    purpose = "predicts the targets of series; use `predict`"

    def __init__(
        self,
        settings: SeriesSettings | dict[str, Any],
        fields: dict[str, Field] | None = None,
        frequency: str | None = None,
        linear: LinearModel | None = None,
        scales: SeriesScales | None = None,
        coding: Coding | dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.frequency, self.linear, self.scales, self.coding = frequency, linear, scales, Coding.of(coding)
        given = settings if isinstance(settings, SeriesSettings) else SeriesSettings.from_json(settings)
        self.settings = given
        self.add_fields(fields or {}, given.context)
        self.label_counts = self.coding.counts(given.inputs)
        columns, targets, context = input_width(given), len(given.targets), context_width(self.fields)
        inputs = encoded_width(columns, self.label_counts)
        self.scaled_inputs, self.fills = len(given.inputs), given.missing != REFUSE
        self.vector_size = context + given.window * (inputs + target_width(given))
        self.joined_size = {"warm-up": target_width(given) + context + 1, "every-step": self.vector_size}.get(
            given.kind.name, 0
        )
        joined = self.vector_size if given.kind.name == "every-step" else 0
        self.carried_size = joined + (0 if given.scale == "global" else 2 * targets)
        core = make_core(given.cell, inputs + self.joined_size, given.hidden, given.layers)

        def make_context_state() -> ContextState:
            if given.kind.name == "handoff":
                sizes = context, inputs, target_width(given)
                return ContextState(
                    core, SeriesWindowReader(given.cell, given.hidden, given.layers, sizes, given.window)
                )
            return ContextState(core, MLP(self.vector_size, [given.context_hidden]), activation=nn.Tanh())

        self.rnn = ContextualRNN(core, given.kind.build(core, make_context_state))
        self.head = nn.Linear(given.hidden, targets)
        self.add_scales(columns, targets)
        self.leave_out_indicators(*map(self.coding.trained_indicators, (given.inputs, given.targets)))
        if given.scale == "window":
            self.register_buffer("usual", torch.zeros(targets))

    @classmethod
    def page(cls, explored: Explored) -> Page:
        """Return the page of such models; see `explore`."""
        from .page import SeriesPage

        return SeriesPage(explored)

    def standardise(self, records: Sequence[Record]) -> None:
        """Set the scales to those of training records; see `StandardisedColumns.standardise`."""
        super().standardise(records)
        if self.settings.scale == "window":
            k = self.settings.window
            parts = [record.read.unfold(0, k, k).transpose(1, 2) for record in records if len(record) >= k]
            self.usual.copy_(usual_spread(self._values(torch.cat(parts).to(self.device))))

    def with_levels(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return series with their levels; as they are, unless `scale` is series. See `SeriesScales.with_levels`."""
        return records if self.scales is None else self.scales.with_levels(records, self.settings.window)

    def forward(
        self, inputs: Tensor, opening: Tensor, context: Tensor, lengths: Tensor, estimate_weight: float | None = None
    ) -> tuple[Tensor, State]:
        """Simulate from the start.

        Args:
            inputs: (B, T, U), in their own units, padded.
            opening: (B, k, Y), the targets of the window; (B, k, 2Y) with indicators if missing ones are filled.
            context: (B, C), the context vector of each series; with `scale` series, followed by its mean and scale.
            lengths: (B,), the number of steps of each series, window included; more than k.
            estimate_weight: estimate h0 from the window with this weight; see `predict`.

        Returns:
            Predictions (B, T - k, Y) in the targets' units; and the state to carry on from, which is the core's state
            and what is carried beside it, (B, `carried_size`).
        """
        k, kind = self.settings.window, self.settings.kind
        inputs = self.standardised_inputs(inputs)
        if self.settings.missing == "interpolate" and k:
            opening = hold_the_end(opening, len(self.settings.targets))
        context, level = self._level(context, opening)
        filled = opening[..., len(self.target_mean) :]
        opening = self.standardised_targets(opening, level)
        vector = torch.cat([context, inputs[:, :k].flatten(1), opening.flatten(1)], dim=-1)
        if not kind.runs_over_window:
            inputs, lengths = inputs[:, k:], lengths - k
        joined = _joined(kind.name, inputs.shape[1], vector, opening, context)
        known = vector if kind.needs_context and not kind.is_control else None
        read = torch.cat([inputs, joined], dim=-1) if self.joined_size else inputs
        lasting = _unless_equal(lengths, inputs)
        start = None
        if estimate_weight is None and kind.is_estimated and not self.training:
            estimate_weight = self.settings.estimate_weight
        if estimate_weight is not None:
            start, known = self._estimated(read, opening, filled, known, estimate_weight), None
        output, state = self.rnn(read, known, state=start, lengths=lasting)
        output = output[:, k:] if kind.runs_over_window else output
        kept = joined[:, -1] if kind.name == "every-step" else vector[:, :0]
        if self.settings.scale != "global":
            kept = torch.cat([kept, *(part.flatten(1) for part in level)], dim=-1)
        return self._read(output, level), (state, kept)

    def carry_on(self, inputs: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Continue from a state that `forward` or `carry_on` returned: inputs (B, T, U) to predictions (B, T, Y)."""
        core_state, carried = state
        vector, level = self._carried(carried)
        inputs = self.standardised_inputs(inputs)
        is_joined = self.settings.kind.name == "every-step"
        joined = vector if is_joined else vector.new_zeros(vector.shape[0], self.joined_size)
        joined = joined.unsqueeze(1).expand(-1, inputs.shape[1], -1)
        unequal = None if lengths is None else _unless_equal(lengths, inputs)
        read = torch.cat([inputs, joined], dim=-1) if self.joined_size else inputs
        output, core_state = self.rnn(read, state=core_state, lengths=unequal)
        return self._read(output, level), (core_state, carried)

    def scale_of(self, state: State) -> Tensor:
        """Return the scale of the targets, (B, 1, Y) or (Y,), from a state that `forward` returned."""
        return self._carried(state[1])[1][1]

    @torch.no_grad()
    def simulate(
        self, records: Sequence[Record], estimate_weight: float | None = None
    ) -> Iterator[tuple[Record, Tensor, State]]:
        """Yield every record with its predictions after the window (T - k, Y) and its final state.

        With an `estimate_weight`, h0 is estimated from the window; see `predict`.
        """
        k = self.settings.window
        for start in range(0, len(records), CHUNK):
            chunk = self.with_levels(records[start : start + CHUNK])
            batch = tuple(part.to(self.device) for part in collate(chunk))
            inputs, _, context, lengths = batch[:4]
            predicted, state = self(inputs, read_targets(batch)[:, :k], context, lengths, estimate_weight)
            predicted, state = predicted.cpu(), move(state, "cpu")
            for row, record in enumerate(chunk):
                yield record, predicted[row, : len(record) - k], select_rows(state, torch.tensor([row]))

    def predictions(self, records: Sequence[Record]) -> Iterator[Tensor]:
        """Yield the predictions of every record after the window, (T - k, Y)."""
        return (predicted for _, predicted, _ in self.simulate(records))

    def baselines(self) -> dict[str, Predict]:
        """Return the baselines that need no training data, by their names.

        They are the mean of the training targets (mean; with times, `fit` and `compare` take that of each training
        series); with a window, its last known targets (persistence) and the repetition of its last season (seasonal;
        where the frequency has a season that fits into the window); and the linear model (linear), if the model keeps
        one.
        """
        window, mean = self.settings.window, self.target_mean.cpu()
        found = {"mean": mean_baseline(mean, window)}
        if window:
            found["persistence"] = persistence(window, mean)
        season = season_in_past(self.frequency, window) if self.frequency else None
        if season is not None:
            found["seasonal"] = seasonal(window, season)
        if self.linear is not None:
            found["linear"] = self.linear.predictions
        return found

    def predict(
        self, table: Source, start: States | None = None, *, estimate_weight: float | None = None
    ) -> Prediction:
        """Predict the targets of every series of a table.

        Predictions begin after the window of k steps; with `start`, at the first row. The errors are over the rows that
        are predicted.

        Args:
            table: the path of a file, or a data frame, with the input columns; also with the targets of the first k
                steps if the model has a window of k steps and no `start` is given.
            start: the states to carry on from, which an earlier prediction returned; no window is read then.
            estimate_weight: estimate h0 of every series, at its first row, from the targets of the window, as
                `estimate_state` does, with this weight of its squared distance from the model's own h0. Choose it on
                validation data. By default, only the kinds estimated and context+estimated do so, with the weight of
                their settings.

        Returns:
            The predictions, in the same kind of frame, and the states at the end.

        Raises:
            InputError: the table is wrong, `start` lacks a series or belongs to another model, or the model cannot
                estimate h0 from a window.
        """
        return predict(self, table, start, estimate_weight)

    def graphs(self) -> Graphs:
        """Return what `export` writes; see `graphs.series_graphs`."""
        from .graphs import series_graphs

        return series_graphs(self)

    def _estimated(self, inputs: Tensor, opening: Tensor, filled: Tensor, known: Tensor | None, weight: float) -> State:
        """Return the h0 that fits the standardised targets of the window, near that of the initial state.

        The model was trained without this step: from its initial state, over the window, to the targets after it.
        """
        window, targets = self.settings.window, len(self.settings.targets)
        measured = opening[..., :targets]
        if filled.shape[-1]:
            measured = torch.where(filled > 0, torch.nan, measured)

        rnn, head = copy.deepcopy(self.rnn).double(), copy.deepcopy(self.head).double()  # float32 stops at its rounding

        def simulate(inputs: Tensor, state: State) -> tuple[Tensor, State]:
            output, state = rnn(inputs, state=state)
            return head(output), state

        found = estimate_state(
            simulate,
            inputs[:, :window].double(),
            measured.double(),
            start=move(self.rnn.initial_state(len(inputs), known), torch.float64),
            weight=weight,
            iterations=ITERATIONS,
        )
        return move(found, inputs.dtype)

    def _level(self, context: Tensor, opening: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return context vectors (B, C); and the mean and scale of the targets, (B, 1, Y) or (Y,) each."""
        if self.scales is not None:
            context, *level = split_level(context, len(self.target_mean))
            return context, (level[0], level[1])
        if self.settings.scale == "window":
            return context, window_scale(self._values(opening), self.usual, self.target_scale)
        return context, (self.target_mean, self.target_scale)

    def _values(self, read: Tensor) -> Tensor:
        """Return the values (B, k, Y) of targets that may have indicators; NaN becomes the mean of the window."""
        values = read[..., : len(self.target_mean)]
        if self.settings.missing == REFUSE:
            return values
        mean = values.nanmean(1, keepdim=True)
        return torch.where(values.isnan(), torch.where(mean.isnan(), self.target_mean, mean), values)

    def _carried(self, carried: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the vector that is joined to every input, and the mean and scale of the targets."""
        if self.settings.scale == "global":
            return carried, (self.target_mean, self.target_scale)
        vector, mean, scale = split_level(carried, len(self.target_mean))
        return vector, (mean, scale)

    def _read(self, output: Tensor, level: tuple[Tensor, Tensor]) -> Tensor:
        return self.head(output) * level[1] + level[0]


def _joined(kind: str, steps: int, vector: Tensor, opening: Tensor, context: Tensor) -> Tensor:
    """Return what the controls join to every input, (B, steps, ...); nothing for the other kinds."""
    size, window = opening.shape[:2]
    if kind == "every-step":
        return vector.unsqueeze(1).expand(-1, steps, -1)
    if kind != "warm-up":
        return vector.new_zeros(size, steps, 0)
    known = torch.cat([opening, context.unsqueeze(1).expand(-1, window, -1), opening.new_ones(size, window, 1)], -1)
    return nn.functional.pad(known, (0, 0, 0, steps - window))


def _unless_equal(lengths: Tensor, padded: Tensor) -> Tensor | None:
    return None if values_are_known() and bool((lengths == padded.shape[1]).all()) else lengths
