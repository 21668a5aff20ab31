"""The lines of a text file of pairs or of sources, decoded and numbered."""

from __future__ import annotations

import codecs
import io
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import IO

from ...errors import InputError
from ...table_files.layout import open_text
from ...table_files.open import reading

MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def lines_of(path: str | os.PathLike[str], encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of every line of a file, unzipped if its name ends with .gz.

    Raises:
        InputError: the file is missing or damaged, or is in another encoding.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "a pipe or a device"
        raise InputError(f"{path} is {kind}; give a regular file")
    if not os.path.exists(path):
        raise InputError(f"{path}: there is no such file")
    with reading(pathlib.Path(path)), open_text(pathlib.Path(path)) as file:
        yield from decoded(file, str(path), encoding)


def check_encoding(encoding: str) -> None:
    """Raise InputError unless there is an encoding of text of that name."""
    try:
        known: codecs.CodecInfo | None = codecs.lookup(encoding)
    except (LookupError, ValueError):
        known = None
    if known is None or not known._is_text_encoding:
        raise InputError(f"`encoding` must be the name of an encoding, such as latin-1; found {encoding!r}")


def decoded(lines: Iterable[bytes], name: str, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of every line of a stream that is called `name`.

    Raises:
        InputError: a line is in another encoding, or holds a NUL character.
    """
    numbered = enumerate(lines, start=1)
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    texts = ((number, _utf8(name, number, line)) for number, line in numbered) if is_utf8 else None
    for number, line in texts or _in_encoding(lines, name, encoding):
        if "\x00" in line:
            hint = "give `encoding` utf-16 if the file is in UTF-16" if is_utf8 else "is `encoding` right?"
            raise InputError(f"{name}, line {number} has a NUL character; {hint}")
        yield number, line


def _utf8(name: str, number: int, line: bytes) -> str:
    """Return a line of UTF-8; a byte order mark at the start of a file is no symbol."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        found = next((other for mark, other in MARKS.items() if number == 1 and line.startswith(mark)), None)
        hint = (
            f"its first bytes are those of {found}: give `encoding` {found}"
            if found
            else ("give `encoding`, such as latin-1, if the file is in another one")
        )
        raise InputError(f"{name}, line {number}: byte {error.start + 1} is not UTF-8; {hint}") from None


def _in_encoding(lines: Iterable[bytes], name: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a stream in any encoding."""
    stream: IO[bytes] = lines if hasattr(lines, "read") else io.BytesIO(b"".join(lines))  # type: ignore[assignment]
    number = 0
    try:
        for line in stream.read().decode(encoding).removeprefix("\ufeff").removesuffix("\n").split("\n"):
            number += 1
            yield number, line.rstrip("\r")
    except UnicodeError as error:
        start = getattr(error, "start", None)
        where = "" if start is None else f", byte {start + 1}"
        raise InputError(f"{name}{where} is not in the `encoding` {encoding}; give another one") from None
