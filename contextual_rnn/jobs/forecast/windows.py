"""Windows of series, of past and horizon; and tables of past and future as windows to forecast."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ..._core.choices import listed
from ..._core.counted import counted
from ..._core.records import Record
from ...coding import Coding
from ...context import Field
from ...data.calendar import calendar_after
from ...data.frame import make_frame
from ...data.lengths import first_names
from ...data.missing import filled_in_words
from ...data.series import Series, context_of, inputs_of, make_record, names_of, read_series, time_column
from ...data.table import Source, Table, free_name
from ...data.time import NO_TIME, clock_of, clock_of_cells
from ...errors import InputError
from .settings import ForecastSettings

HELD_OUT = 0.2  # the part of each training series, at its end, that is validated on where there is no validation table


@dataclasses.dataclass(frozen=True)
class Question:
    """What is to be forecast: the steps that follow the series of a table.

    Attributes:
        past: the table.
        future: the table with the inputs of the steps that follow, if the model has inputs.
        series: the series of the past.
        to_come: the steps that follow each of them; empty without `future`.
    """

    past: Table
    future: Table | None
    series: list[Series]
    to_come: list[Series]

    @classmethod
    def read(
        cls,
        past: Source,
        future: Source | None,
        settings: ForecastSettings,
        frequency: str | None = None,
        coding: Coding | None = None,
    ) -> Question:
        """Read the tables, with the frequency and the coding of the training table; None takes those of `past`.

        Raises:
            InputError: a table is wrong, or missing, or has a series that is too short, or another frequency.
        """
        known = Table(past, "`past`", settings)
        series = read_series(
            *(known, settings),
            scored_from=0,
            min_length=settings.past,
            frequency=frequency,
            coding=coding,
            is_trained=True,
        )
        if future is None and settings.inputs:
            inputs = " and ".join(map(repr, settings.inputs))
            raise InputError(
                f"the model reads {inputs} of the steps to forecast: give `future`, a table with "
                f"{_rows_to_come(series, settings)}"
            )
        if future is None:
            return cls(known, None, series, [])
        to_come = Table(future, "`future`", settings)
        columns = set(to_come.frame.columns)
        of_times = bool(time_column(settings)) and columns <= {settings.series, *(settings.time or ())}
        if not settings.inputs and not of_times and not set(settings.targets) & columns:
            raise InputError("the model has no inputs, and `future` has no targets to compare with; leave it out")
        names = names_of(settings)
        if time_column(settings) is None and known.fingerprint(names) == to_come.fingerprint(names):
            raise InputError("`past` and `future` are the same table; `future` holds the steps that follow `past`")
        return cls(known, to_come, series, _future_of(series, to_come, settings))

    def windows(self, settings: ForecastSettings, fields: dict[str, Field]) -> list[Record]:
        """Return the last steps of every series with the inputs of the horizon, whose targets are missing."""
        vectors = context_of(self.series, fields, settings.context)
        to_come: Sequence[Series | None] = self.to_come or [None] * len(self.series)
        found = []
        for one, coming, vector in zip(self.series, to_come, vectors, strict=True):
            found.append(_window(self._continued(one, coming, settings), vector, settings))
        return found

    def remarks(self, settings: ForecastSettings, fields: dict[str, Field]) -> list[str]:
        """Say how much of what the model reads is missing, and filled."""
        windows = [one for one in self.windows(settings, fields) if one.filled is not None]
        past, targets, ahead, both = (
            settings.past,
            len(settings.targets),
            len(settings.inputs),
            len(inputs_of(settings)),
        )
        inputs = [one.inputs[:past, both : 2 * both] for one in windows]
        inputs += [one.inputs[past:, both : both + ahead] for one in windows]
        read = [one.filled[:past, targets:] for one in windows if one.filled is not None]
        tables = " and ".join(table.name for table in (self.past, self.future) if table is not None)
        found = [note for table in (self.past, self.future) if table is not None for note in table.notes]
        return found + (filled_in_words(tables, inputs, read, settings.missing) if windows else [])

    def _continued(self, one: Series, to_come: Series | None, settings: ForecastSettings) -> Series:
        """Return a series with the inputs of the horizon, whose targets and past-only inputs are missing."""
        horizon, names = settings.horizon, settings.calendar
        inputs = np.full((horizon, one.inputs.shape[1]), np.nan, np.float32)
        if to_come is not None:
            inputs[:, : len(settings.inputs)] = to_come.inputs[:horizon]
        targets = np.full((horizon, len(settings.targets)), np.nan, np.float32)
        calendar, time = one.calendar, time_column(settings)
        if names and time and one.times and calendar is not None:
            after = calendar_after(names, one.times, self.past, time, int(one.rows[-1]), horizon)
            calendar = np.concatenate([calendar, after])
        return dataclasses.replace(
            one,
            inputs=np.concatenate([one.inputs, inputs]),
            targets=np.concatenate([one.targets, targets]),
            calendar=calendar,
        )

    def frame(
        self, forecasts: Iterable[Tensor], settings: ForecastSettings, further: dict[str, Any] | None = None
    ) -> Any:
        """Return the forecasts (horizon, Y) of every series as a data frame; see `ForecastModel.forecast`.

        Args:
            forecasts: of N series.
            settings: of the model.
            further: columns to append, (N, horizon), by name.
        """
        predicted, horizon = np.concatenate([np.asarray(values) for values in forecasts]), settings.horizon
        names, measured = [f"{target}_predicted" for target in settings.targets], self._measured(settings)
        columns: dict[str, Any] = {}
        if settings.series:
            last = np.repeat([one.rows[-1] for one in self.series], horizon)
            columns[settings.series] = self.past.identifiers(settings.series, last)
        time = time_column(settings)
        if time:
            columns[time] = self.past.in_type_of(time, pl.concat([_times_after(one, horizon) for one in self.series]))
        columns[free_name("step", (*columns, *measured, *names, *(further or ())))] = np.tile(
            np.arange(1, horizon + 1), len(self.series)
        )
        columns |= measured
        for place, (target, name) in enumerate(zip(settings.targets, names, strict=True)):
            columns[name] = self.series[0].coding.restored(target, predicted[:, place])
        columns |= {name: np.asarray(values).ravel() for name, values in (further or {}).items()}
        if self.future is not None and self.future.backend == self.past.backend and self.future.from_frame:
            rows = np.concatenate([one.rows[:horizon] for one in self.to_come])
            return self.future.frame.like(columns, rows)  # type: ignore[union-attr]
        return make_frame(columns, self.past.backend)

    def targets(self, settings: ForecastSettings) -> Tensor | None:
        """Return the targets of the future, (N, horizon, Y), NaN where one is not known; None without a future."""
        if not self.to_come:
            return None
        return torch.from_numpy(np.stack([one.targets[: settings.horizon] for one in self.to_come]))

    def _measured(self, settings: ForecastSettings) -> dict[str, Any]:
        """Return the measured targets of the future, if its table has any."""
        if self.future is None:
            return {}
        measured = np.concatenate([one.targets[: settings.horizon] for one in self.to_come])
        restored = self.series[0].coding.restored
        return {
            name: restored(name, measured[:, place])
            for place, name in enumerate(settings.targets)
            if name in self.future.frame.columns
        }


def _rows_to_come(series: Sequence[Series], settings: ForecastSettings) -> str:
    """Return in words the rows that a table of the steps to forecast must have."""
    horizon, one, time = settings.horizon, series[0], time_column(settings)
    named = [*filter(None, [settings.series]), *(settings.time or () if time else ()), *settings.inputs]
    columns = listed([repr(name) for name in named])
    rows = f"the {counted(horizon, 'row')} after {'those' if time is None else 'the last one'}"
    if settings.series is not None:
        rows += f" of each of its {len(series)} series, such as {one.name!r}"
    if time is not None and one.times is not None and one.times.step:
        cells = _times_after(one, horizon)
        rows += f" ({cells[0]})" if horizon == 1 else f" ({cells[0]} to {cells[-1]})"
    return f"the column{'s' * (len(named) > 1)} {columns} for {rows}"


def _times_after(one: Series, steps: int) -> pl.Series:
    assert one.times is not None
    return one.times.after(int(one.rows[-1]), steps)


def _future_of(series: Sequence[Series], future: Table, settings: ForecastSettings) -> list[Series]:
    """Return the steps that follow each series, in the order of the series."""
    time, horizon = time_column(settings), settings.horizon
    columns = settings.replace(
        context=(), past_inputs=(), calendar=(), gaps="refuse", time=(NO_TIME,) if time else settings.time
    )
    found = read_series(future, columns, known_targets=0, min_length=1 if time else horizon, coding=series[0].coding)
    by_name = {one.name: one for one in found}
    if settings.series is None:
        by_name = {one.name: found[0] for one in series}
    for one in series:
        if one.name not in by_name:
            what = "whose inputs are needed" if settings.inputs else "which the table of the past has"
            raise InputError(f"{future.name} has no series {one.name!r}, {what}")
    following = [by_name[one.name] for one in series]
    if time:
        return _aligned(series, following, future, settings)
    for one in following:
        if len(one) > horizon:
            raise InputError(
                f"{_place(future, one, settings)} has {counted(len(one), 'step')}, but the horizon is {horizon}; "
                "without a column of times (`time` of `fit`), `future` must hold exactly the steps that follow `past`"
            )
    return following


def _place(table: Table, one: Series, settings: ForecastSettings) -> str:
    return f"{table.name}: series {one.name!r}" if settings.series else table.name


def _aligned(
    series: Sequence[Series], following: Sequence[Series], future: Table, settings: ForecastSettings
) -> list[Series]:
    """Return, for each series, the rows of the future whose times follow it."""
    parts = settings.time or ()
    future.check_columns(list(parts))
    if len(parts) > 1:
        future.join(parts)
    time, horizon = " ".join(parts), settings.horizon
    index = clock_of(future, time).index
    aligned = []
    for one, other in zip(series, following, strict=True):
        cells = _times_after(one, horizon)
        wanted = clock_of_cells(cells, future, time)
        places = [np.flatnonzero(index[other.rows] == instant) for instant in wanted]
        for cell, found in zip(cells, places, strict=True):
            if len(found) != 1:
                twice = "has no row" if not len(found) else "has several rows"
                raise InputError(f"{_place(future, other, settings)} {twice} of {cell}, a time to forecast")
        taken = np.concatenate(places)
        inputs, targets, rows = other.inputs[taken], other.targets[taken], other.rows[taken]
        aligned.append(dataclasses.replace(other, inputs=inputs, targets=targets, rows=rows))
    return aligned


def _window(continued: Series, context: Tensor, settings: ForecastSettings) -> Record:
    """Return the last steps of the past and those of the horizon, of a series that is continued over the horizon."""
    steps = len(continued.inputs)
    return make_record(continued, context, settings).part(steps - settings.past - settings.horizon, steps)


def cut_windows(records: Sequence[Record], settings: ForecastSettings, stride: int | None = None) -> list[Record]:
    """Cut records into windows of `past + horizon` steps that start `stride` steps apart.

    By default, that is the horizon, so that horizons follow one another without overlap.

    Windows without a measured target in the horizon are left out.

    Raises:
        InputError: all windows are left out.
    """
    size = settings.past + settings.horizon
    windows = [
        record.part(start, start + size)
        for record in records
        for start in range(0, len(record) - size + 1, stride or settings.horizon)
    ]
    scored = [window for window in windows if not bool(window.targets[settings.past :].isnan().all())]
    if windows and not scored:
        raise InputError(
            f"no window of `past` ({settings.past}) and `horizon` ({settings.horizon}) steps has a measured target to "
            "forecast; give other tables, or a shorter `past`"
        )
    return scored


def padded(records: Sequence[Record], settings: ForecastSettings) -> list[Record]:
    """Return records of `past + horizon` steps or more: the targets after the end of a shorter one are missing.

    Its inputs keep their last values there; nothing that follows the end is scored.
    """
    size = settings.past + settings.horizon
    return [record if len(record) >= size else _continued(record, size - len(record)) for record in records]


def _continued(record: Record, steps: int) -> Record:
    def missing(values: Tensor, value: float = torch.nan) -> Tensor:
        return torch.cat([values, torch.full((steps, values.shape[1]), value)])

    filled, size = record.filled, record.targets.shape[1]
    if filled is not None:
        filled = torch.cat([missing(filled[:, :size]), missing(filled[:, size:], 1.0)], dim=1)
    inputs = torch.cat([record.inputs, record.inputs[-1:].expand(steps, -1)])
    return dataclasses.replace(record, inputs=inputs, targets=missing(record.targets), filled=filled)


def every_window(records: Sequence[Record], settings: ForecastSettings, most: int) -> list[Record]:
    """Return the windows of past and horizon that start at every step; of more than `most`, some at equal distances."""
    size = settings.past + settings.horizon
    starts = sum(max(len(record) - size + 1, 0) for record in records)
    step = max(-(-starts // most), 1)
    return [record.part(start, start + size) for record in records for start in range(0, len(record) - size + 1, step)]


def hold_out_ends(training: Sequence[Record], size: int) -> tuple[list[Record], list[Record]]:
    """Split series in time: return their beginnings, to train on, and their ends, to validate on.

    An end is a fifth of its series, and at least `size` steps. Series shorter than 2 `size` are trained on whole.

    Args:
        training: the training series.
        size: the number of steps of a window.

    Raises:
        InputError: every series is too short to be split.
    """
    kept, ends = beginnings_and_ends([len(record) for record in training], size)
    beginnings, held_out = (
        [training[place].part(first, first + count) for place, first, count in places] for places in (kept, ends)
    )
    return beginnings, held_out


def held_out_in_words(size: int) -> str:
    """Return a sentence on what `hold_out_ends` holds out; `size` is the number of steps of a window."""
    return f"The last {HELD_OUT:.0%} of each series (at least {size} steps) are held out to validate on."


def not_validated_in_words(names: Sequence[str], sizes: Sequence[int], size: int) -> list[str]:
    """Return a sentence on the series that are too short to be split by `hold_out_ends`, if there are any.

    Args:
        names: of the series.
        sizes: their numbers of steps.
        size: the number of steps of a window.
    """
    short = [name for name, steps in zip(names, sizes, strict=True) if steps < 2 * size]
    if not short:
        return []
    return [
        f"{len(short)} of {len(names)} series {'are' if len(short) > 1 else 'is'} too short to validate on, with fewer "
        f"than {2 * size} steps (twice `past` and `horizon`), and trained on whole: {first_names(short)}. The other "
        f"{len(names) - len(short)} alone decide on the epoch, the base and the quantiles."
    ]


Places = list[tuple[int, int, int]]  # of parts of series: the number of the series, the first step, and their number


def beginnings_and_ends(sizes: Sequence[int], size: int) -> tuple[Places, Places]:
    """Return the parts of series to train on, and their ends; see `hold_out_ends`.

    Args:
        sizes: the numbers of steps of the series.
        size: the number of steps of a window.
    """
    long = [place for place, steps in enumerate(sizes) if steps >= 2 * size]
    if not long:
        raise InputError(
            f"the longest training series has {counted(max(sizes), 'step')}, but {2 * size} are needed: `past` and "
            f"`horizon` take {size} steps at its beginning, to train on, and at its end, to validate on; give a "
            "shorter `past` or `horizon`, or a `validation` table"
        )
    ends = [max(size, int(HELD_OUT * sizes[place])) for place in long]
    beginnings = [(place, 0, sizes[place] - end) for place, end in zip(long, ends, strict=True)]
    short = [(place, 0, steps) for place, steps in enumerate(sizes) if steps < 2 * size]
    return beginnings + short, [(place, sizes[place] - end, end) for place, end in zip(long, ends, strict=True)]
