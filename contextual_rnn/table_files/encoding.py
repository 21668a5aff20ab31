"""Encodings of text files: their names, and text in any of them as UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import pathlib
import warnings
from typing import IO

from ..errors import DataWarning, InputError
from .memory import check_unzipped

UTF8 = "utf-8"


def check_encoding(encoding: str) -> None:
    """Raise InputError unless there is an encoding of text of that name."""
    try:
        known: codecs.CodecInfo | None = codecs.lookup(encoding)
    except (LookupError, ValueError):
        known = None
    if known is None or not known._is_text_encoding:
        raise InputError(f"`encoding` must be the name of an encoding, such as latin-1; found {encoding!r}")


def is_utf8(encoding: str) -> bool:
    """Return whether an encoding is UTF-8, with or without a byte order mark."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def open_text(path: pathlib.Path, encoding: str = UTF8) -> IO[bytes]:
    """Open a file, gzipped if its name ends with .gz, to read bytes of UTF-8.

    Raises:
        InputError: the file is not in a given encoding other than UTF-8; in UTF-8 itself, this is not checked. Or it
            does not fit into the memory once unzipped.
    """
    if is_utf8(encoding):
        if path.suffix.lower() != ".gz":
            return path.open("rb")
        check_unzipped(path)
        return gzip.open(path)  # type: ignore[return-value]
    with open_text(path) as file:
        return io.BytesIO(decode(file.read(), str(path), encoding).encode())


def decode(data: bytes, name: str, encoding: str) -> str:
    """Return text, without a byte order mark; raise InputError, about `name`, if it is in another encoding."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        start = getattr(error, "start", None)
        where = "" if start is None else f", byte {start + 1}"
        raise InputError(f"{name}{where} is not in the `encoding` {encoding}; give another one") from None


def warn_of_utf8(text: str, name: str, encoding: str) -> None:
    """Warn if a text that was read in another encoding is not ASCII, but UTF-8."""
    if codecs.lookup(encoding).name.startswith("utf") or text.isascii():
        return
    try:
        text.encode(encoding).decode()
    except UnicodeError:
        return
    word = next(word for word in text.split() if not word.isascii())[:20]
    said = f"{name} may be UTF-8: with the `encoding` {encoding} it has words such as {word!r}"
    warnings.warn(said, DataWarning, stacklevel=2)


def mend_of(line: bytes, is_first: bool) -> str:
    """Return which encoding may mend a line that is not UTF-8."""
    if is_first and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "its first bytes are those of utf-16: give `encoding` utf-16"
    return "give the encoding of the file, such as `encoding` latin-1"
