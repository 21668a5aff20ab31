"""The tables of a job whose training table stays on the disk."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from ..errors import InputError
from ..table_files.unchanged import Unchanged
from .columns import ColumnSettings
from .lengths import left_out_in_words, too_short
from .missing import REFUSE
from .parquet import hash_of, scan_columns
from .row_groups import check_row_groups
from .series import Datasets, inputs_of
from .stored import StoredSeries, refuse_large, store
from .table import Source, same_tables

FIRST = 100_000  # rows of the training table that are read into memory
PLAIN: dict[str, Any] = {
    "time": None,
    "missing": REFUSE,
    "context": (),
    "missing_values": (),
    "calendar": (),
    "labels": (),
    "quantities": (),
    "series_from_file": None,
}  # settings that must not be given


def read_stored(
    train: Source,
    columns: ColumnSettings,
    least: int,
    scales: Sequence[str | None],
    read: Callable[[pl.DataFrame], Datasets],
) -> Datasets:
    """Leave the training table on the disk, and read its first rows and the other tables.

    Args:
        train: the Parquet file or folder of such files.
        columns: the names of its columns.
        least: the smallest number of steps that a series of it may have; shorter ones are left out, unless all are.
        scales: the values of the setting `scale` that such a table allows.
        read: returns the tables, with a data frame in place of the training table.

    Raises:
        InputError: a table is invalid, or a setting needs a table in memory.
    """
    path = pathlib.Path(train)
    for name, value in PLAIN.items():
        if (getattr(columns, name, None) or None) != (value or None):
            raise _refused(name)
    if getattr(columns, "scale", None) not in scales:
        raise _refused("scale")
    unchanged = Unchanged(path)
    check_row_groups(path, [*inputs_of(columns), *columns.targets], getattr(columns, "memory", None) or 0.0)
    stored, notes = _long_enough(store(path, inputs_of(columns), columns.targets, columns.series), path, least, columns)
    data = read(_first_rows(path, stored, columns))
    for name in data.coding.offsets:
        refuse_large(path, name)
    identity = {
        "files": data.identity["files"] | {"train": str(path)},
        "sha256": data.identity["sha256"] | {"train": hash_of(path)},
    }
    unchanged.check()
    notes += same_tables(identity["sha256"])
    return dataclasses.replace(data, stored=stored, identity=identity, backend="polars", notes=(*data.notes, *notes))


def stored_in_words(stored: StoredSeries) -> str:
    """Return the start of a sentence that says what stays on the disk."""
    megabytes = 4e-6 * len(stored.mean) * sum(stored.sizes)
    return (
        f"The {sum(stored.sizes)} rows of the training table ({len(stored.names)} series) stay on the disk, as "
        f"{megabytes:.3g} MB of a temporary file, and windows are drawn from all of them"
    )


def _refused(name: str) -> InputError:
    return InputError(f"`{name}`: a training table that stays on the disk (`memory`) does not take it")


def _long_enough(
    stored: StoredSeries, path: pathlib.Path, least: int, columns: ColumnSettings
) -> tuple[StoredSeries, list[str]]:
    """Return the series of at least `least` steps, and a sentence on the others."""
    short = {place for place, size in enumerate(stored.sizes) if size < least}
    if len(short) == len(stored.sizes):
        raise too_short(str(path), stored.names[0], stored.sizes[0], least, columns)
    if not short:
        return stored, []
    kept = [(place, 0, size) for place, size in enumerate(stored.sizes) if place not in short]
    found, _, _ = stored.parts(kept).measured()
    return found, left_out_in_words("train", [stored.names[place] for place in sorted(short)], least)


def _first_rows(path: pathlib.Path, stored: StoredSeries, columns: ColumnSettings) -> pl.DataFrame:
    """Return the rows of the first series, or those of a part of the first one if it is long."""
    first = stored.starts[0]
    ends = [start + size - first for start, size in zip(stored.starts, stored.sizes, strict=True)]
    count = max((end for end in ends if end <= FIRST), default=FIRST)
    names = [*inputs_of(columns), *columns.targets, *filter(None, [columns.series])]
    frame = scan_columns(path, names).slice(first, count).collect()
    if columns.series is None:
        return frame
    return frame.filter(pl.col(columns.series).cast(pl.String).is_in(list(stored.names)))
