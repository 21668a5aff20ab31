"""Series: read from a table, and turned into tensors with the context of each series."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._core.arrays import is_first, values_at
from .._core.records import Record, collate, random_windows  # noqa: F401  (the last two are read with series)
from ..coding import Coding
from ..context import Field
from ..errors import InputError
from ..scaling import StandardisedColumns
from ..table_files.doubtful import labels_alike, perhaps_missing
from .calendar import calendar_inputs
from .columns import TargetSettings
from .fields import fields_of
from .input_labels import coding_in_words, inputs_with_labels, learn_labels, perhaps_labels
from .lengths import left_out_in_words, too_short
from .missing import REFUSE, check_known, filled_with_indicators, in_words
from .perhaps_series import perhaps_series
from .perhaps_time import perhaps_time
from .stored import StoredSeries
from .table import Source, Table, is_path, same_tables
from .time import NO_TIME, Times, check_frequency, check_order, read_times


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """One series.

    Attributes:
        name: the value of the series column; without one, the file's name without its ending.
        inputs: (T, U) float32; NaN where an input is missing and is to be filled.
        targets: (T, Y) float32; NaN where a target is missing and need not be known, or is to be filled.
        context: the text of every context column; the training table decides whether it is a number or a label.
        rows: (T,) the rows of the table that the series' steps come from; -1 where a row is absent.
        times: those of all rows of the table, if a column of times is named.
        calendar: (T, 2C) the calendar inputs, if there are any.
        coding: how cells became numbers. An input that is a label is the position of the label, or NaN.
        place: what errors call the first row.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    context: dict[str, str]
    rows: np.ndarray
    times: Times | None = None
    calendar: np.ndarray | None = None
    coding: Coding = dataclasses.field(default_factory=Coding)
    place: str = ""

    def where(self, column: str) -> str:
        """Return what errors call the first cell of a column."""
        return f"{self.place}, column {column!r}"

    def __len__(self) -> int:
        """Return T, the number of time steps."""
        return len(self.inputs)


def time_column(columns: TargetSettings) -> str | None:
    """Return the column of times, if there is one; several columns have been joined to one (`Table.join`)."""
    return None if columns.time in (None, (NO_TIME,)) else " ".join(columns.time or ())


def names_of(columns: TargetSettings) -> list[str]:
    """Return the names of all columns that have a role."""
    times = columns.time or () if time_column(columns) else ()
    return [*inputs_of(columns), *columns.targets, *columns.context, *filter(None, [columns.series]), *times]


def inputs_of(columns: TargetSettings) -> tuple[str, ...]:
    """Return the names of the input columns, and then of those that are known of the past only."""
    return (*columns.inputs, *getattr(columns, "past_inputs", ()))


