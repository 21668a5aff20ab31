"""The tables of several files of one header, one below the other."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import polars as pl

from ..errors import InputError
from .open import FileColumns, is_pattern, open_table, reading, tables_of
from .settings import FileSettings
from .text import TextColumns


def files_of(source: Any) -> list[pathlib.Path] | None:
    """Return the files that a source stands for: a folder, a pattern or a list of paths; None for all else.

    Raises:
        InputError: there are no such files.
    """
    if isinstance(source, (list, tuple)) and source and all(isinstance(one, (str, os.PathLike)) for one in source):
        return [pathlib.Path(one) for one in source]
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = pathlib.Path(source)
    is_several = path.is_dir() or (is_pattern(path) and not path.exists())
    return tables_of(path) if is_several else None


def stem_of(path: pathlib.Path) -> str:
    """Return the name of a file without its ending."""
    name = path.name
    return pathlib.Path(name[:-3] if name.lower().endswith(".gz") else name).stem


def _of_one_header(paths: Sequence[pathlib.Path], settings: FileSettings) -> list[FileColumns]:
    """Open files; raise InputError if one cannot be read as the first, or has another header."""
    found = [open_table(paths[0], settings)]
    columns = found[0].columns
    for path in paths[1:]:
        try:
            part = open_table(path, settings)
        except InputError as error:
            raise InputError(f"{error}{_pattern(paths, columns, settings)}") from None
        if part.columns != columns:
            other = next(iter(set(part.columns) ^ set(columns)), None)
            which = "the order of the columns" if other is None else f"column {other!r}"
            end = _pattern(paths, columns, settings)
            raise InputError(f"{path} and {paths[0]} have different headers: {which} differs{end}")
        found.append(part)
    return found


def _pattern(paths: Sequence[pathlib.Path], columns: Sequence[str], settings: FileSettings) -> str:
    """Return how to leave out files of another form: a pattern of the names of those that are like the first."""
    others = [path.name for path in paths if _header(path, settings) != columns]
    name = paths[0].name
    for start in range(len(name) - 1, 0, -1):
        ending = name[start:]
        if not ending[0].isalnum() and not any(other.endswith(ending) for other in others):
            like = sum(path.name.endswith(ending) for path in paths)
            example = paths[0].parent / f"*{ending}"
            return f'; to read the {like} files like the first one only, give "{example}"' if like > 1 else ""
    return ""


def _header(path: pathlib.Path, settings: FileSettings) -> list[str] | None:
    try:
        return open_table(path, settings).columns
    except InputError:
        return None


def _alike(one: pl.DataType, other: pl.DataType) -> bool:
    """Return whether columns of two types may stand below each other: of one type, or both of numbers."""
    zones = [getattr(kind, "time_zone", None) for kind in (one, other)]
    same = one == other or (one.is_temporal() and one.base_type() == other.base_type() and zones[0] == zones[1])
    return same or pl.Null in (one, other) or (one.is_numeric() and other.is_numeric())


class SeveralColumns:
    """The columns of several files, and one with the names of the files, each read when it is asked for.

    Args:
        paths: of the files, which have the same header.
        names: of the column with the names of the files.
        settings: how text files are written.

    Raises:
        InputError: a file is no table, the headers differ or have the column of names, or two files have one name.
    """

    def __init__(self, paths: Sequence[pathlib.Path], names: str, settings: FileSettings) -> None:
        self.parts = _of_one_header(paths, settings)
        columns = self.parts[0].columns
        if names in columns:
            raise InputError(f"{paths[0]} has a column {names!r} already; give another `series_from_file`")
        stems = [stem_of(path) for path in paths]
        if len(set(stems)) < len(stems):
            twice = next(stem for stem in stems if stems.count(stem) > 1)
            raise InputError(f"two files have the name {twice!r}; files that are series need different names")
        self.columns = [*columns, names]
        self.height = sum(part.height for part in self.parts)
        heights = [part.height for part in self.parts]
        cells = [pl.select(pl.repeat(*pair)).to_series() for pair in zip(stems, heights, strict=True)]
        self.found = {names: pl.concat(cells).alias(names)}

    @property
    def sha256(self) -> str:
        """The SHA-256 of the names and hashes of the files."""
        hashes = "".join(f"{part.path.name} {part.sha256}\n" for part in self.parts)
        return hashlib.sha256(hashes.encode()).hexdigest()

    def place(self, row: int) -> str:
        """Return where a row is: its file, and the place there."""
        for part in self.parts:
            if row < part.height:
                break
            row -= part.height
        return f"{part.path.name}, {part.place(row)}"

    def load(self, names: Iterable[str], numbers: Collection[str] = ()) -> None:
        """Read columns together."""
        names = [name for name in names if name not in self.found]
        for part in self.parts:
            with reading(part.path):
                part.load(names, numbers)

    def text(self, name: str) -> pl.Series:
        """Return a column of text files as text."""
        return self[name] if name in self.found else pl.concat([part.text(name) for part in self.parts])

    def first(self, name: str) -> pl.Series:
        """Return the first cell of a column."""
        return self.found[name][:1] if name in self.found else self.parts[0].first(name)

    def __getitem__(self, name: str) -> pl.Series:
        """Return a column."""
        if name in self.found:
            return self.found[name]
        cells = [part[name] for part in self.parts]
        texts = [one.dtype == pl.String for one in cells]
        if any(texts) and not all(texts) and all(isinstance(part, TextColumns) for part in self.parts):
            return self.text(name)
        for part, one in zip(self.parts, cells, strict=True):
            if not _alike(one.dtype, cells[0].dtype):
                first = f"{cells[0].dtype} in {self.parts[0].path}"
                raise InputError(f"{part.path}, column {name!r}: its type is {one.dtype}, but {first}")
        return pl.concat([one.to_frame() for one in cells], how="vertical_relaxed").to_series()

    def with_columns(self, cells: pl.Series) -> SeveralColumns:
        """Add a column, of its own name, to those that can be read; return this object."""
        self.found[cells.name] = cells
        self.columns = [*self.columns, cells.name]
        return self
