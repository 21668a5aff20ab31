"""Tables: files or data frames whose bad cells can be named."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from ..errors import InputError
from ..table_files.open import FileColumns, open_table, reading
from ..table_files.precision import (
    REFUSED,
    SMALL,
    TOO_LARGE,
    TOO_SMALL,
    beyond,
    exact,
    merged,
    merges,
    sample,
    some,
    to_single,
)
from ..table_files.settings import PLAIN, FileSettings
from ..table_files.several import SeveralColumns, files_of
from .frame import FrameColumns
from .mends import mend_of_context, mend_of_name, mend_of_number, named_twice, number, perhaps_thousands, shown

Source = str | os.PathLike[str] | Any  # the path of a table file, or a data frame
MISSING = ["", "nan", "na", "null"]


LONG = (pl.Int128, pl.UInt128)  # integers that NumPy does not have
FILLS = "correct the cell, or give `missing` hold to fill missing values with the last known one"


def is_path(source: Any) -> bool:
    """Return whether a source of data is the path of a file, and not a data frame."""
    return isinstance(source, (str, os.PathLike))


class Table:
    """A table whose cells can be named in errors.

    Args:
        source: the path of a table file (see docs/files.md), a pandas or polars data frame, or an Arrow table.
        name: what errors call a data frame.
        files: how a text file is written.

    Attributes:
        name: the path, or the name of the data frame.
        stem: what the table is called where it is a single series.
        backend: the kind of data frame that results take, as narwhals names it: that of the source; polars for a file.
        notes: what was found in the table, in sentences.

    Raises:
        InputError: the file cannot be read, or the source is neither a path nor a data frame, or has no rows.
    """

    def __init__(self, source: Source, name: str = "the data frame", files: FileSettings = PLAIN) -> None:
        self.files = files
        self.notes: list[str] = []
        self.frame: FileColumns | SeveralColumns | FrameColumns
        names = getattr(files, "series_from_file", None)
        several = files_of(source) if names else None
        if names and (several or is_path(source)):
            paths = several or [pathlib.Path(source)]
            self.name, self.stem = str(source if is_path(source) else paths[0].parent), "series"
            self.frame = SeveralColumns(paths, names, files)
        elif is_path(source):
            path = pathlib.Path(source)
            self.name, self.stem = str(path), path.name.removesuffix(".gz").rpartition(".")[0]
            self.frame = open_table(path, files)
        else:
            self.name, self.stem = name, "series"
            self.frame = FrameColumns(source, name)
            if not self.frame.height:
                raise InputError(f"{name} has no rows")
        self.from_frame = isinstance(self.frame, FrameColumns)
        self.backend: Any = self.frame.frame.implementation if isinstance(self.frame, FrameColumns) else "polars"

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.frame.height

    def where(self, row: int, column: str | None = None) -> str:
        """Return the name of a cell or row: a line of a text file, a row (from 1) of Parquet or (from 0) of a frame."""
        place = f"{self.name}, {self.frame.place(row)}"
        return place if column is None else f"{place}, column {column!r}"

    def note(self, sentence: str) -> None:
        """Add a sentence to the notes, unless it is there."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return the SHA-256 of the file, or of the named columns of a frame, to detect that data have changed."""
        if not isinstance(self.frame, FrameColumns):
            return self.frame.sha256
        digest = hashlib.sha256()
        for name in names:
            if name in self.frame.columns:
                column = self.frame[name]
                plain = column.dtype.is_float() or (column.dtype.is_integer() and column.dtype not in LONG)
                cells = column.to_numpy().tobytes() if plain else repr(column.to_list()).encode()
                digest.update(name.encode() + b"\0" + cells)
        return digest.hexdigest()

    def check_columns(self, names: Sequence[str], numbers: Sequence[str] = ()) -> None:
        """Read columns; raise InputError unless every column exists and has a single role.

        Args:
            names: of the columns.
            numbers: the names of those that hold numbers.
        """
        counts, known = Counter(names), set(self.frame.columns)
        for name in names:
            if counts[name] > 1:
                raise InputError(named_twice(name, self.files))
            if name in getattr(self.frame, "twice", ()):
                raise InputError(f"{self.name} has two columns named {name!r}; rename one")
            if name not in known:
                columns = ", ".join(map(repr, self.frame.columns[:20])) or "no named columns"
                raise InputError(f"{self.name} has no column {name!r}; it has {columns}{mend_of_name(self, name)}")
        if not isinstance(self.frame, FrameColumns):
            with reading(self.name):
                self.frame.load(names, numbers)

    def join(self, names: Sequence[str]) -> None:
        """Add a column with the cells of several columns as text, joined by blanks; its name is joined, too."""
        parts = [self.frame[name].cast(pl.String).str.strip_chars() for name in names]
        cells = pl.select(pl.concat_str(parts, separator=" ")).to_series().alias(" ".join(names))
        self.frame = self.frame.with_columns(cells)

    def numbers(
        self,
        names: tuple[str, ...],
        needed: np.ndarray,
        absent: Sequence[Any] = (),
        offsets: Mapping[str, float] = MappingProxyType({}),
    ) -> np.ndarray:
        """Return columns (rows, columns) as float32. Cells outside the rows `needed` may be missing (NaN).

        Args:
            names: of the columns.
            needed: (rows,), where a value must not be missing.
            absent: further numbers and texts that stand for a missing value.
            offsets: numbers that are subtracted from columns in double precision, by name.
        """
        found = np.empty((len(self), len(names)), np.float32)
        for place, name in enumerate(names):
            column = found[:, place]
            if absent or name in offsets or not to_single(self.frame[name], column):
                column[:] = self._column(name, needed, absent, offsets.get(name, 0.0))
            else:
                self._check_distinct(name, *sample(self.frame[name], column))
        return found

    def check_doubles(self, name: str, values: np.ndarray) -> None:
        """Raise InputError if double precision, in which a column has been read, does not tell its numbers apart."""
        if not beyond(values):
            return
        cells = self.frame[name] if isinstance(self.frame, FrameColumns) else self.frame.text(name)
        row = None if cells.dtype.is_float() else merged(cells)
        if row is not None:
            raise InputError(f"{self.where(row, name)}: found {cells[row]}; {REFUSED}")

    def offsets(self, names: Sequence[str], absent: Sequence[Any] = ()) -> dict[str, float]:
        """Return an offset for each column whose numbers, or some of them, single precision does not tell apart.

        It is the median of the column. Single precision has 24 bits: it does not tell 16777216 and 16777217 apart.
        """
        found = {}
        for name in names:
            if self.frame[name].dtype == pl.String or self.frame[name].dtype.is_numeric():
                values = self._some_known(name, absent)
                if len(values) and 0 < np.ptp(values) < TOO_SMALL:
                    raise InputError(
                        f"{self.name}, column {name!r}: its numbers differ by {np.ptp(values):.3g} at most, too little "
                        "to compute with in single precision; use a smaller unit"
                    )
                if len(values) and merges(values):
                    found[name] = float(np.sort(values)[len(values) // 2])
        return found

    def _some_known(self, name: str, absent: Sequence[Any]) -> np.ndarray:
        """Return the finite numbers of a column in double precision, or some drawn from many."""
        cells = self.frame[name]
        if len(cells) > SMALL and cells.dtype.is_numeric() and not absent and not cells.null_count():
            rows = np.random.default_rng(0).integers(len(cells), size=SMALL)
            values = cells.gather(rows).cast(pl.Float64).to_numpy()
            if np.isfinite(values).all():
                return values  # `numbers` looks at the others
        values = self._exact(name, absent)[0]
        return some(values[np.isfinite(values)])

    def _exact(self, name: str, absent: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return a column in double precision, and where a value is missing, (rows,) each."""
        cells = self.frame[name]
        if cells.dtype == pl.String:
            stripped = cells.str.strip_chars()
            values = self.parsed(stripped).to_numpy()
            if self.files.decimal == "," and not self.from_frame:
                self.notes += perhaps_thousands(self, name, stripped)
            self.check_doubles(name, values)
            missing = (stripped.is_null() | stripped.str.to_lowercase().is_in([*MISSING, *_lower(absent)])).to_numpy()
        else:
            values = self._doubles(name)
            missing = np.isnan(values)
        if absent:
            marks = np.array([one for one in map(number, absent) if one is not None], np.float64)
            marks = marks.astype(np.float32) if cells.dtype == pl.Float32 else marks
            missing = missing | np.isin(values, marks)
            values = np.where(missing, np.nan, values)
        return values, missing

    def _column(self, name: str, needed: np.ndarray, absent: Sequence[Any], offset: float) -> np.ndarray:
        cells, (exact, missing) = self.frame[name], self._exact(name, absent)
        values = exact = exact - offset if offset else exact
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        wrong = ~(np.abs(values) < TOO_LARGE) & (needed | ~missing)
        if wrong.any():
            row = int(wrong.argmax())
            if missing[row]:
                raise InputError(f"{self.where(row, name)}: the number is missing; {FILLS}")
            found = cells[row] if self.from_frame else self.frame.text(name)[row]  # type: ignore[union-attr]
            if np.isfinite(exact[row]):
                raise InputError(
                    f"{self.where(row, name)}: {shown(found)} is too large, as numbers must be below {TOO_LARGE:g}; "
                    "correct it, or write the column in a larger unit"
                )
            mend = mend_of_number(self, name, row, found, bool(needed[row]))
            raise InputError(f"{self.where(row, name)}: expected a finite number, found {shown(found)}{mend}")
        self._check_distinct(name, *sample(pl.Series(exact), values))
        return values

    def _check_distinct(self, name: str, exact: np.ndarray, single: np.ndarray) -> None:
        """Raise InputError if single precision does not tell most numbers of a column apart, by a sample of them."""
        if np.array_equal(exact, single, equal_nan=True):
            return
        distinct, kept = len(np.unique(exact)), len(np.unique(single))
        if distinct >= 10 and kept < distinct / 2:
            raise InputError(
                f"{self.name}, column {name!r}: its {distinct} distinct numbers are so far from those of the training "
                f"table that single precision distinguishes {kept} of them; check the unit, or train on such numbers"
            )

    def parsed(self, cells: pl.Series) -> pl.Series:
        """Return the numbers of text without blanks; null where it is no number."""
        if self.files.decimal == "," and not self.from_frame:
            cells = cells.str.replace_all(".", "?", literal=True).str.replace(",", ".", literal=True)
        return cells.cast(pl.Float64, strict=False)

    def with_point(self, name: str, text: pl.Series) -> pl.Series:
        """Return the text of a column with decimal points, if it has decimal commas and all other cells are missing.

        Raises:
            InputError: it has numbers with decimal points, too, so that 1.234 may be a thousand.
        """
        if self.files.decimal != "," or self.from_frame or self.frame[name].dtype != pl.String:
            return text
        commas = self.parsed(text).is_not_null()
        points = ~commas & text.cast(pl.Float64, strict=False).is_not_null()
        if not (commas | points | text.str.to_lowercase().is_in(MISSING)).all():
            return text
        mend = 'write numbers without separators of thousands, or give `decimal` "." if it is a decimal point'
        self._refuse(name, points, f"expected a number with a decimal comma; {mend}")
        return text.str.replace(",", ".", literal=True)

    def _doubles(self, name: str) -> np.ndarray:
        cells = self.frame[name]
        if not (cells.dtype.is_numeric() or cells.dtype == pl.Boolean or cells.dtype == pl.Null):
            found = type(cells[0]).__name__ if cells.dtype == pl.Object else cells.dtype
            raise InputError(f"{self.where(0, name)}: expected a number, found {found}")
        values = cells.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        self.check_doubles(name, values)
        return values

    def labels(self, name: str) -> np.ndarray:
        """Return a column as text; raise InputError if a cell is missing."""
        column = self.frame[name]
        if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object, pl.Duration):
            raise InputError(f"{self.where(0, name)}: expected a number or text, found {column.dtype}")
        if column.dtype.is_float():
            column = column.fill_nan(None)
        cells = column.cast(pl.String).str.strip_chars()
        missing = cells.is_null() | (cells == "")
        self._refuse(name, missing, "a value is missing")
        return cells.to_numpy()

    def groups(self, name: str | None) -> dict[str, np.ndarray]:
        """Return the rows of each value of a column, in order; all rows by the name of the table without a column."""
        if name is None:
            return {self.stem: np.arange(len(self))}
        unique, first, inverse = np.unique(self.labels(name), return_index=True, return_inverse=True)
        places = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
        return {str(unique[index]): places[index] for index in np.argsort(first)}

    def identifiers(self, name: str, rows: np.ndarray) -> Any:
        """Return the cells of a series column at some rows: integers stay integers, all else is text."""
        column = self.frame[name]
        is_integer = column.dtype.is_integer() and column.dtype not in LONG
        return (column.to_numpy() if is_integer else self.labels(name))[rows]

    def cells(self, name: str, rows: np.ndarray) -> Any:
        """Return the cells of a column at some rows, as they are."""
        if isinstance(self.frame, FrameColumns):
            return self.frame.cells(name, rows)
        return self.frame[name].gather(rows).to_list()

    def in_type_of(self, name: str, cells: pl.Series) -> Any:
        """Return further cells of a column in its own type; see `FrameColumns.in_type_of`."""
        return self.frame.in_type_of(name, cells) if isinstance(self.frame, FrameColumns) else cells.to_list()

    def _refuse(self, name: str, wrong: pl.Series, why: str) -> None:
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(f"{self.where(row, name)}: {why}, found {shown(self.frame[name][row])}")

    def is_category(self, name: str) -> bool:
        """Return whether the type of a column makes its values labels: categories, enumerations and booleans."""
        if isinstance(self.frame, FrameColumns):
            return self.frame.is_category(name)
        return self.frame[name].dtype in (pl.Categorical, pl.Enum, pl.Boolean)

    def may_be_labels(self, name: str) -> bool:
        """Return whether a column may hold labels: all but columns of numbers may."""
        return self.is_category(name) or not self.frame[name].dtype.is_numeric()

    def context(self, name: str, is_label: bool = False, absent: Sequence[Any] = ()) -> np.ndarray:
        """Return a context column as text.

        `true`, `True` and `TRUE` become `true`, and so for false. Texts such as NA are labels if other cells hold text,
        else missing values.

        Args:
            name: of the column.
            is_label: whether it is known to hold labels, so that NA is one.
            absent: numbers and texts that stand for a missing value, and are refused.

        Raises:
            InputError: a cell is missing, or is a number that is not finite.
        """
        text = pl.Series(self.labels(name))
        lower = text.str.to_lowercase()
        text = pl.select(pl.when(lower.is_in(["true", "false"])).then(lower).otherwise(text)).to_series()
        perhaps_missing = lower.is_in(MISSING)
        text = self.with_point(name, text)
        numbers = text.cast(pl.Float64, strict=False)
        others = numbers.filter(~perhaps_missing)
        if not (is_label or others.null_count() or self.is_category(name)):
            self._refuse(name, perhaps_missing, "a value is missing")
            self._refuse(name, ~perhaps_missing & ~numbers.is_finite(), "expected a finite number")
            self.check_doubles(name, numbers.to_numpy())
        marks = [one for one in map(number, absent) if one is not None]
        sentinel = lower.is_in(_lower(absent)) | numbers.is_in(marks).fill_null(False)
        self._refuse(name, sentinel, "a value is missing, as `missing_values` says, but a context must be known")
        return text.to_numpy()

    def constants(self, context: dict[str, np.ndarray], series: str, rows: np.ndarray) -> dict[str, str]:
        """Return the value of every context column in one series; raise InputError if it changes within the series."""
        values: dict[str, str] = {}
        for name, cells in context.items():
            own = cells[rows]
            changed = own != own[0]
            if changed.any():  # 5 and 5.0 are the same number
                same = {cell for cell in set(own) if exact(cell) == exact(own[0]) is not None}
                changed = ~np.isin(own, list(same | {own[0]}))
            if changed.any():
                row = int(changed.argmax())
                mend = mend_of_context(name, self.files)
                raise InputError(
                    f"{self.where(int(rows[row]), name)}: a column of `context` must have one value in each series, "
                    f"but series {series!r} has {own[0]} before and {own[row]} here; {mend}"
                )
            values[name] = str(own[0])
        return values


def _lower(texts: Sequence[str]) -> list[str]:
    return [text.strip().lower() for text in texts]


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return a column name that is not taken: `name`, with underscores appended where necessary."""
    while name in taken:
        name += "_"
    return name


def same_tables(hashes: dict[str, str]) -> list[str]:
    """Return a sentence for each table that is the training table, by the hashes of the tables."""
    same = [name for name, found in hashes.items() if name != "train" and found == hashes["train"]]
    return [f"`train` and `{name}` are the same table, so its errors are not those of new data." for name in same]