def read_series(
    source: Source | Table,
    columns: TargetSettings,
    *,
    known_targets: int | None = None,
    scored_from: int | None = None,
    min_length: int = 1,
    left_out: list[str] | None = None,
    frequency: str | None = None,
    coding: Coding | None = None,
    is_trained: bool = False,
) -> list[Series]:
    """Read the series of a table, in the order in which they first appear. Their rows may be interleaved.

    With a column of times, the steps of a series are in the order of time; without one, in the order of the rows.

    Args:
        source: a `Table`, the path of a file, or a data frame.
        columns: the names of its columns.
        known_targets: the number of steps at the start of each series that must have targets; None requires all. With
            0, the target columns may be absent.
        scored_from: the step from which on each series must have a value of every target, though not at every step;
            None requires none.
        min_length: the smallest number of steps that a series may have.
        left_out: where given, shorter series are left out, unless all are, and their names are added to it; None
            refuses shorter series.
        frequency: that of other tables, in words; see `read_times`.
        coding: that of the training table; None learns it from this table.
        is_trained: whether a trained model reads the table, as errors then say.

    Raises:
        InputError: if the table is invalid; the message names the file, the line or row, and the column.
    """
    table = source if isinstance(source, Table) else Table(source, files=columns)
    targets = columns.targets
    if known_targets == 0 and scored_from is None and not any(name in table.frame.columns for name in targets):
        targets = ()
    asked = [name for name in names_of(columns) if targets or name not in columns.targets]
    labelled = columns.labels if coding is None else coding.labels
    table.check_columns(asked, [name for name in (*inputs_of(columns), *targets) if name not in labelled])
    if columns.time and len(columns.time) > 1:
        table.join(columns.time)
    rows, times = _in_order(table, columns, table.groups(columns.series), frequency)
    if times is not None:
        check_frequency(times, frequency, table.name, is_trained)
    rows = _long_enough(table, rows, min_length, left_out, columns)
    refuse = np.full(len(table), columns.missing == REFUSE)
    is_learned = coding is None
    coding = _learn_coding(table, columns, targets) if coding is None else coding
    inputs = _inputs(table, columns, refuse, coding)
    known = refuse if known_targets is None else refuse & is_first(rows.values(), known_targets, len(table))
    outputs = table.numbers(targets, known, columns.missing_values, coding.offsets)
    if not targets:
        outputs = np.full((len(table), len(columns.targets)), np.nan, np.float32)
    context = {name: table.context(name, name in columns.labels, columns.missing_values) for name in columns.context}
    if scored_from is not None and np.isnan(outputs).any():
        after = f" after the first {scored_from} steps" if scored_from else ""
        for name, places in rows.items():
            check_known(values_at(outputs, places[scored_from:]), targets, table.name, name, after)
    waves = getattr(columns, "calendar", ())
    calendar = calendar_inputs(waves, table, time_column(columns), times, rows) if waves else {}
    constants = {
        name: table.constants(context, name, places[places >= 0]) if context else {} for name, places in rows.items()
    }
    found = [
        Series(
            *(name, values_at(inputs, places), values_at(outputs, places), constants[name]),
            *(places, times, calendar.get(name)),
            coding=coding,
            place=f"{table.where(int(places[0]))}, series {name!r}" if columns.series else table.where(int(places[0])),
        )
        for name, places in rows.items()
    ]
    return _with_complete(found, columns) if is_learned and columns.missing != REFUSE else found


def _with_complete(series: list[Series], columns: TargetSettings) -> list[Series]:
    """Return the series of a training table, whose coding names the columns that have no missing value in them."""
    missing = dict.fromkeys((*inputs_of(columns), *columns.targets), False)
    for one in series:
        holes = [*np.isnan(one.inputs).any(0), *np.isnan(one.targets).any(0)]
        missing |= {name: bool(missing[name] or hole) for name, hole in zip(missing, holes, strict=True)}
    complete = tuple(name for name, has_holes in missing.items() if not has_holes)
    coding = dataclasses.replace(series[0].coding, complete=complete)
    return [dataclasses.replace(one, coding=coding) for one in series]


def _learn_coding(table: Table, columns: TargetSettings, targets: Sequence[str]) -> Coding:
    """Return how the cells of a training table become numbers."""
    names = inputs_of(columns)
    perhaps = any(name in columns.labels or table.may_be_labels(name) for name in names)
    labels = learn_labels(table, names, columns) if perhaps else {}
    numeric = [name for name in (*names, *targets) if name not in labels]
    return Coding(labels, table.offsets(numeric, columns.missing_values))


def _inputs(table: Table, columns: TargetSettings, refuse: np.ndarray, coding: Coding) -> np.ndarray:
    """Return the input columns (rows, U)."""
    if coding.labels:
        return inputs_with_labels(table, inputs_of(columns), columns, coding)
    return table.numbers(inputs_of(columns), refuse, columns.missing_values, coding.offsets)


def _long_enough(
    table: Table, rows: dict[str, np.ndarray], least: int, left_out: list[str] | None, columns: TargetSettings
) -> dict[str, np.ndarray]:
    """Return the rows of the series of at least `least` steps; see `min_length` and `left_out` of `read_series`."""
    short = [name for name, places in rows.items() if len(places) < least]
    if left_out is not None and len(short) < len(rows):
        left_out += short
        return {name: places for name, places in rows.items() if len(places) >= least}
    if short:
        raise too_short(table.name, short[0], len(rows[short[0]]), least, columns)
    return rows


