"""Series from a table: CSV or Parquet, one row a time step, in order."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from ..errors import InputError
from .table import Table


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names of a table's columns, by their role.

    Attributes:
        inputs: what drives the series, known at every step.
        targets: what is predicted.
        context: what is constant within a series: numbers are quantities, text is labels.
        series: the column that tells series apart; None where the table is one series.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    context: tuple[str, ...] = ()
    series: str | None = None

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Columns:
        """Return columns from what `dataclasses.asdict` made of them, once it went through JSON."""
        return cls(tuple(kept["inputs"]), tuple(kept["targets"]), tuple(kept["context"]), kept["series"])


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """One series.

    Attributes:
        name: the value of the series column, or the file's name without its ending.
        inputs: (T, U) float32.
        targets: (T, Y) float32; NaN after the steps whose targets had to be known, where the table has none.
        context: the text of every context column; whether it is a number or a label, training tells.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    context: dict[str, str]

    def __len__(self) -> int:
        return len(self.inputs)


def read_series(
    path: str | os.PathLike[str], columns: Columns, *, known_targets: int | None = None, min_length: int = 1
) -> list[Series]:
    """Read the series of a table, in the order in which they first appear; their rows may be interleaved.

    Args:
        path: a `.csv`, `.tsv` or `.parquet` file.
        columns: the names of its columns.
        known_targets: how many steps at the start of each series must have targets; None is all. With 0 the target
            columns need not be there.
        min_length: the fewest steps that a series may have.

    Raises:
        InputError: one sentence with the file, the line (of a text file; the header is line 1) or row, and the column.
    """
    table = Table.read(pathlib.Path(path))
    targets = columns.targets
    if known_targets == 0 and not any(name in table.frame.columns for name in targets):
        targets = ()
    table.check_columns([*columns.inputs, *targets, *columns.context, *([columns.series] if columns.series else [])])
    names = table.labels(columns.series) if columns.series else np.full(len(table), table.path.stem)
    rows = _rows_of(names)
    for name, places in rows.items():
        if len(places) < min_length:
            raise InputError(
                f"{table.path}: series {name!r} has {len(places)} step{'s' * (len(places) != 1)}, and at least "
                f"{min_length} are needed"
            )
    position = np.empty(len(table), int)
    for places in rows.values():
        position[places] = np.arange(len(places))
    known = np.ones(len(table), bool) if known_targets is None else position < known_targets
    inputs = table.numbers(columns.inputs, np.ones(len(table), bool))
    outputs = table.numbers(targets, known)
    if not targets:
        outputs = np.full((len(table), len(columns.targets)), np.nan, np.float32)
    context = {name: table.context(name) for name in columns.context}
    return [
        Series(name, inputs[places], outputs[places], table.constants(context, name, places))
        for name, places in rows.items()
    ]


def _rows_of(names: np.ndarray) -> dict[str, np.ndarray]:
    unique, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    places = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    return {str(unique[index]): places[index] for index in np.argsort(first)}
