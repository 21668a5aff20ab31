"""The lines of a text file of pairs or of sources, decoded and numbered."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Iterator

from ...errors import InputError
from ...table_files.encoding import UTF8, decode, is_utf8, mend_of, open_text, warn_of_utf8
from ...table_files.open import reading


def lines_of(path: str | os.PathLike[str], encoding: str = UTF8) -> Iterator[tuple[int, str]]:
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


def decoded(lines: Iterable[bytes], name: str, encoding: str = UTF8) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of every line of a stream that is called `name`.

    Raises:
        InputError: a line is in another encoding, or holds a NUL character.
    """
    numbered = enumerate(lines, start=1)
    texts = ((number, _utf8(name, number, line)) for number, line in numbered) if is_utf8(encoding) else None
    for number, line in texts or _in_encoding(lines, name, encoding):
        if "\x00" in line:
            hint = "give `encoding` utf-16 if the file is in UTF-16" if is_utf8(encoding) else "is `encoding` right?"
            raise InputError(f"{name}, line {number} has a NUL character; {hint}")
        yield number, line


def _utf8(name: str, number: int, line: bytes) -> str:
    """Return a line of UTF-8; a byte order mark at its start, as joined files have it in any line, is no symbol."""
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        mend = mend_of(line, is_first=number == 1)
        raise InputError(f"{name}, line {number}: byte {error.start + 1} is not UTF-8; {mend}") from None


def _in_encoding(lines: Iterable[bytes], name: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a stream in any encoding."""
    text = decode(b"".join(lines), name, encoding).removesuffix("\n")
    warn_of_utf8(text, name, encoding)
    yield from ((number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), start=1))
