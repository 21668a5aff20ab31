"""Columns of a text table: read by polars if the file is regular, and else by the csv module."""

from __future__ import annotations

import hashlib
import pathlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import polars as pl

from ..errors import InputError
from .csv_rows import read_rows
from .encoding import open_text
from .layout import PIECE, lines_are_even, read_layout
from .settings import FileSettings
from .unchanged import Unchanged

NULLS = ["NA", "Na", "na", "null", "NULL", "Null", "nan", "NAN", "Nan"]  # polars reads NaN as a number


class TextColumns:
    """The columns of a text table, each read when it is asked for.

    Args:
        path: of the file.
        settings: how the file is written.

    Attributes:
        columns: the names of the header, without empty ones and repetitions.
        height: the number of rows.
        lines: the line on which each row starts.

    Raises:
        InputError: the file is no table, or `load` is asked for a column that the header has twice.
        OSError: the file cannot be read.
    """

    def __init__(self, path: pathlib.Path, settings: FileSettings) -> None:
        self.path, self.settings, self.unchanged = path, settings, Unchanged(path)
        self.layout = read_layout(path, settings)
        self.even = False  # whether all lines are known to have as many cells as the first
        self.cells: list[str] | None = None
        self.lines: Sequence[int]
        rows, skipped = self.layout.rows, self.layout.skipped
        header = [name.strip() for name in self.layout.header]
        if rows is not None and (not settings.columns or len(settings.columns) == len(header)):
            self.header, self.lines = list(settings.columns) or header, range(skipped + 1, skipped + 1 + rows)
        else:
            self.header, self.cells, self.lines = read_rows(path, self.layout.separator, settings)
            self.unchanged.check()
        self.height = len(self.lines)
        self.counts = Counter(name for name in self.header if name)
        if not self.counts:
            raise InputError(f"{path}, line {settings.skip_rows + 1}: the header names no column")
        self.columns = list(self.counts)
        self.places = {name: place for place, name in enumerate(self.header)}
        self.found: dict[str, pl.Series] = {}

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, unzipped, and in UTF-8 if it is in another encoding."""
        digest = hashlib.sha256()
        with open_text(self.path, self.settings.encoding) as file:
            while piece := file.read(PIECE):
                digest.update(piece)
        self.unchanged.check()
        return digest.hexdigest()

    def place(self, row: int) -> str:
        """Return where a row is in the file."""
        return f"line {self.lines[row]}"

    def load(self, names: Iterable[str], numbers: Collection[str] = ()) -> None:
        """Read columns together: as text, or those of `numbers` as numbers if every cell is one."""
        names = [name for name in names if name not in self.found]
        twice = next((name for name in names if self.counts[name] > 1), None)
        if twice is not None:
            raise InputError(
                f"{self.path}, line {self.layout.skipped or 1}: there are two columns named {twice!r}; rename one"
            )
        if self.cells is not None:
            for name in names:
                cells = self.cells[self.places[name] :: len(self.header)]
                self.found[name] = pl.Series(name, cells, dtype=pl.String)
            return
        direct = numbers if self.settings.decimal == "." else ()  # polars would read 1.5 where the mark is a comma
        for nulls in (None, NULLS):  # most tables have no such texts, and looking for them takes time
            self._read([name for name in names if name in direct and name not in self.found], pl.Float64, nulls)
        self._read([name for name in names if name not in self.found], pl.String)

    def _read(self, names: Sequence[str], dtype: type[pl.DataType], nulls: list[str] | None = None) -> None:
        if not names:
            return
        keys = {str(self.places[name]): name for name in sorted(names, key=self.places.__getitem__)}
        try:
            frame = pl.read_csv(
                self.path,
                has_header=False,
                schema={str(place): dtype if str(place) in keys else pl.String for place in range(len(self.header))},
                columns=[int(place) for place in keys],
                separator=self.layout.separator,
                quote_char=None,
                skip_rows=self.layout.skipped,
                null_values=nulls,
                glob=False,
            )
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
            self._check_lines()
            if dtype == pl.String:
                raise
            return  # a cell is no number, or has blanks around it
        last = str(len(self.header) - 1)
        self._check_lines(frame[last] if last in keys else None)
        for key, name in keys.items():
            column = frame[key].alias(name)
            self.found[name] = column.fill_null("") if dtype == pl.String else column

    def _check_lines(self, last: pl.Series | None = None) -> None:
        """Raise InputError if a line is longer and another shorter than the first, which the layout may have missed.

        A line that is too short lacks its last cell. If no cell of the last column is empty, no line is too short, and
        then none is too long.

        Args:
            last: the last column, if it has been read.
        """
        self.unchanged.check()
        if not self.even:
            self.even = last is not None and not last.null_count()
            self.even = self.even or lines_are_even(self.path, self.settings, self.layout)
            if not self.even:
                read_rows(self.path, self.layout.separator, self.settings)  # names the line that is too long or short

    def text(self, name: str) -> pl.Series:
        """Return a column as text, also if it has been read as numbers."""
        if name in self.found and self.found[name].dtype != pl.String:
            del self.found[name]
        return self[name]

    def first(self, name: str) -> pl.Series:
        """Return the first cell of a column."""
        if name in self.found:
            return self.found[name][:1]
        place = self.places[name]
        return pl.Series(name, [self.layout.first[place] if self.cells is None else self.cells[place]])

    def __getitem__(self, name: str) -> pl.Series:
        """Return a column."""
        self.load([name])
        return self.found[name]

    def with_columns(self, cells: pl.Series) -> TextColumns:
        """Add a column, of its own name, to those that can be read; return this object."""
        self.found[cells.name] = cells
        self.columns = [*self.columns, cells.name]
        return self
