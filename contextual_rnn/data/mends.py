"""What mends a mistake in a table: ends of the sentences of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from .._core.choices import listed, nearest
from ..table_files.separator import NAMES
from ..table_files.text import TextColumns
from .frame import FrameColumns

if TYPE_CHECKING:
    from .table import Table

THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
ROLES = ("inputs", "past_inputs", "targets", "context", "series", "time", "text")
NUMBER = r"[+-]?[\d.,]*\d"
WITH_UNIT = re.compile(r"[^\w.,]*[+-]?[\d.,]*\d\s*[^\d.,\s]{1,3}")


def number(cell: str) -> float | None:
    """Return the number that a cell of text holds, or None."""
    return pl.Series([cell]).cast(pl.Float64, strict=False)[0]


def named_twice(name: str, settings: Any) -> str:
    """Return the message about a column that settings name twice: in which of them, and what would be right."""
    given = [(role, getattr(settings, role, None) or ()) for role in ROLES]
    roles = [role for role, names in given for one in ([names] if isinstance(names, str) else names) if one == name]
    if len(set(roles)) == 1:
        return f"column {name!r} is named twice in `{roles[0]}`; name it once"
    return f"column {name!r} is named in {listed([f'`{role}`' for role in roles])}; name it in one of them"


def mend_of_context(name: str, settings: Any) -> str:
    """Return what mends a column of context that changes within a series."""
    takes_inputs = bool(getattr(settings, "inputs", ())) or hasattr(settings, "past")
    moved = f"give {name} in `inputs`" if takes_inputs else f"leave {name} out of `context`"
    first = "correct the cell"
    if getattr(settings, "series", None) is None:
        first = "name in `series` the column that tells the series apart"
    return f"{first}, or {moved} if it changes with time"


def mend_of_name(table: Table, name: str) -> str:
    """Return what mends the name of a column that a table does not have."""
    columns = table.frame.columns
    parts = re.split(r"[,;\s]+", name.strip())
    if len(parts) > 1 and set(parts) <= set(columns):
        return f"; give the names one by one, as {' '.join(parts)}"
    if isinstance(table.frame, FrameColumns):
        return _mend_of_index(table.frame, name, table.files) or nearest(name, columns)
    found = next(((one, column) for column in columns for one in NAMES if name in _parts(column, one)), None)
    if found is not None:
        mark = {"\t": "tab"}.get(found[0], f'"{found[0]}"')
        return f"; the name {found[1]!r} has {NAMES[found[0]]}s, so give `separator` {mark}"
    if any(number(one) is not None for one in columns):
        end = "; if the file has no header, give `no_header`, and `columns` with the names of all columns"
        return nearest(name, columns) + end
    return nearest(name, columns)


def _mend_of_index(frame: FrameColumns, name: str, settings: Any) -> str:
    """Return what mends a name that is in the index of a pandas data frame; empty if it is not there."""
    index = nw.maybe_get_index(frame.frame)
    if name in (getattr(index, "names", None) or ()):
        return f"; {name!r} is in its index, so give its reset_index()"
    if name in (getattr(settings, "time", None) or ()) and str(getattr(index, "dtype", "")).startswith("datetime64"):
        return f"; if the times are its index, give its rename_axis({name!r}).reset_index()"
    return ""


def _parts(column: str, separator: str) -> list[str]:
    """Return the names that a header's name has between separators; none if it has no separator."""
    return [part.strip() for part in column.split(separator)] if separator in column else []


def mend_of_number(table: Table, name: str, row: int, cell: Any, is_needed: bool = False) -> str:
    """Return what may mend a cell that is no number; `is_needed` says that a missing value has to be filled."""
    if not isinstance(cell, str) or not (table.from_frame or isinstance(table.frame, TextColumns)):
        return ""
    text, files = cell.strip(), table.files
    if not isinstance(table.frame, TextColumns):
        return _mend_in_frame(table, name, text, is_needed)
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
    if text == name:
        return "; this line repeats the header: delete it"
    cells = table.frame.text(name)
    if row == 0 and number(text) is None and len(table) > 1 and number(cells[1]) is not None:
        skip = table.frame.lines[0]
        return (
            f"; if this line holds units, give `skip_rows` {skip}, `no_header`, and `columns` with the names of all "
            "columns"
        )
    others = cells.cast(pl.Float64, strict=False).null_count()
    if 2 * others < len(table):
        return _stands_for_missing(table, cell, is_needed)
    if others < len(table) or len(table) == 1:
        return ""
    is_target = name in getattr(table.files, "targets", ())
    return "; no cell of the column is a number" + "; name another column in `targets`" * is_target


def _mend_in_frame(table: Table, name: str, text: str, is_needed: bool) -> str:
    """Return what may mend a text without blanks in a data frame that is no number."""
    mends = []
    if THOUSANDS.fullmatch(text):
        mends.append(f"if the comma separates thousands, write {text.replace(',', '')}")
    if text.count(",") == 1 and number(text.replace(",", ".")) is not None:
        mends.append(f"if it is a decimal comma, write {text.replace(',', '.')}")
    if mends:
        return "".join(f"; {mend}" for mend in mends)
    if WITH_UNIT.fullmatch(text):
        return f"; write the number alone, {re.findall(NUMBER, text)[0]}, without a sign or a unit"
    few = 2 * table.frame[name].cast(pl.Float64, strict=False).null_count() < len(table)
    return _stands_for_missing(table, text, is_needed) if few else ""


def _stands_for_missing(table: Table, cell: str, is_needed: bool) -> str:
    fills = " and `missing` hold" if is_needed and getattr(table.files, "missing", "") == "refuse" else ""
    return f"; correct the cell, or, if it stands for a missing number, give `missing_values` {shown(cell)}{fills}"


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
