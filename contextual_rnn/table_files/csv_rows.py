"""The rows of any text table by the csv module, which names what is wrong by its line."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Iterator, Sequence

from ..errors import InputError
from .encoding import mend_of, open_text, warn_of_utf8
from .settings import BLANKS, FileSettings


def read_rows(path: pathlib.Path, separator: str, settings: FileSettings) -> tuple[list[str], list[str], list[int]]:
    """Return the header, the cells of all rows in one flat list, and the line on which each row starts.

    A blank line is skipped, except in a table of one column, where it is a missing value. A flat list keeps the
    garbage collector from visiting a million small ones.

    Raises:
        InputError: the file is empty or not UTF-8, or a row is not quoted rightly, or has a wrong number of cells.
    """
    header = list(settings.columns)
    cells: list[str] = []
    lines: list[int] = []
    for line, row in _rows(path, separator, settings):
        if not header:
            header = [name.strip() for name in row]
        elif row or len(header) == 1:
            row = row or [""]
            if len(row) != len(header):
                raise InputError(f"{path}, line {line}: {_wrong_count(row, header, settings, line, not cells)}")
            cells += row
            lines.append(line)
    return header, cells, lines


def _rows(path: pathlib.Path, separator: str, settings: FileSettings) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line of every row, and its cells."""
    text = io.StringIO(_decoded(path, settings.encoding).rstrip("\r\n"), newline="")
    skip, comment = settings.skip_rows, settings.comment
    for _ in range(skip):
        text.readline()
    kept = ("\n" if comment and line.startswith(comment) else line for line in text)
    if separator == BLANKS:
        yield from ((line, whole.split()) for line, whole in enumerate(kept, skip + 1))
        return
    rows, line = csv.reader(kept, delimiter=separator, strict=True), skip + 1
    try:
        for row in rows:
            yield line, row
            line = skip + rows.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: {quotation(error)}") from None


def quotation(error: csv.Error) -> str:
    """Return what is wrong with the quotation marks of a row, and what would be right."""
    if "unexpected end" in str(error):
        return 'a quotation mark (") opens a cell and none closes it; delete it, or close the cell with another one'
    if "expected after" in str(error):
        return (
            'text follows the quotation mark (") that closes a cell; write a quotation mark inside a quoted cell '
            'twice ("")'
        )
    return f"{error}; check the quotation marks of the line"


def _decoded(path: pathlib.Path, encoding: str) -> str:
    with open_text(path, encoding) as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: the text is not UTF-8; {mend_of(data, line == 1)}") from None
    warn_of_utf8(text, str(path), encoding)
    if not text.strip():
        raise InputError(f"{path} is empty; it needs a header and rows")
    return text


def _wrong_count(row: Sequence[str], header: Sequence[str], settings: FileSettings, line: int, is_first: bool) -> str:
    count = f"{len(row)} cell{'s' * (len(row) != 1)}"
    if settings.no_header:
        return f"the row has {count}, but `columns` has {len(header)} name{'s' * (len(header) != 1)}; name every column"
    mend = (
        "; put a cell that holds the separator in quotation marks, or delete the cells that are too many"
        if len(row) > len(header)
        else "; add the cells that are absent, empty ones where a value is missing"
    )
    if (is_first and header[0].startswith("#")) or row[0].startswith("#"):
        mend = '; if the lines that start with # are comments, give `comment` "#"'
    elif len(row) > len(header) and not any(cell.strip() for cell in row[len(header) :]):
        mend = "; delete the separator at the end of the row" + is_first * " (and of all rows that end with one)"
        if is_first and len(row) == len(header) + 1:
            mend = (
                f"; if every row ends with a separator, give `skip_rows` {settings.skip_rows + 1}, `no_header`, and "
                f"`columns` with {len(row)} names, the last for the empty column"
            )
    elif is_first and len(row) == len(header) + 1:
        mend = (
            f"; if each row starts with its name, give `skip_rows` {settings.skip_rows + 1}, `no_header`, and "
            f"`columns` with {len(row)} names"
        )
    elif len(header) == 1:
        mend = f"; if this line is the header, give `skip_rows` {line - 1}"
    names = f"{len(header)} name{'s' * (len(header) != 1)}"
    return f"the row has {count}, but the header has {names}{mend}"
