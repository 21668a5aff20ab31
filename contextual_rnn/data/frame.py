"""Data frames of pandas, polars and Arrow: columns read out of them, and results in the same kind of frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from ..errors import InputError

MENDS = {  # how other objects become a data frame, by the names of their types
    "dict": "; give polars.DataFrame of it, with names of its columns",
    "ndarray": "; give polars.DataFrame of it, with names of its columns",
    "LazyFrame": "; collect it",
    "list": "; join data frames to one, with a column that tells them apart (`series`)",
    "Series": "; give a data frame with this column",
}


class FrameColumns:
    """The columns of a data frame, each converted when it is read. The frame itself is not copied.

    Args:
        frame: a pandas or polars data frame, an Arrow table, or any frame that narwhals reads eagerly.
        name: what errors call it.

    Attributes:
        twice: the names that several columns have; these columns cannot be read.

    Raises:
        InputError: it is no such frame.
    """

    def __init__(self, frame: Any, name: str) -> None:
        try:
            self.native, self.frame = frame, nw.from_native(frame, eager_only=True)
            keys = list(self.frame.columns)
        except TypeError:
            kind = type(frame).__name__
            mend = MENDS.get(kind, "")
            if kind == "list" and not any(hasattr(one, "columns") for one in frame):
                mend = MENDS["dict"]
            raise InputError(
                f"{name} must be a path, a pandas or polars data frame, or an Arrow table; found {kind}{mend}"
            ) from None
        except nw.exceptions.DuplicateError:  # narwhals refuses such a frame of pandas, or table of Arrow
            keys, kept = _without_twins(frame)
            self.frame = nw.from_native(kept, eager_only=True)
        counts = Counter(str(key) for key in keys)
        self.twice = [column for column, count in counts.items() if count > 1]
        self.keys = {str(key): key for key in keys if counts[str(key)] == 1}  # pandas may name columns by numbers
        self.columns = list(self.keys)
        self.height = len(self.frame)
        self.added: dict[str, pl.Series] = {}

    def place(self, row: int) -> str:
        """Return where a row is in the frame."""
        return f"row {row}"

    def first(self, name: str) -> pl.Series:
        """Return the first cell of a column."""
        return self[name][:1]

    def with_columns(self, cells: pl.Series) -> FrameColumns:
        """Add a column, of its own name, to those that can be read; return this object."""
        self.added[cells.name] = cells
        self.columns = [*self.columns, cells.name]
        return self

    def __getitem__(self, name: str) -> pl.Series:
        """Return a column as a polars series; missing values are null."""
        if name in self.added:
            return self.added[name]
        column = self.frame.get_column(self.keys[name])
        native = column.to_native()
        if isinstance(native, pl.Series) and native.dtype.is_numeric():
            return native.alias(name)
        if column.dtype.is_numeric() and not column.dtype.is_decimal():
            return pl.Series(name, _numbers(column))
        values = [None if _is_missing(value) else _without_period(value) for value in column.to_list()]
        if any(isinstance(value, str) for value in values):
            values = [None if value is None else str(value) for value in values]
        try:
            return pl.Series(name, values, strict=False)
        except (ValueError, TypeError, pl.exceptions.PolarsError):  # of a type that polars does not know, or of several
            return pl.Series(name, values, dtype=pl.Object)

    def in_type_of(self, name: str, cells: pl.Series) -> Any:
        """Return further cells of a column, as they have been read, in its own type: periods, zoned times, integers.

        Cells of a column that is joined of several stay as they are, and so do those of a frame that is neither one of
        pandas nor of polars.
        """
        if name not in self.added and self.frame.implementation.is_pandas():
            return _as_in_pandas(self.frame.get_column(self.keys[name]).to_native(), cells)
        if name not in self.added and self.frame.implementation.is_polars():
            kind = self.frame.get_column(self.keys[name]).to_native().dtype
            return cells if kind in (pl.Categorical, pl.Enum, pl.Object) else cells.cast(kind)
        return cells.to_list()

    def cells(self, name: str, rows: np.ndarray) -> Any:
        """Return the cells of a column at some rows, in its own type."""
        if name in self.added:
            return self.added[name].gather(rows).to_list()
        return self.frame.get_column(self.keys[name])[rows.tolist()].to_native()

    def is_category(self, name: str) -> bool:
        """Return whether a column holds categories or booleans, of a type of its own or as objects."""
        column = self.frame.get_column(self.keys[name])
        if column.dtype in (nw.Categorical, nw.Enum, nw.Boolean):
            return True
        return column.dtype == nw.Object and all(isinstance(value, bool) for value in column.drop_nulls().to_list())

    def like(self, columns: dict[str, Any], rows: Sequence[int] | np.ndarray | None = None) -> Any:
        """Return named columns as a frame of the same kind.

        Args:
            columns: sequences of one length.
            rows: the row of this frame that each new row belongs to; a pandas index follows it.
        """
        native = make_frame(columns, self.frame.implementation)
        if rows is not None and self.frame.implementation.is_pandas_like():
            native.index = self.native.index[np.asarray(rows)]
        return native


def _without_twins(frame: Any) -> tuple[list[Any], Any]:
    """Return the names of all columns of a pandas frame or an Arrow table, and its columns whose names are unique."""
    if hasattr(frame, "column_names"):
        keys = list(frame.column_names)
        return keys, frame.select([place for place, key in enumerate(keys) if keys.count(key) == 1])
    return list(frame.columns), frame.loc[:, ~frame.columns.duplicated(keep=False)]


def make_frame(columns: dict[str, Any], backend: Any) -> Any:
    """Return named columns, sequences of one length, as a data frame of the kind that narwhals calls `backend`."""
    return nw.from_dict({name: _plain(values) for name, values in columns.items()}, backend=backend).to_native()


def frame_like(source: Any, columns: dict[str, Any], rows: Sequence[int] | np.ndarray) -> Any:
    """Return columns as a data frame of the kind that was given; those of a file become a polars frame.

    Args:
        source: the columns of a file, or a `FrameColumns`.
        columns: sequences of one length.
        rows: the row of the source that each new row belongs to; a pandas index follows it.
    """
    return source.like(columns, rows) if isinstance(source, FrameColumns) else make_frame(columns, "polars")


def _numbers(column: nw.Series[Any]) -> np.ndarray | list[Any]:
    """Return numbers as an array; a nullable integer column becomes a list, so that its missing values stay null."""
    if column.is_null().any():
        return [None if _is_missing(value) else value for value in column.to_list()]
    return np.asarray(column.to_numpy())


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
    )


def _is_period(value: Any) -> bool:
    return type(value).__name__ == "Period"


def _without_period(value: Any) -> Any:
    """Return a period of pandas as text, such as 2024-12; one of several days, such as a week, as its first day."""
    return str(value).partition("/")[0] if _is_period(value) else value


def _as_in_pandas(column: Any, cells: pl.Series) -> Any:
    """Return cells in the type of a pandas column."""
    import pandas as pd

    kind = getattr(getattr(column.dtype, "categories", None), "dtype", column.dtype)
    first = column.iloc[0]
    if _is_period(first):
        return pd.Series(pd.PeriodIndex(cells.cast(pl.String).to_list(), freq=first.freq)).astype(kind)
    if isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone is not None:
        instants = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        zoned = pd.Series(instants).dt.tz_localize("UTC").dt.tz_convert(getattr(first, "tzinfo", None) or "UTC")
        return zoned.astype(kind)
    is_object = isinstance(kind, np.dtype) and kind.kind == "O"
    return pd.Series(cells.to_list(), dtype=object if is_object else None).astype(kind)


def _plain(values: Any) -> Any:
    """Return strings as a list, as pandas without pyarrow takes no array of numpy's; and series without their index."""
    if hasattr(values, "reset_index"):
        return values.reset_index(drop=True)
    array = np.asarray(values)
    return array.tolist() if array.dtype.kind in "US" else values
