"""Input columns of labels: which these are, and their cells as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..coding import Coding
from ..errors import InputError
from ..table_files.doubtful import labels_alike
from .clock import read_clock
from .columns import TargetSettings
from .fields import FEW, WHOLE, check_roles, in_order, known_labels, spelling
from .mends import number
from .missing import REFUSE
from .remarks import LIKE_A_NUMBER
from .table import FILLS, MISSING, Table

if TYPE_CHECKING:
    from .series import Series

MOST = 1000  # labels of a column
WHOLE_NUMBER = re.compile(r"[+-]?\d+")
ROWS = 10_000  # of each series, of which distinct numbers are counted


def learn_labels(table: Table, names: Sequence[str], columns: TargetSettings) -> dict[str, list[str]]:
    """Return the labels of those input columns of a training table that hold labels.

    These are the columns that `labels` names, columns of categories, enumerations and booleans, and columns of text in
    which no cell is a number. NA is a label there. A column that `quantities` names holds numbers.

    Args:
        table: the training table.
        names: of its input columns.
        columns: their settings.

    Raises:
        InputError: a column of text holds times or identifiers, or a column has more than 1,000 labels.
    """
    check_roles(columns.context, columns.labels, columns.quantities, names)
    found = {}
    for name in names:
        if name in columns.quantities:
            continue
        if name in columns.labels or table.is_category(name):
            found[name] = _distinct(table, name, columns, named=True)
        elif table.frame[name].dtype == pl.String and _is_text(table, name, columns):
            found[name] = _distinct(table, name, columns, named=False)
    return found


def coding_in_words(coding: Coding, rows: int) -> list[str]:
    """Return a sentence for each input column of labels, and for each column with an offset.

    Args:
        coding: of a training table.
        rows: the number of its rows.
    """
    sentences = []
    for name, known in coding.labels.items():
        marks = [label for label in known if label.lower() in MISSING]
        sentences.append(
            f"Input {name!r} is a label with {len(known)} value{'s' * (len(known) != 1)}: {known_labels(known)}."
            + _perhaps_quantity(name, known, rows)
            + (f" If {marks[0]} stands for a missing value, give `missing_values` {marks[0]}." if marks else "")
        )
    sentences += labels_alike(coding.labels)
    for name, offset in coding.offsets.items():
        sentences.append(
            f"The numbers of {name!r} are large and differ little, so {offset:.17g} is subtracted from them."
        )
    return sentences


def _perhaps_quantity(name: str, known: Sequence[str], rows: int) -> str:
    """Return a sentence on labels that are numbers, if most rows have their own, or some have a fraction."""
    if any(number(label) is None for label in known if label.lower() not in MISSING):
        return ""
    whole = all(WHOLE_NUMBER.fullmatch(label) for label in known)
    if whole and 2 * len(known) <= rows:
        return ""
    distinct = f"{len(known)} distinct ones in {rows} rows"
    return f" They are numbers, {distinct}: if they are quantities, leave {name} out of `labels`."


def perhaps_labels(series: Sequence[Series], names: Sequence[str], columns: TargetSettings) -> list[str]:
    """Return a sentence for each input column of numbers that may hold labels: 3 to 20 distinct integers.

    Two numbers need none, since a linear map of a number reads them as it reads two labels.

    Args:
        series: the series of the training table.
        names: of the input columns.
        columns: the settings of the table; the columns of `quantities` are left out.
    """
    sentences = []
    for place, name in enumerate(names):
        if name in (*series[0].coding.labels, *series[0].coding.offsets, *columns.quantities):
            continue
        values = np.concatenate([one.inputs[:ROWS, place] for one in series])
        distinct = np.unique(values[~np.isnan(values)])
        if 3 <= len(distinct) <= FEW and (distinct % 1 == 0).all():
            sentences.append(
                f"The input {name!r} has {len(distinct)} distinct integers and is read as a quantity; if its numbers "
                f"are names, give `labels` {name}."
            )
    return sentences


def inputs_with_labels(table: Table, names: Sequence[str], columns: TargetSettings, coding: Coding) -> np.ndarray:
    """Return input columns (rows, U), float32; see `label_codes` and `Table.numbers`."""
    needed = np.full(len(table), columns.missing == REFUSE)
    parts = [
        label_codes(table, name, coding, columns)[:, None]
        if name in coding.labels
        else table.numbers((name,), needed, columns.missing_values, coding.offsets)
        for name in names
    ]
    return np.concatenate(parts, axis=1)


def label_codes(table: Table, name: str, coding: Coding, columns: TargetSettings) -> np.ndarray:
    """Return a column of labels as their positions, (rows,) float32; NaN where a label is missing.

    Raises:
        InputError: a label is not known, or is missing and `missing` refuses that.
    """
    known = coding.labels[name]
    texts = _texts(table, name, columns)
    places = {label: float(place) for place, label in enumerate(known)}
    codes = texts.replace_strict(places, default=-1.0, return_dtype=pl.Float32).to_numpy().copy()
    missing = texts.is_null().to_numpy()
    unknown = (codes < 0) & ~missing
    if unknown.any():
        row = int(unknown.argmax())
        raise InputError(
            f"{table.where(row, name)}: the training table has no label {texts[row]!r}; it has {known_labels(known)}"
        )
    if columns.missing == REFUSE and missing.any():
        raise InputError(f"{table.where(int(missing.argmax()), name)}: the label is missing; {FILLS}")
    codes[missing] = np.nan
    return codes


def _texts(table: Table, name: str, columns: TargetSettings) -> pl.Series:
    """Return a column as labels in one spelling; null where a cell is missing."""
    cells = table.frame[name]
    if cells.dtype.is_nested() or cells.dtype.is_temporal() or cells.dtype in (pl.Binary, pl.Object):
        raise InputError(f"{table.where(0, name)}: expected a label or a number, found {cells.dtype}")
    if cells.dtype.is_float():
        cells = cells.fill_nan(None)
    text = cells.cast(pl.String).str.strip_chars()
    lower = text.str.to_lowercase()
    absent = ["", *(spelling(str(one).strip().lower()) for one in columns.missing_values)]
    whole = text.str.replace(f"^{WHOLE.pattern}$", "${1}")
    spelt = pl.when(lower.is_in(["true", "false"])).then(lower).otherwise(whole)
    return pl.select(pl.when(whole.str.to_lowercase().is_in(absent)).then(None).otherwise(spelt)).to_series()


def _is_text(table: Table, name: str, columns: TargetSettings) -> bool:
    """Return whether a column of text has cells, and none looks like a number.

    Raises:
        InputError: it holds times, or a mixture of numbers and texts.
    """
    texts = _texts(table, name, columns)
    rows = texts.is_not_null() & ~texts.str.to_lowercase().is_in(MISSING)
    words = rows & texts.cast(pl.Float64, strict=False).is_null()
    if 2 * words.sum() <= rows.sum() or rows.sum() < 2 or texts.filter(words).str.contains(LIKE_A_NUMBER).any():
        return False
    place = table.where(int(words.arg_max() or 0), name)
    found = repr(texts.filter(words)[0])
    if words.sum() < rows.sum():
        raise InputError(
            f"{place}: the column has numbers and texts, such as {found}; correct the texts, or, if all cells are "
            f"labels, give `labels` {name}"
        )
    if read_clock(texts.filter(rows)) is not None:
        raise InputError(
            f"{place}: an input column must hold numbers or labels, but this one holds times, such as {found}; if they "
            f"are the times of the rows, give `time` {name} and {_instead(name, columns)}; if they are labels, give "
            f"`labels` {name}"
        )
    return True


def _instead(name: str, columns: TargetSettings) -> str:
    """Return what to do with `inputs` or `past_inputs` where one of their columns is no input."""
    role = "inputs" if name in columns.inputs else "past_inputs"
    if len(getattr(columns, role)) > 1:
        return f"leave {name} out of `{role}`"
    return f"name another column than {name} in `{role}`"


def _distinct(table: Table, name: str, columns: TargetSettings, named: bool) -> list[str]:
    """Return the labels of a column, in order.

    Raises:
        InputError: there are too many; or all cells differ, and `labels` does not name the column.
    """
    texts = _texts(table, name, columns).drop_nulls()
    labels = texts.unique().to_list()
    if not labels:
        raise InputError(f"{table.name}, column {name!r}: every label is missing")
    if not named and 1 < len(labels) == len(texts):
        raise InputError(
            f"{table.name}, column {name!r}: all {len(labels)} texts differ, as those of an identifier or of free text "
            f"do, so a model learns nothing from them as labels; {_instead(name, columns)}, or give `labels` {name} to "
            "read them as labels all the same"
        )
    if len(labels) > MOST:
        raise InputError(
            f"{table.name}, column {name!r}: an input column may have at most {MOST} labels; found {len(labels)}"
        )
    return sorted(labels, key=in_order)
