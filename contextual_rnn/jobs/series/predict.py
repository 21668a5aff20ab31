"""Predictions of a trained model of series, from the start or from the states of an earlier prediction."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import polars as pl
import torch
from torch import Tensor

from ..._core.records import Record
from ..._core.state import State, check_state, fill, leaves, map_state, shape_leaves, weight_dtype
from ..._core.tensor_files import read_tensors, write_tensors
from ...data.frame import FrameColumns
from ...data.missing import filled_in_words
from ...data.of_fit import read_by_a_model
from ...data.series import Series, read_series, records, time_column
from ...data.table import Source, Table, free_name
from ...errors import InputError
from ...serialization import identity
from .follow_on import check_start, ends_of
from .metrics import rmse_by_target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .model import SeriesModel
    from .settings import SeriesSettings

_ENTRY = "states"  # of the metadata of a file, which has the header
WHOLE = "the whole table"  # the key of the state of a table that is one series


WRITES = "`start` takes the file that `predict` wrote as `end` for the rows before these"


class States(dict[str, State]):
    """The state of every series at the end of a prediction, by the name of the series.

    Args:
        states: by name.
        model: the SHA-256 of the model's tensors; None if it is not known, as in files of version 0.1.
        ends: by name, the time of the last row and the one that follows it, as text; without the series whose times are
            not known, so that the rows that carry on are not checked.
    """

    def __init__(
        self,
        states: Mapping[str, State] | Iterable[tuple[str, State]] = (),
        model: str | None = None,
        ends: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(states)
        self.model = model
        self.ends = {name: tuple(pair) for name, pair in (ends or {}).items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the states to one file, which `load` reads."""
        first, *others = self.values()
        together = map_state(lambda *rows: torch.cat(rows), first, *others)
        tensors = {str(index): leaf for index, leaf in enumerate(leaves(together))}
        try:
            write_tensors(
                pathlib.Path(path), tensors, _ENTRY, {"series": list(self), "model": self.model, "ends": self.ends}
            )
        except OSError as error:
            raise InputError(str(error)) from None

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: SeriesModel) -> States:
        """Read the states that `save` wrote.

        Raises:
            InputError: the file is missing, damaged or no such file, or its states belong to another model.
        """
        path, shapes = pathlib.Path(path), _shapes(model)
        if not path.exists():
            raise InputError(f"{path}: there is no such file of states; {WRITES}")
        try:
            file = read_tensors(path)
        except InputError as error:
            raise InputError(f"{error}; {WRITES}") from None
        try:
            header = file.header(_ENTRY) if file.is_sealed else {"series": file.header("series")}
            names, of_model, ends = list(header["series"]), header.get("model"), dict(header.get("ends", {}))
            tensors = file.tensors()
            together = fill(shapes, (tensors[str(index)] for index in itertools.count()))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path} is not a file of states of this kind of model; {WRITES}") from None
        if not all(isinstance(name, str) for name in names) or len(tensors) != len(list(shape_leaves(shapes))):
            raise InputError(f"{path} is not a file of states of this kind of model; {WRITES}")
        try:
            check_state(together, shapes, len(names))
        except ValueError as error:
            raise InputError(f"{path} belongs to another model: {error}") from None
        rows = (
            (name, map_state(lambda leaf, row=row: leaf[row : row + 1], together)) for row, name in enumerate(names)
        )
        found = cls(rows, of_model, ends)
        found.check(model, str(path))
        return found

    def check(self, model: SeriesModel, name: str) -> None:
        """Raise InputError unless the states are finite numbers and those of a model.

        Args:
            model: the model.
            name: of the states, for the message.
        """
        dtype = weight_dtype(model.rnn)
        for series, state in self.items():
            try:
                check_state(state, _shapes(model), 1, dtype)
            except ValueError as error:
                raise InputError(f"{name} belongs to another model: {error}") from None
            if not all(bool(torch.isfinite(leaf).all()) for leaf in leaves(state)):
                raise InputError(f"{name}: the state of series {series!r} has values that are not finite numbers")
        if self.model is not None and self.model != identity(model):
            raise InputError(
                f"{name} belongs to another model of the same sizes; give the model that wrote it, or leave `start` out"
            )


