"""A column that may tell the series of a table apart, where no column is named for that."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from .table import Table
from .time import may_be_time

LARGE, MOST_COLUMNS = 1_000_000, 20  # rows, and columns, up to which it is looked for a column that names series
UNITS = ("year", "month", "week", "day", "hour", "minute", "date", "time")  # names of columns of parts of times


def perhaps_series(table: Table, named: Sequence[str]) -> list[str]:
    """Return a sentence on a column that nothing names, and whose values stand each in one block of two rows or more.

    It may tell series apart. Numbers with a fraction and times do not count, and of several columns the one with the
    most values does. Of large tables, columns are not read for this.
    """
    columns = [name for name in table.frame.columns if name not in named and name.lower() not in UNITS]
    if len(table) > LARGE or len(columns) > MOST_COLUMNS:
        return []
    blocks = {name: _blocks(table.frame[name]) for name in columns if _may_be_identifier(table.frame.first(name))}
    name = max(blocks, key=blocks.__getitem__, default="")
    if not name or not blocks[name]:
        return []
    return [
        f"The table is read as one series; if column {name!r}, whose {blocks[name]} values each stand in one block of "
        f"rows, tells series apart, give `series` {name}."
    ]


def _may_be_identifier(cell: pl.Series) -> bool:
    if cell.dtype not in (pl.String, pl.Categorical, pl.Enum) and not cell.dtype.is_integer():
        return False
    return not (cell.dtype == pl.String and may_be_time(cell))


def _blocks(cells: pl.Series) -> int:
    """Return the number of distinct values of a column, if each stands in one block of two rows or more; else 0."""
    lengths = cells.rle().struct.field("len")
    distinct = cells.unique()
    if len(distinct) != len(lengths) or len(lengths) < 2 or lengths.min() < 2:  # type: ignore[operator]
        return 0
    numbers = distinct.cast(pl.String).cast(pl.Float64, strict=False)
    has_fraction = not numbers.null_count() and distinct.cast(pl.String).str.contains(".", literal=True).any()
    return 0 if has_fraction else len(distinct)
