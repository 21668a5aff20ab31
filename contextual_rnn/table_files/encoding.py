"""Encodings of text files: their names, and text in any of them as UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import pathlib
import warnings
from typing import IO

from ..errors import DataWarning, InputError

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
        InputError: the file is not in a given encoding other than UTF-8; in UTF-8 itself, this is not checked.
    """
    if is_utf8(encoding):
        return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]
    with open_text(path) as file:
        return io.BytesIO(decode(file.read(), str(path), encoding).encode())


def decode(data: bytes, name: str, encoding: str) -> str:
    """Return text, without a byte order mark. Warn if it is not ASCII, but UTF-8, and another encoding is given.

    Raises:
        InputError: the text, which errors call `name`, is in another encoding.
    """
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        start = getattr(error, "start", None)
        where = "" if start is None else f", byte {start + 1}"
        raise InputError(f"{name}{where} is not in the `encoding` {encoding}; give another one") from None
    if not data.isascii() and not is_utf8(encoding) and _is_utf8_text(data):
        found = next(word for word in text.split() if not word.isascii())[:20]
        warnings.warn(
            f"{name} may be UTF-8: with the `encoding` {encoding} it has words such as {found!r}",
            DataWarning,
            stacklevel=2,
        )
    return text


def _is_utf8_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def mend_of(line: bytes, is_first: bool) -> str:
    """Return which encoding may mend a line that is not UTF-8."""
    if is_first and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "its first bytes are those of utf-16: give `encoding` utf-16"
    return "give `encoding`, such as latin-1, if the file is in another one"
