"""The columns of a table file of any format."""

from __future__ import annotations

import contextlib
import pathlib
import stat
import zlib
from collections.abc import Iterator

import polars as pl

from .._core.counted import counted
from ..errors import InputError
from .binary import ARROW, BinaryColumns, MatlabColumns
from .encoding import is_utf8
from .separator import SEPARATORS, ending_of
from .settings import FileSettings
from .text import TextColumns

TEXT = (*SEPARATORS, ".txt", ".dat")
BINARY = (".parquet", ".mat", *ARROW)
SPREADSHEETS = (".xls", ".xlsx", ".xlsm", ".ods", ".numbers")
SEVERAL = (
    "give `series_from_file` NAME to read each file as a series of its own; NAME is a new column with the names of the "
    "files"
)
ENDINGS = ".csv, .tsv, .txt, .dat, .parquet, .feather, .arrow, .ipc or .mat"
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
        if ending in SPREADSHEETS:
            raise InputError(f"{path} is a spreadsheet, which cannot be read; save it as a .csv file, and give that")
        raise InputError(f"{path}: the name of a table must end in {ENDINGS} (or .csv.gz and so on, for gzipped text)")
    found: FileColumns
    with reading(path):
        _check_regular(path)
        if ending_of(path) in TEXT:
            found = TextColumns(path, settings)
        else:
            found = MatlabColumns(path) if ending == ".mat" else BinaryColumns(path)
    if not found.height:
        if is_utf8(settings.encoding):
            raise InputError(f"{path} has no rows under its header")
        raise InputError(
            f"{path} has no rows when its `encoding` is {settings.encoding}; leave `encoding` out if the file is "
            "UTF-8, or give the encoding that it has"
        )
    return found


def is_pattern(path: str | pathlib.Path) -> bool:
    """Return whether a path that does not exist is a pattern of the names of files."""
    return any(mark in str(path) for mark in "*?[")


def tables_of(path: pathlib.Path) -> list[pathlib.Path]:
    """Return the tables of a folder, or the files of a pattern, sorted.

    Raises:
        InputError: there are none.
    """
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if is_table(one) and not one.name.startswith("."))
        what = f"{path} is a folder without tables; the name of a table ends in {ENDINGS}"
    else:
        found = sorted(pathlib.Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        what = f"{path}: no file matches this pattern"
    if not found:
        raise InputError(what)
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
        if is_pattern(path):
            count = len(tables_of(path))
            raise InputError(f"{path} is a pattern of {counted(count, 'file')}; {SEVERAL}") from None
        raise InputError(f"{path}: there is no such file") from None
    if stat.S_ISDIR(mode):
        tables_of(path)
        raise InputError(f"{path} is a folder; give the name of a file in it, or {SEVERAL}")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or a device; give the name of a regular file")
