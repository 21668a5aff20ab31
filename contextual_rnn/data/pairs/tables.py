"""The rows of lists of tuples, data frames, and files that are tables with a header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._core.choices import nearest
from ...errors import InputError
from ..table import Table
from .pair import Row


def listed_rows(source: Sequence[Any], name: str) -> list[Row]:
    """Return the rows of a list of tuples; raise InputError, by the number of the row, if one is no pair of texts."""
    if not source:
        raise InputError(f"{name} is empty; it must hold at least one pair")
    rows = []
    for number, item in enumerate(source):
        place = f"{name}, row {number}"
        is_pair = isinstance(item, (list, tuple)) and len(item) in (2, 3)
        if not is_pair or not all(isinstance(text, str) for text in item):
            raise InputError(f"{place}: expected a tuple of texts, (source, target), found {item!r}")
        text = [_one_line(place, side) for side in item]
        rows.append(Row(place, text[0], text[1], text[2] if len(text) == 3 else None))
    return rows


def table_rows(table: Table, columns: Sequence[str]) -> list[Row]:
    """Return the rows of a table; raise InputError if columns are not named, or a text is missing."""
    names = list(columns) or table.frame.columns
    if not columns and len(names) != 2:
        listed = ", ".join(map(repr, names[:20]))
        example = f", such as `columns` {names[0]} {names[1]}" if len(names) > 1 else " with `columns`"
        raise InputError(f"{table.name} has the columns {listed}; name those of source and target{example}")
    missing = [name for name in columns if name not in table.frame.columns]
    if missing and not table.from_frame and len(table.frame.columns) in (2, 3):
        raise InputError(
            f"{table.name} has no column {missing[0]!r}; its first line, which is read as the header, has "
            f"{', '.join(map(repr, table.frame.columns))}{nearest(missing[0], table.frame.columns)}; if the file has "
            "no header, leave `columns` out"
        )
    table.check_columns(names)
    labels = table.labels(names[2]) if len(names) == 3 else [None] * len(table)
    rows = zip(_texts(table, names[0]), _texts(table, names[1]), labels, strict=True)
    return [Row(table.where(number), source, target, label) for number, (source, target, label) in enumerate(rows)]


def _texts(table: Table, column: str) -> list[str]:
    texts = table.frame[column].to_list()
    for row, text in enumerate(texts):
        place = table.where(row, column)
        if text is None:
            raise InputError(f"{place}: a text is missing")
        if not isinstance(text, str):
            raise InputError(f"{place}: expected text, found {text!r}")
        _one_line(place, text)
    return texts


def _one_line(place: str, text: str) -> str:
    """Return a text; raise InputError if a line of a file could not hold it."""
    if not text:
        raise InputError(f"{place}: the text is empty")
    if any(mark in text for mark in "\t\r\n"):
        raise InputError(f"{place}: a text must have no tab and no line break; found {text!r}")
    return text