def _shapes(model: SeriesModel) -> tuple[Any, tuple[int]]:
    """Return the shapes of one series' state: that of the core, and that of what is carried beside it."""
    return model.rnn.state_shapes, (model.carried_size,)


@dataclasses.dataclass
class Prediction:
    """The predictions of a table.

    Attributes:
        frame: one row per predicted step whose row is in the table, in the kind of frame that was given (polars for a
            file): the series column if there is one, the column of times if the model has one, `step` (0 is the first
            step of a series in the table), the measured targets if the table has them, and the predicted targets, with
            `_predicted` after their names. A pandas index is kept.
        state: the states at the end, by the name of the series ("the whole table" without a series column); give them
            as `start` to carry on.
        rmse: the RMSE of each target over its measured values, by name; None if no target is measured.
        baselines: the same of each baseline, by its name; empty if no target is measured, or `start` was given.
        remarks: how much of what the model read was missing, and filled.
        settings: of the model, whose columns `plot` draws.
    """

    frame: Any
    state: States
    rmse: dict[str, float] | None
    baselines: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    remarks: list[str] = dataclasses.field(default_factory=list)
    settings: SeriesSettings | None = dataclasses.field(default=None, repr=False)

    def plot(self, series: str | None = None, steps: int | None = None) -> Figure:
        """Draw the targets of a series, measured and predicted.

        Args:
            series: the name of the series; by default, the first of the table.
            steps: the number of predicted steps to show; by default, all.

        Raises:
            InputError: there is no such series.
        """
        from .figures import plot_columns

        if self.settings is None:
            raise InputError("only a prediction that `SeriesModel.predict` returned can be drawn")
        if series is not None and series not in self.state:
            raise InputError(f"there is no series {series!r}; the prediction has {', '.join(list(self.state)[:10])}")
        names = [*self.settings.targets, *(f"{target}_predicted" for target in self.settings.targets)]
        frame = nw.from_native(self.frame, eager_only=True)
        columns = {name: frame[name].to_numpy() for name in ("step", *names) if name in frame.columns}
        if self.settings.series is None:
            return plot_columns(columns, self.settings.targets, steps, "")
        name = next(iter(self.state)) if series is None else series
        rows = np.array([str(cell) == name for cell in frame[self.settings.series]])
        chosen = {key: values[rows] for key, values in columns.items()}
        return plot_columns(chosen, self.settings.targets, steps, f"series {name}")

    def _repr_html_(self) -> str:
        shown = getattr(self.frame, "_repr_html_", None)
        return shown() if shown else f"<pre>{self.frame}</pre>"


def predict(
    model: SeriesModel, table: Source, start: States | None = None, estimate_weight: float | None = None
) -> Prediction:
    """Predict the targets of every series of a table; see `SeriesModel.predict`."""
    settings = model.settings
    if estimate_weight is not None:
        _check_estimate(settings, estimate_weight, start)
    window = 0 if start is not None else settings.window
    with read_by_a_model("table", "start"):
        source = Table(table, "`table`", settings)
        series = read_series(
            *(source, settings),
            known_targets=window,
            min_length=window + 1,
            frequency=model.frequency,
            coding=model.coding,
            is_trained=True,
        )
        known = records(series, model.fields, settings)
    keys = [record.name if settings.series else WHOLE for record in known]
    if start is not None:
        check_start(source, series, keys, start, time_column(settings))
    model.eval()
    runs = list(model.simulate(known, estimate_weight) if start is None else _carry_on(model, known, keys, start))
    rows = np.concatenate([one.rows[window:] for one in series])
    columns = _columns(model, source, series, rows, np.concatenate([predicted for _, predicted, _ in runs]))
    rows = rows[rows >= 0]
    frame = source.frame.like(columns, rows) if isinstance(source.frame, FrameColumns) else pl.DataFrame(columns)
    ends = ends_of(source, series, keys, time_column(settings))
    states = States(zip(keys, (state for _, _, state in runs), strict=True), identity(model), ends)
    errors = _rmse([predicted for _, predicted, _ in runs], known, window, settings.targets)
    found = model.baselines() if errors and start is None else {}
    others = {name: _rmse(one(known), known, window, settings.targets) or {} for name, one in found.items()}
    return Prediction(frame, states, errors, others, _remarks(source, known, window, settings), settings)


