"""The columns of a table file of any format."""

from __future__ import annotations

import contextlib
import pathlib
import stat
import zlib
from collections.abc import Iterator

import polars as pl

from ..errors import InputError
from .binary import ARROW, BinaryColumns, MatlabColumns
from .encoding import is_utf8
from .separator import SEPARATORS, ending_of
from .settings import FileSettings
from .text import TextColumns

TEXT = (*SEPARATORS, ".txt", ".dat")
BINARY = (".parquet", ".mat", *ARROW)
FileColumns = TextColumns | BinaryColumns


def is_table(path: pathlib.Path) -> bool:
    """Return whether a file is a table by the ending of its name."""
    return ending_of(path) in TEXT or is_binary(path)


def is_binary(path: str | pathlib.Path) -> bool:
    """Return whether a file is a table, and no text, by the ending of its name."""
    return pathlib.Path(path).suffix.lower() in BINARY


def open_table(path: pathlib.Path, settings: FileSettings) -> FileColumns:
    """Return the columns of a table file: text (also gzipped), Parquet, Feather or Arrow, or MATLAB.

    Raises:
        InputError: the file is missing, empty, damaged, or no table.
    """
    ending = path.suffix.lower()
    if not is_table(path) and not path.is_dir():
        raise InputError(
            f"{path}: a table must be a .csv, .tsv or .parquet file, or .txt, .dat, .feather, .arrow, .ipc or .mat; "
            "text may be gzipped (.csv.gz)"
        )
    found: FileColumns
    with reading(path):
        _check_regular(path)
        if ending_of(path) in TEXT:
            found = TextColumns(path, settings)
        else:
            found = MatlabColumns(path) if ending == ".mat" else BinaryColumns(path)
    if not found.height:
        end = "" if is_utf8(settings.encoding) else f"; is its `encoding` {settings.encoding}?"
        raise InputError(f"{path} has no rows under its header{end}")
    return found


@contextlib.contextmanager
def reading(path: str | pathlib.Path) -> Iterator[None]:
    """Turn what polars and the system raise about a damaged or unreadable file into an InputError."""
    try:
        yield
    # A damaged Parquet file can make polars panic, which is neither a PolarsError nor an Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"{path} cannot be read: {reason}") from None


def _check_regular(path: pathlib.Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        hint = "; give `series_from_file` to read the files of a pattern" if "*" in str(path) else ""
        raise InputError(f"{path}: there is no such file{hint}") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; give the name of a file, or `series_from_file` to read all its tables")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or a device; give the name of a regular file")