def _in_order(
    table: Table, columns: TargetSettings, rows: dict[str, np.ndarray], frequency: str | None
) -> tuple[dict[str, np.ndarray], Times | None]:
    """Return the rows of every series in the order of time, and the times if a column of times is named."""
    time = time_column(columns)
    if columns.gaps != "refuse" and not time:
        raise InputError("`gaps` missing needs the times of the rows: name their column in `time`")
    if columns.gaps != "refuse" and columns.missing == REFUSE:
        raise InputError(
            "`gaps` missing needs a way to fill the values of absent rows: give `missing` hold (with the last known "
            "value), interpolate or zero"
        )
    if time:
        times, ordered = read_times(table, time, rows.values(), columns.gaps, frequency)
        return dict(zip(rows, ordered, strict=True)), times
    if columns.time is None:
        named = set(names_of(columns))
        unnamed = [name for name in table.frame.columns if name not in named]
        if unnamed:
            check_order(table, unnamed, rows.values())
    return rows, None


def context_width(fields: dict[str, Field]) -> int:
    """Return C, the width of a context vector."""
    return sum(field.out_features for field in fields.values())


def context_of(series: Sequence[Series], fields: dict[str, Field], names: Sequence[str]) -> Tensor:
    """Return the context vector of every series, (N, C); see `fields.context_vectors`."""
    if not names:
        return torch.zeros(len(series), 0)
    from .fields import context_vectors

    return context_vectors(fields, names, series)


def input_width(columns: TargetSettings) -> int:
    """Return the width of the inputs of a record: of the columns, their indicators, and the calendar inputs."""
    return len(inputs_of(columns)) * (1 if columns.missing == REFUSE else 2) + 2 * len(getattr(columns, "calendar", ()))


def target_width(columns: TargetSettings) -> int:
    """Return the width of the targets that a model reads: of each, its value; and an indicator if it can be filled."""
    return len(columns.targets) * (1 if columns.missing == REFUSE else 2)


def records(series: Sequence[Series], fields: dict[str, Field], columns: TargetSettings) -> list[Record]:
    """Return series as records, whose missing values are filled.

    Args:
        series: of a table.
        fields: of the context columns, as returned by `fields.learn_fields`.
        columns: the columns of the table, and what is done about missing values.
    """
    vectors = context_of(series, fields, columns.context)
    return [make_record(one, vector, columns) for one, vector in zip(series, vectors, strict=True)]


def make_record(one: Series, context: Tensor, columns: TargetSettings) -> Record:
    """Return a series as a record; see `records`."""
    inputs, targets, filled = one.inputs, torch.from_numpy(one.targets), None
    if columns.missing != REFUSE:
        labelled = list(one.coding.counts(inputs_of(columns)))
        inputs = filled_with_indicators(inputs, columns.missing, labelled)
        filled = torch.from_numpy(filled_with_indicators(one.targets, columns.missing))
    if one.calendar is not None:
        inputs = np.concatenate([inputs, one.calendar], axis=1)
    times = one.times.dates(one.rows) if one.times and len(one.rows) == len(one) else None
    return Record(one.name, torch.from_numpy(inputs), targets, context, filled, times)


