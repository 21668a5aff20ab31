"""The page of models of series: predictions from every kind of h0, from a window that can be moved and changed."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._core.counted import counted
from ..._core.records import Record
from ...data.series import Series, read_series, records, time_column
from ...errors import InputError
from ...explore.asked import Asked
from ...explore.contexts import listed, meaning_of
from ...explore.explored import Explored
from ...explore.page import Call, Page
from ...explore.states import rounded
from ...initial_state import ConstantState
from ...kinds import Kind
from .model import SeriesModel

MOST_STEPS = 2000
FROM_ZERO = "h0 = 0, same network"


class SeriesPage(Page):
    """The page of models that simulate series; see `Page`."""

    script, job = "series", "Simulate series from inputs"
    first = ("predict", {})

    def __init__(self, explored: Explored) -> None:
        super().__init__(explored)
        first: SeriesModel = explored.first
        table, self.remark = explored.table("test", "validation", "train")
        self.series: list[Series] = []
        self.times: list[Any] = []
        if table is not None:
            least, settings = first.settings.window + 1, first.settings
            options: dict[str, Any] = {"frequency": first.frequency, "coding": first.coding, "left_out": []}
            self.series = read_series(table, settings, known_targets=first.settings.window, min_length=least, **options)
            time = time_column(settings)
            self.times = table.frame[time].to_list() if time else []
        self.records = records(self.series, first.fields, first.settings) if self.series else []
        self.models: dict[str, SeriesModel] = {
            name if len(explored.models) > 1 else one.settings.kind.name: one for name, one in explored.models.items()
        }
        if len(explored.models) == 1 and (zeroed := _from_zero(first)) is not None:
            self.models[FROM_ZERO] = zeroed

    def describe(self) -> dict[str, Any]:
        """Return what the browser needs before its first call."""
        settings = self.explored.first.settings
        return {
            **super().describe(),
            "table": self.remark,
            "series": [{"name": one.name, "steps": len(one)} for one in self.series],
            "window": settings.window,
            "targets": list(settings.targets),
            "inputs": list(settings.inputs),
            "kinds": list(self.models),
            "meanings": {name: self._meaning(name, one.settings.kind) for name, one in self.models.items()},
            "most": MOST_STEPS,
            "frequency": self.explored.first.frequency,
        }

    def facts(self, model: Any) -> list[str]:
        """Return sentences on a model: what it reads, and what its h0 is."""
        settings = model.settings
        given = [
            *settings.context,
            *([f"the first {counted(settings.window, 'step')}, targets included"] if settings.window else []),
        ]
        known = f"What can be known at the start: {', '.join(given)}." if given else "Nothing is known at the start."
        return [
            f"The model predicts {listed(settings.targets)} from {listed(settings.inputs)}, and never reads a "
            "measured target after the start.",
            known,
            f"Its initial state h0 is {meaning_of(settings.kind)}.",
        ]

    def _meaning(self, name: str, kind: Kind) -> dict[str, Any]:
        """Return what a kind is, and whether a model of it knows more of a series than the inputs."""
        if name == FROM_ZERO:
            return {"meaning": "all zeros, in the trained network", "knows": False}
        return {"meaning": kind.meaning, "knows": kind.needs_context or kind.is_estimated}

    def hint(self, model: Any) -> str:
        """Return something to try, in a sentence."""
        if model.settings.window:
            return "drag a dot of the window up or down, or shift all its values."
        return "move the start, and compare the errors of the kinds."

    def calls(self) -> dict[str, Call]:
        """Return the calls that the browser may make, by name."""
        return {"predict": self.predict}

    def predict(self, asked: Asked) -> dict[str, Any]:
        """Return a part of a series, the predictions of every model after its window, and their errors so far."""
        if not self.series:
            raise InputError(self.remark)
        settings = self.explored.first.settings
        window, number = settings.window, asked.count("series", 0, 0, len(self.series) - 1)
        last = len(self.series[number]) - window - 1
        start = asked.count("start", 0, 0, last)
        steps = asked.count("steps", min(window + 100, MOST_STEPS), window + 1, MOST_STEPS + window)
        part = self.records[number].part(start, start + steps)
        edited = self._edited(part, asked.rows("window", window, len(settings.targets)) if window else None)
        row = int(self.series[number].rows[start])
        return {
            "measured": self._restored(part.targets),
            "window": self._restored(edited.targets[:window]),
            "inputs": self._inputs(part),
            "time": str(self.times[row]) if self.times and row >= 0 else None,
            "kinds": [{"name": name, **self._predicted(model, edited, part)} for name, model in self.models.items()],
        }

    def _edited(self, part: Record, window: list[list[float | None]] | None) -> Record:
        """Return a part of a series with other targets in its window."""
        if window is None:
            return part
        coding, names = self.explored.first.coding, self.explored.first.settings.targets
        values = np.array([[np.nan if one is None else one for one in row] for row in window])
        values -= np.array([coding.offsets.get(name, 0.0) for name in names])
        new, size = torch.tensor(values, dtype=torch.float32), len(window)
        known = ~new.isnan()
        if part.filled is None and not bool(known.all()):
            raise InputError("`window` has a value that is missing, and the model needs all of them")
        targets = torch.cat([torch.where(known, new, part.targets[:size]), part.targets[size:]])
        if part.filled is None:
            return dataclasses.replace(part, targets=targets)
        width = new.shape[1]
        filled = part.filled.clone()
        filled[:size, :width] = torch.where(known, new, filled[:size, :width])
        filled[:size, width:] = torch.where(known, 0, filled[:size, width:])
        return dataclasses.replace(part, targets=targets, filled=filled)

    def _predicted(self, model: SeriesModel, edited: Record, part: Record) -> dict[str, Any]:
        """Return the predictions (Y, T - k), and the RMSE of all predictions up to each step."""
        _, predicted, _ = next(iter(model.simulate([edited])))
        squares = (predicted - part.targets[model.settings.window :]).square()
        known = (~squares.isnan()).cumsum(0)
        errors = (squares.nan_to_num(0).cumsum(0) / known.clamp(min=1)).sqrt()
        errors = torch.where(known > 0, errors, torch.nan)
        return {"predicted": self._restored(predicted), "errors": rounded(errors.T)}

    def _restored(self, values: Tensor) -> list[Any]:
        """Return targets (T, Y) by target, in the numbers of the table."""
        coding, names = self.explored.first.coding, self.explored.first.settings.targets
        digits = 9 if coding.offsets else 5
        return [rounded(coding.restored(name, values[:, place]), digits) for place, name in enumerate(names)]

    def _inputs(self, part: Record) -> list[Any]:
        coding, names = self.explored.first.coding, self.explored.first.settings.inputs
        return [
            None if name in coding.labels else rounded(coding.restored(name, part.inputs[:, place]))
            for place, name in enumerate(names)
        ]


def _from_zero(model: SeriesModel) -> SeriesModel | None:
    """Return a copy of a model that starts from zero; None if it does so itself, or estimates its h0."""
    kind = model.settings.kind
    if kind.name == "zero" or kind.is_control or kind.is_estimated:
        return None
    other = copy.deepcopy(model)
    other.rnn.initial_state = ConstantState(other.rnn.core)
    return other.eval()
