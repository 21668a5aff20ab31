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
SPREADSHEETS = (".xls", ".xlsx", ".xlsm", ".ods", ".numbers")
SEVERAL = (
    "to read every table of {} as one series, give `series_from_file` file, which adds a column, `file`, with the name "
    "of each file"
)
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
        raise InputError(
            f"{path}: the name of a table must end in .csv, .tsv, .txt, .dat, .parquet, .feather, .arrow, .ipc or .mat "
            "(or .csv.gz and so on, for gzipped text)"
        )
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
            "UTF-8, or give another one"
        )
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
        mend = f"; {SEVERAL.format('the pattern')}" if "*" in str(path) else ""
        raise InputError(f"{path}: there is no such file{mend}") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; give the name of a file in it, or, {SEVERAL.format('the folder')}")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or a device; give the name of a regular file")