def _check_estimate(settings: SeriesSettings, weight: float, start: States | None) -> None:
    kind = settings.kind
    if not 0 <= weight < math.inf:
        raise InputError(f"`estimate_weight` must be a finite number of at least 0; found {weight}")
    if start is not None:
        raise InputError("`estimate_weight` estimates the initial state, which `start` gives; leave one of them out")
    if not settings.window:
        raise InputError("`estimate_weight` needs the targets of a window, but the model was trained without `window`")
    if not kind.runs_over_window or kind.is_control:
        reason = "reads the targets of the window as inputs" if kind.is_control else "starts after the window"
        raise InputError(
            f"`estimate_weight` needs a core that starts before the window; that of {kind.name!r} {reason}: "
            "fit with `initial_state` zero, free or context+estimated"
        )


def _columns(
    model: SeriesModel, table: Table, series: Sequence[Series], rows: np.ndarray, predicted: np.ndarray
) -> dict[str, Any]:
    """Return the columns of the predictions (N, Y) of N rows of the table, which are the last ones of every series.

    Absent rows (-1) are left out.
    """
    settings, window = model.settings, (sum(map(len, series)) - len(rows)) // len(series)
    there, columns = rows >= 0, dict[str, Any]()
    if settings.series:
        columns[settings.series] = table.identifiers(settings.series, rows[there])
    time = time_column(settings)
    if time:
        columns[time] = table.cells(time, rows[there])
    taken = (*columns, *settings.targets, *(f"{target}_predicted" for target in settings.targets))
    columns[free_name("step", taken)] = np.concatenate([np.arange(window, len(one)) for one in series])[there]
    measured, predicted = np.concatenate([one.targets[window:] for one in series])[there], predicted[there]
    for place, target in enumerate(settings.targets):
        if target in table.frame.columns:
            columns[target] = model.coding.restored(target, measured[:, place])
    for place, target in enumerate(settings.targets):
        columns[f"{target}_predicted"] = model.coding.restored(target, predicted[:, place])
    return columns


def _remarks(table: Table, known: Sequence[Record], window: int, settings: SeriesSettings) -> list[str]:
    inputs, targets = len(settings.inputs), len(settings.targets)
    indicators = [record.inputs[:, inputs : 2 * inputs] for record in known if record.filled is not None]
    read = [record.filled[:window, targets:] for record in known if record.filled is not None]
    filled = filled_in_words(table.name, indicators, read, settings.missing) if indicators else []
    return [*table.notes, *filled]


def _rmse(
    predictions: Iterable[Tensor], known: Sequence[Record], window: int, targets: Sequence[str]
) -> dict[str, float] | None:
    """Return the RMSE of every target, by name, of predictions (T - k, Y); None if no target is measured."""
    errors = [one - record.targets[window:] for one, record in zip(predictions, known, strict=True)]
    measured = zip(targets, rmse_by_target(errors).tolist(), strict=True)
    return {name: error for name, error in measured if not math.isnan(error)} or None


@torch.no_grad()
def _carry_on(
    model: SeriesModel, known: Sequence[Record], keys: Sequence[str], states: States
) -> Iterator[tuple[Record, Tensor, State]]:
    if not isinstance(states, dict):
        raise InputError(f"`start` must be the `state` of an earlier prediction; found {type(states).__name__}")
    chosen = {key: states[key] for key in keys if key in states}
    States(chosen, getattr(states, "model", None)).check(model, "`start`")
    for record, key in zip(known, keys, strict=True):
        if key not in states:
            listed = ", ".join(map(repr, list(states)[:10])) or "no series"
            raise InputError(f"`start` has no state of series {key!r}; it has those of {listed}")
        length = torch.tensor([len(record)])
        predicted, state = model.carry_on(record.inputs.unsqueeze(0), states[key], length)
        yield record, predicted[0], state
