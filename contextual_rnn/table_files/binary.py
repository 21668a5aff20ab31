"""Columns of Parquet, Arrow and MATLAB files, each read when it is asked for."""

from __future__ import annotations

import hashlib
import math
import pathlib
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import polars as pl

from .._core.extras import require
from ..errors import InputError
from .memory import check_fits
from .unchanged import Unchanged

ARROW = (".feather", ".arrow", ".ipc")
NUMBER_BYTES = 8  # of a number in a MATLAB file, at most
BYTES = 32  # memory that a cell takes while it is read and converted
TEXTS = (pl.String, pl.Categorical, pl.Enum, pl.Binary)
TEXT_BYTES, CHARACTER_BYTES = 100, 4  # that a cell of text takes as an object of Python, and that each character adds


class BinaryColumns:
    """The columns of a Parquet or Arrow (Feather) file.

    Args:
        path: of the file.

    Attributes:
        columns: their names.
        height: the number of rows.

    Raises:
        InputError: `load` is asked for more than fits into the memory.
        PolarsError: the file is damaged.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path, self.unchanged = path, Unchanged(path)
        self.is_arrow = path.suffix.lower() in ARROW
        self.schema = self._scan().collect_schema()
        self.columns = self.schema.names()
        self.height = self._scan().select(pl.len()).collect().item()
        self.found: dict[str, pl.Series] = {}
        self.firsts: pl.DataFrame | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file."""
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self.unchanged.check()
        return found

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_ipc(self.path, glob=False) if self.is_arrow else pl.scan_parquet(self.path, glob=False)

    def place(self, row: int) -> str:
        """Return where a row is in the file."""
        return f"row {row + 1}"

    def load(self, names: Iterable[str], numbers: Collection[str] = ()) -> None:
        """Read columns together."""
        names = [name for name in names if name not in self.found]
        doing = f"{self.path} has {self.height} rows, and reading {len(names)} columns of them"
        sizes = (TEXT_BYTES if self.schema.get(name) in TEXTS else BYTES for name in names)
        check_fits(self.height * sum(sizes), doing)
        if names:
            frame = self._scan().select(names).collect()
            self.unchanged.check()
            characters = sum(int(frame[name].str.len_bytes().sum()) for name in names if frame[name].dtype == pl.String)
            check_fits(frame.height * BYTES + characters * CHARACTER_BYTES, doing)
            self.found |= {name: frame[name] for name in names}

    def text(self, name: str) -> pl.Series:
        """Return a column as it is."""
        return self[name]

    def first(self, name: str) -> pl.Series:
        """Return the first cell of a column."""
        if name in self.found:
            return self.found[name][:1]
        if self.firsts is None:
            self.firsts = self._scan().head(1).collect()
        return self.firsts[name]

    def __getitem__(self, name: str) -> pl.Series:
        """Return a column."""
        self.load([name])
        return self.found[name]

    def with_columns(self, cells: pl.Series) -> BinaryColumns:
        """Add a column, of its own name, to those that can be read; return this object."""
        self.found[cells.name] = cells
        self.columns = [*self.columns, cells.name]
        return self


class MatlabColumns(BinaryColumns):
    """The variables of a MATLAB file that are vectors; the longest ones give the number of rows.

    Args:
        path: of the file.

    Attributes:
        vectors: the names of those that have one value per row.

    Raises:
        InputError: the file is damaged, or of version 7.3, or has no vector, or another variable is asked for; or the
            extra `matlab` is not installed.
    """

    def __init__(self, path: pathlib.Path) -> None:
        require("matlab", f"{path}: a MATLAB file")
        from scipy.io import loadmat, whosmat

        self.path, self.unchanged = path, Unchanged(path)
        try:
            check_fits(sum(NUMBER_BYTES * math.prod(shape) for _, shape, _ in whosmat(path)), f"reading {path}")
            self.variables: dict[str, Any] = loadmat(path, chars_as_strings=True)
        except NotImplementedError:
            raise InputError(f"{path} is a MATLAB file of version 7.3; save it with the option '-v7'") from None
        except (OSError, InputError):
            raise
        except Exception as error:  # loadmat raises many kinds for damaged files
            raise InputError(f"{path} cannot be read as a MATLAB file: {error}") from None
        self.columns = [name for name in self.variables if not name.startswith("__")]
        vectors = [name for name in self.columns if self._problem(name) is None]
        if not vectors:
            raise InputError(self._without_vectors())
        self.height = max(self.variables[name].size for name in vectors)
        self.vectors = [name for name in vectors if self.variables[name].size == self.height]
        self.found = {}

    def _without_vectors(self) -> str:
        """Return the message that lists the variables, and how to save vectors."""
        listed = "; ".join(f"variable {name!r} {self._problem(name)}" for name in self.columns[:5])
        more = f"; and {len(self.columns) - 5} more variables" if len(self.columns) > 5 else ""
        return (
            f"{self.path} has no vector of numbers{': ' if listed else ''}{listed}{more}; save each signal as a vector "
            f"of its own, such as save('{self.path.name}', 'u', 'y', '-v7') in MATLAB"
        )

    def _problem(self, name: str) -> str | None:
        value = self.variables[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            kind = getattr(value, "dtype", np.dtype("O"))
            fields = f" with the fields {', '.join(kind.names)}" if kind.names else ""
            return (
                f"is a struct{fields}" if kind.kind == "V" else f"is {'a cell array' if kind == 'O' else 'no numbers'}"
            )
        shape = " x ".join(map(str, value.shape))
        return None if value.ndim == 2 and min(value.shape) == 1 else f"is {shape} and no vector"

    def load(self, names: Iterable[str], numbers: Collection[str] = ()) -> None:
        """Turn variables into columns."""
        for name in names:
            if name in self.found:
                continue
            problem = self._problem(name)
            if problem is None and self.variables[name].size != self.height:
                problem = f"has {self.variables[name].size} values where the longest vector has {self.height}"
            if problem:
                raise InputError(
                    f"{self.path}: variable {name!r} {problem}; save it as a vector of numbers, one of each time step"
                )
            self.found[name] = pl.Series(name, self.variables[name].ravel())

    def first(self, name: str) -> pl.Series:
        """Return the first cell of a column: never a time, so that no variable need be a vector."""
        return pl.Series(name, [0.0])