@dataclasses.dataclass(frozen=True)
class Datasets:
    """The records of a training, a validation and a test table.

    Attributes:
        training: the series of the training table.
        validation, test: those of the other tables; empty where there is none.
        fields: those of the context columns, which the training table determines.
        coding: how its cells became numbers.
        identity: the names and the SHA-256 of the tables, so that a run is not resumed on other data.
        backend: the kind of data frame that the training table is, as narwhals names it; polars for a file.
        frequency: of the rows, in words; None without a column of times.
        missing, notes: sentences on missing values, and on what else was found.
        held_out: whole series that are not trained on, where `validation` holds windows of them.
        stored: all series of a training table that stays on the disk, of which `training` holds a part.
        whole, whole_stored: the series of the training table, where `training` and `stored` hold parts of them.
        levels_differ: whether their levels differ (see `series_scales.levels_differ`); None if it stays in memory.
    """

    training: list[Record]
    validation: list[Record]
    test: list[Record]
    fields: dict[str, Field]
    identity: dict[str, Any]
    backend: Any
    frequency: str | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held_out: tuple[Record, ...] = ()
    whole: tuple[Record, ...] = ()
    stored: StoredSeries | None = None
    whole_stored: StoredSeries | None = None
    levels_differ: bool | None = None
    coding: Coding = dataclasses.field(default_factory=Coding)

    @classmethod
    def read(
        cls,
        train: Source,
        validation: Source | None,
        test: Source | None,
        columns: TargetSettings,
        *,
        least_training: int = 1,
        least: int = 1,
        window: int = 0,
        reads_targets: bool = True,
    ) -> Datasets:
        """Read every table once.

        Args:
            train: the training table.
            validation, test: the other tables, if there are any.
            columns: the names of their columns.
            least_training, least: the smallest number of steps of a series of the training table, and of the others.
            window: the steps at the start of each series that are not predicted.
            reads_targets: whether the model reads targets, anywhere in a series.

        Raises:
            InputError: if a table is invalid.
        """
        sources = {"train": train, "validation": validation, "test": test}
        given = [name for name, source in sources.items() if source is not None or name == "train"]
        tables = {name: Table(sources[name], f"`{name}`", columns) for name in given}
        series: dict[str, list[Series]] = {}
        notes: list[str] = []
        for name, table in tables.items():
            first, shortest = (series["train"][0], least) if series else (None, least_training)
            short: list[str] = []
            series[name] = read_series(
                table,
                columns,
                known_targets=None if reads_targets else 0,
                scored_from=window,
                min_length=shortest,
                left_out=short,
                frequency=first.times.frequency if first and first.times else None,
                coding=first.coding if first else None,
            )
            notes += [*table.notes, *(left_out_in_words(name, short, shortest) if short else [])]
        if columns.missing != REFUSE:
            check_known(
                np.concatenate([one.inputs for one in series["train"]]), inputs_of(columns), tables["train"].name
            )
        fields, coding = dict[str, Field](), series["train"][0].coding
        notes += coding_in_words(coding, len(tables["train"])) if coding.labels or coding.offsets else []
        if columns.series is None:
            notes += perhaps_series(tables["train"], names_of(columns))
        if columns.time is None and set(tables["train"].frame.columns) - set(names_of(columns)):
            notes += perhaps_time(tables["train"], names_of(columns), [one.rows for one in series["train"]])
        if (series["train"][0].inputs % 1 == 0).all(0).any():
            notes += perhaps_labels(series["train"], inputs_of(columns), columns)
        notes += perhaps_missing(series["train"], inputs_of(columns), columns.targets)
        if columns.context or columns.labels or columns.quantities:
            fields, remarks = fields_of(tables["train"], series["train"], columns, inputs_of(columns))
            notes += remarks
        if columns.series:
            notes += labels_alike({columns.series: [one.name for one in series["train"]]})
        times = series["train"][0].times
        found = {name: records(several, fields, columns) for name, several in series.items()}
        identity = _identity(sources, tables, columns)
        return cls(
            found["train"],
            found.get("validation", []),
            found.get("test", []),
            fields,
            identity,
            tables["train"].backend,
            times.frequency if times else None,
            tuple(
                in_words(tables[name].name, several, columns.missing, reads_targets)
                for name, several in series.items()
                if columns.missing != REFUSE or any(np.isnan(one.targets).any() for one in several)
            ),
            (*notes, *same_tables(identity["sha256"])),
            coding=coding,
        )

    @property
    def remarks(self) -> list[str]:
        """What was inferred from the tables, in sentences."""
        unit = " in the unit of their times" if (self.frequency or "").startswith("a step of") else ""
        frequency = [f"The frequency of the rows is {self.frequency}{unit}."] if self.frequency else []
        return [*frequency, *self.missing, *self.notes]

    def standardise(self, model: StandardisedColumns) -> None:
        """Set the scales of a model to those of the whole training table."""
        model.standardise(self.training)
        if self.stored is not None:
            self.stored.standardise(model)

    def split(
        self, index: int | None, folds: int, window: int = 0, *, whole: bool = False
    ) -> tuple[list[Record], list[Record]]:
        """Return the series to train on and those to validate on.

        Args:
            index: of the fold; None takes all training series, and none to validate on. A validation table goes first.
            folds, window, whole: see `folds.fold`.
        """
        if index is None or self.validation:
            return self.training, [] if index is None else self.validation
        from .._core.folds import fold

        return fold(self.training, index, folds, window, whole=whole)


def _identity(sources: dict[str, Source | None], tables: dict[str, Table], columns: TargetSettings) -> dict[str, Any]:
    files = {name: str(source) if is_path(source) else None for name, source in sources.items()}
    return {"files": files, "sha256": {name: table.fingerprint(names_of(columns)) for name, table in tables.items()}}
