"""What mends a mistake in a table: ends of the sentences of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl

from .._core.choices import nearest
from ..table_files.separator import NAMES
from ..table_files.text import TextColumns

if TYPE_CHECKING:
    from .table import Table

THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
NUMBER = r"[+-]?[\d.,]*\d"
WITH_UNIT = re.compile(r"[^\w.,]*[+-]?[\d.,]*\d\s*[^\d.,\s]{1,3}")


def number(cell: str) -> float | None:
    """Return the number that a cell of text holds, or None."""
    return pl.Series([cell]).cast(pl.Float64, strict=False)[0]


def mend_of_name(table: Table, name: str) -> str:
    """Return what mends the name of a column that a table does not have."""
    columns = table.frame.columns
    parts = re.split(r"[,;\s]+", name.strip())
    if len(parts) > 1 and set(parts) <= set(columns):
        return f"; give the names one by one, as {' '.join(parts)}"
    if table.from_frame:
        return nearest(name, columns)
    separators = [one for one in NAMES if len(columns) == 1 and one in columns[0]]
    if separators:
        mark = {"\t": "tab"}.get(separators[0], f'"{separators[0]}"')
        return f"; this single name has {NAMES[separators[0]]}s, so give `separator` {mark}"
    if any(number(one) is not None for one in columns):
        end = "; if the file has no header, give `no_header`, and `columns` with the names of all columns"
        return nearest(name, columns) + end
    return nearest(name, columns)


def mend_of_number(table: Table, name: str, row: int, cell: Any, is_needed: bool = False) -> str:
    """Return what may mend a cell that is no number; `is_needed` says that a missing value has to be filled."""
    if not isinstance(cell, str) or not isinstance(table.frame, TextColumns):
        return ""
    text, files = cell.strip(), table.files
    if files.decimal == "," and number(text) is not None:
        return '; give `decimal` "." if it is a decimal point'
    if THOUSANDS.fullmatch(text):
        return (
            f"; if the comma separates thousands, write {text.replace(',', '')}; if it is a decimal comma, give "
            '`decimal` ","'
        )
    if files.decimal == "." and text.count(",") == 1 and number(text.replace(",", ".")) is not None:
        return '; give `decimal` "," if it is a decimal comma'
    if WITH_UNIT.fullmatch(text):
        return f"; write the number alone, {re.findall(NUMBER, text)[0]}, without a sign or a unit"
    cells = table.frame.text(name)
    if row == 0 and len(table) > 1 and number(cells[1]) is not None:
        skip = table.frame.lines[0]
        return (
            f"; if this line holds units, give `skip_rows` {skip}, `no_header`, and `columns` with the names of all "
            "columns"
        )
    others = cells.cast(pl.Float64, strict=False).null_count()
    if 2 * others < len(table):
        fills = " and `missing` hold" if is_needed and getattr(table.files, "missing", "") == "refuse" else ""
        return f"; correct the cell, or, if it stands for a missing number, give `missing_values` {shown(cell)}{fills}"
    if others < len(table) or len(table) == 1:
        return ""
    is_target = name in getattr(table.files, "targets", ())
    return "; no cell of the column is a number" + "; name another column in `targets`" * is_target


def perhaps_thousands(table: Table, name: str, cells: pl.Series) -> list[str]:
    """Return a sentence on a column whose decimal commas all look like separators of thousands; none if it was said."""
    with_comma = cells.filter(cells.str.contains(",", literal=True))
    if not len(with_comma) or not with_comma.str.contains(r"^[+-]?[1-9]\d{0,2},\d{3}$").all():
        return []
    found = with_comma[0]
    said = (
        f"Every number of column {name!r} of {table.name} that has a comma has three digits after it; {found} is read "
        f"as {found.replace(',', '.')}: if the comma separates thousands, remove it and leave `decimal` out."
    )
    return [] if said in table.notes else [said]


def shown(cell: Any) -> str:
    """Return a cell as sentences show it."""
    text = repr(cell)
    return text if len(text) <= 60 else text[:57] + "..."
