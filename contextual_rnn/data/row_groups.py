"""The row groups of a Parquet file: the parts that are read as a whole, and the memory that they take.

The footer of a file is written in Thrift's compact protocol; the numbers of its fields are those of Parquet's
`parquet.thrift`.
"""

from __future__ import annotations

import io
import pathlib
import struct
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .parquet import files_in
from .stored_rows import LEAST

COPIES = 2  # of a row group in memory while it is read
FLOAT, BINARY, LIST, SET, MAP, STRUCT = range(
    7, 13
)  # types of the protocol; smaller ones are truth values and integers


def check_row_groups(path: pathlib.Path, names: Sequence[str], memory: float) -> None:
    """Raise InputError if the columns of a row group take more than a number of gigabytes, at least 0.064."""
    for file in files_in(path) if path.is_dir() else [path]:
        needed = COPIES * max(sizes_of_row_groups(file, names), default=0) / 1e9
        if needed > max(memory, LEAST):
            raise InputError(
                f"`memory` {memory:g}: a row group of {file} takes about {needed:.2g} GB while it is read; give as "
                "much, or write the file with smaller row groups"
            )


def sizes_of_row_groups(file: pathlib.Path, names: Sequence[str]) -> list[int]:
    """Return the uncompressed bytes of columns in every row group; none if the footer cannot be read."""
    try:
        with file.open("rb") as content:
            content.seek(-8, io.SEEK_END)
            (length,) = struct.unpack("<I", content.read(4))
            content.seek(-8 - length, io.SEEK_END)
            footer = _struct(io.BytesIO(content.read(length)))
        return [
            sum(column[3][6] for column in group[1] if column[3][3][0].decode() in names) for group in footer.get(4, [])
        ]
    except (OSError, LookupError, TypeError, ValueError, struct.error):
        return []


def _struct(content: io.BytesIO) -> dict[int, Any]:
    """Return the fields of a struct by their numbers."""
    found, number = dict[int, Any](), 0
    while head := content.read(1)[0]:
        number = number + (head >> 4) if head >> 4 else _integer(content)
        kind = head & 15
        found[number] = kind == 1 if kind in (1, 2) else _value(content, kind)
    return found


def _value(content: io.BytesIO, kind: int) -> Any:
    if kind == STRUCT:
        return _struct(content)
    if kind in (LIST, SET):
        head = content.read(1)[0]
        count, inner = head >> 4, head & 15
        return [_value(content, inner) for _ in range(_varint(content) if count == 15 else count)]
    if kind == BINARY:
        return content.read(_varint(content))
    if kind == FLOAT:
        return content.read(8)
    if kind == MAP:
        raise ValueError("Parquet's footer has no map")
    return content.read(1) if kind <= 3 else _integer(content)


def _varint(content: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = content.read(1)[0]
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value


def _integer(content: io.BytesIO) -> int:
    value = _varint(content)
    return (value >> 1) ^ -(value & 1)
