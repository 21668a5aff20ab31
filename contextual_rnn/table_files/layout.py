"""The layout of a text table, from one pass over its bytes: its separator and rows."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import pathlib
import re
from collections.abc import Iterator
from typing import IO

import numpy as np

from ..errors import InputError
from .encoding import is_utf8, open_text
from .separator import separator_of
from .settings import BLANKS, FileSettings

PIECE = 1 << 18  # bytes read at once, which fit into the cache
_ALL = bytes(range(256))
SHOWN = 20  # lines that show which separator a table has


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of a text table.

    Attributes:
        separator: between cells.
        rows: their number, if the table is regular, or may be; None else. See `read_layout`.
        header: the cells of the first line that is not skipped, and `first` those of the first row.
        skipped: the lines before the first row.
    """

    separator: str
    rows: int | None
    header: list[str]
    first: list[str]
    skipped: int


def read_layout(path: pathlib.Path, settings: FileSettings) -> Layout:
    """Read a whole file in pieces, and return its layout.

    A table is regular if polars reads it as the csv module does: in UTF-8, without quotation marks, comments, blank
    lines and single carriage returns, and each line with as many cells as the first. To compare all lines takes longer
    than all else, so this counts the separators of each piece of the file. A line may then be too long if another one
    of its piece is too short; `lines_are_even` tells.

    Raises:
        InputError: the separator is unclear, or the file is in another encoding.
        OSError: the file cannot be read.
    """
    skip, count = settings.skip_rows, 0
    with open_text(path, settings.encoding) as file:
        opening = [file.readline() for _ in range(skip)]
        body = b"".join(file.readline() for _ in range(SHOWN))
        _check_text(path, b"".join(opening) + body, body, settings)
        lines = _shown(body, settings)
        separator = separator_of(path, lines, settings)
        cells = [line.split(separator) for line in lines[:2]]
        names = 1 - settings.no_header
        regular = separator != BLANKS and not settings.comment and len(cells) > names and all(map(bytes.strip, opening))
        regular = (
            regular
            and is_utf8(settings.encoding)
            and separator.isascii()
            and not (settings.no_header and body.startswith(codecs.BOM_UTF8))
        )
        for piece in itertools.chain([body], _pieces(file)) if regular else ():
            found = _count_rows(piece, separator.encode(), len(cells[0]))
            if found is None:
                regular = False
                break
            count += found
    header, first = (cells[0], cells[names]) if regular else ([], [])
    return Layout(separator, count - names if regular else None, header, first, skip + names)


def lines_are_even(path: pathlib.Path, settings: FileSettings, layout: Layout) -> bool:
    """Return whether each line of a table that may be regular has as many cells as the first."""
    separator = layout.separator.encode()
    others = _ALL.replace(b"\n", b"").replace(separator, b"")
    line = separator * (len(layout.header) - 1) + b"\n"
    with open_text(path, settings.encoding) as file:
        for _ in range(settings.skip_rows):
            file.readline()
        for piece in _pieces(file):
            marks = piece.translate(None, others) + b"\n" * (not piece.endswith(b"\n"))
            if marks != line * marks.count(b"\n"):
                return False
    return True


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines."""
    while piece := file.read(PIECE):
        yield piece + file.readline()


def _check_text(path: pathlib.Path, start: bytes, body: bytes, settings: FileSettings) -> None:
    """Raise InputError if the first lines are not those of text, or `skip_rows` leaves none."""
    if start.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is a zip archive or an Excel file, not a text table; save the table as CSV")
    if start.lstrip().lower().startswith((b"<html", b"<!doctype")):
        raise InputError(f"{path} is a web page (HTML), not a text table; save the table itself as CSV")
    if b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        utf16 = _perhaps_utf16(start)
        if utf16 is not None:
            raise InputError(f"{path} seems to be text in UTF-16; give `encoding` {utf16}")
        raise InputError(
            f"{path} is not a text file, although its name ends in {path.suffix}: it has bytes of value 0; save the "
            "table as text, or, if it is a Parquet, Feather, Arrow or MATLAB file, give it the ending of that format"
        )
    if start.strip() and not body.strip():
        lines = start.count(b"\n") + (not start.endswith(b"\n"))
        raise InputError(
            f"{path} has {lines} line{'s' * (lines != 1)}, and `skip_rows` {settings.skip_rows} leaves no header and "
            "no rows; give a smaller number"
        )


def _perhaps_utf16(start: bytes) -> str | None:
    """Return the encoding if most bytes at even places, or most at odd places, are 0, as in UTF-16 without a mark."""
    names = {1: "utf-16-le", 0: "utf-16-be"}
    return next((name for at, name in names.items() if 2 * start[at::2].count(0) > len(start[at::2])), None)


def _shown(body: bytes, settings: FileSettings) -> list[str]:
    """Return the first lines that are not blank and no comments."""
    lines = re.split(r"\r\n|\n|\r", body.decode("utf-8-sig", errors="replace"))
    comment = settings.comment
    return [line for line in lines if line.strip() and not (comment and line.startswith(comment))]


def _count_rows(piece: bytes, separator: bytes, width: int) -> int | None:
    """Return the number of lines of a piece of the file; None if it is not regular."""
    single = piece.count(b"\r") != piece.count(b"\r\n") if b"\r" in piece else False
    if single or b'"' in piece or not _is_utf8(piece):
        return None
    if width == 1 and any(blank in b"\n" + piece for blank in (b"\n\n", b"\n\r\n")):
        return None
    values = np.frombuffer(piece, np.uint8)
    rows = int(np.count_nonzero(values == ord("\n"))) + (not piece.endswith(b"\n"))
    return rows if np.count_nonzero(values == ord(separator)) == rows * (width - 1) else None


def _is_utf8(piece: bytes) -> bool:
    try:
        return piece.isascii() or bool(piece.decode())
    except UnicodeDecodeError:
        return False
