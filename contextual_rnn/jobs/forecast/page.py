"""The page of models that forecast: a forecast from a chosen step, beside what came and beside the baselines."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..._core.counted import counted
from ..._core.records import Record
from ...data.series import Series, read_series, records, time_column
from ...errors import InputError
from ...explore.asked import Asked
from ...explore.contexts import listed
from ...explore.explored import Explored
from ...explore.page import Call, Page
from ...explore.states import rounded
from ...initial_state import ConstantState
from .baselines import naive_and_linear
from .model import ForecastModel
from .quantiles import quantile_forecasts
from .windows import padded

MOST_TIMES = 100_000


BASES = {
    "last": " What it writes is added to the last known values, so that every forecast starts there, from h0 = 0 too.",
    "seasonal": " What it writes is added to the values of one season ago, from h0 = 0 too.",
    "linear": " What it writes is added to the forecast of the linear model, from h0 = 0 too.",
}


class ForecastPage(Page):
    """The page of models that forecast series; see `Page`."""

    script, job = "forecast", "Forecast series"
    first = ("forecast", {})

    def __init__(self, explored: Explored) -> None:
        super().__init__(explored)
        first: ForecastModel = explored.first
        settings = first.settings
        table, self.remark = explored.table("test", "validation", "train")
        self.series: list[Series] = []
        self.times: list[Any] = []
        if table is not None:
            options: dict[str, Any] = {"frequency": first.frequency, "coding": first.coding, "left_out": []}
            self.series = read_series(table, settings, scored_from=0, min_length=settings.past + 1, **options)
            time = time_column(settings)
            self.times = [str(cell) for cell in table.frame[time].to_list()] if time else []
        self.records = padded(records(self.series, first.fields, settings), settings) if self.series else []
        self.baselines = naive_and_linear(first, {})  # the mean is that of each past, as the training table is not read
        self.models: dict[str, ForecastModel] = dict(explored.models)
        if len(explored.models) == 1 and settings.bridge != "zero":
            self.models = {"the model": first, "h0 = 0, same network": _from_zero(first)}

    def describe(self) -> dict[str, Any]:
        """Return what the browser needs before its first call."""
        settings, sizes = self.explored.first.settings, [len(record) for record in self.records]
        size = settings.past + settings.horizon
        return {
            **super().describe(),
            "table": self.remark,
            "series": [{"name": one.name, "last": n - size} for one, n in zip(self.series, sizes, strict=True)],
            "past": settings.past,
            "horizon": settings.horizon,
            "targets": list(settings.targets),
            "levels": list(settings.quantiles),
            "frequency": self.explored.first.frequency,
            "kinds": [*self.models, *self.baselines],
            "timed": bool(self.times),
        }

    def facts(self, model: Any) -> list[str]:
        """Return sentences on a model: what it reads, and what its h0 is."""
        settings = model.settings
        read = [*settings.targets, *settings.inputs, *settings.past_inputs]
        ahead = f", and reads {listed(settings.inputs)} of the steps to come" if settings.inputs else ""
        bridge = (
            "zero" if settings.bridge == "zero" else f"made of the encoder's final state (bridge: {settings.bridge})"
        )
        attention = "" if settings.attention == "none" else f" Its {settings.attention} attention reads the past too."
        return [
            f"An encoder reads the last {counted(settings.past, 'step')} of {listed(read)}; a decoder forecasts "
            f"{counted(settings.horizon, 'step')} of {listed(settings.targets)}{ahead}.",
            f"The decoder's initial state h0 is {bridge}.{attention}{BASES.get(settings.base or 'last', '')}",
            "A forecast is what the model expects on average: training minimises the squared error."
            + " Quantiles come from its errors on held-out windows." * bool(settings.quantiles),
            "The line from h0 = 0 is that of the same network, whose decoder starts from zero: the distance is what h0 "
            "changes, which may be little for one forecast.",
        ][: 3 if settings.bridge == "zero" else 4]

    def hint(self, model: Any) -> str:
        """Return something to try, in a sentence."""
        if model.settings.bridge == "zero":
            return "move the start of the forecast, and compare the errors with those of the baselines."
        return "move the start of the forecast, and compare the line from h0 = 0 with that of the model."

    def calls(self) -> dict[str, Call]:
        """Return the calls that the browser may make, by name."""
        return {"forecast": self.forecast, "times": self.times_of}

    def times_of(self, asked: Asked) -> dict[str, Any]:
        """Return the time of the first forecast step, for every step that a forecast can start at."""
        number, settings = self._number(asked), self.explored.first.settings
        rows: Any = self.series[number].rows[settings.past :][:MOST_TIMES] if self.times else []
        return {"times": [self.times[row] if row >= 0 else "" for row in rows]}

    def forecast(self, asked: Asked) -> dict[str, Any]:
        """Return the past, what came, and the forecasts of every model and baseline with their errors."""
        number, settings = self._number(asked), self.explored.first.settings
        past, size = settings.past, settings.past + settings.horizon
        start = asked.count("start", 0, 0, len(self.records[number]) - size)
        window = self.records[number].part(start, start + size)
        models = {name: (model, torch.stack(list(model.forecasts([window])))) for name, model in self.models.items()}
        lines = [self._line(name, found[0], window, model) for name, (model, found) in models.items()]
        lines += [self._line(name, next(iter(one([window]))), window) for name, one in self.baselines.items()]
        rows = self.series[number].rows
        place = start + past
        row = int(rows[place]) if place < len(rows) else -1
        return {
            "past": self._restored(window.targets[:past]),
            "measured": self._restored(window.targets[past:]),
            "lines": lines,
            "time": self.times[row] if self.times and row >= 0 else None,
        }

    def _number(self, asked: Asked) -> int:
        if not self.series:
            raise InputError(self.remark)
        return asked.count("series", 0, 0, len(self.series) - 1)

    def _line(self, name: str, found: Tensor, window: Record, model: ForecastModel | None = None) -> dict[str, Any]:
        """Return a forecast (horizon, Y) by target with its RMSE, and its quantiles if the model has any."""
        squares = (found - window.targets[self.explored.first.settings.past :]).square()
        line = {"name": name, "forecast": self._restored(found), "rmse": squares.nanmean(0).sqrt().tolist()}
        if model is not None and model.settings.quantiles and model is self.explored.first:
            quantiles = quantile_forecasts(model, [window], found.unsqueeze(0))[0]
            line["quantiles"] = [self._restored(one) for one in quantiles]
        return line

    def _restored(self, values: Tensor) -> list[Any]:
        """Return targets (T, Y) by target, in the numbers of the table."""
        coding, names = self.explored.first.coding, self.explored.first.settings.targets
        digits = 9 if coding.offsets else 5
        return [rounded(coding.restored(name, values[:, place]), digits) for place, name in enumerate(names)]


def _from_zero(model: ForecastModel) -> ForecastModel:
    """Return a copy of a model whose decoder starts from zero."""
    other = copy.deepcopy(model)
    other.pairs.decoder.rnn.initial_state = ConstantState(other.pairs.decoder.rnn.core)
    return other.eval()
