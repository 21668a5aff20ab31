"""Sources to transcribe, from the lines of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...errors import InputError
from .lines import decoded
from .pair import split


class SourceLine(NamedTuple):
    """A source to transcribe: where it stands, its text, and its symbols, of which an empty line has none."""

    place: str
    text: str
    symbols: tuple[str, ...]


def read_sources(lines: Iterable[bytes], name: str, unit: str, encoding: str = "utf-8") -> Iterator[SourceLine]:
    """Yield every line of a stream.

    Args:
        lines: such as `open(path, "rb")` or `sys.stdin.buffer`.
        name: what errors call the stream.
        unit: of the sources.
        encoding: of the stream.

    Raises:
        InputError: a line is in another encoding, has a tab, or is too long.
    """
    for number, line in decoded(lines, name, encoding):
        yield source_line(f"{name}, line {number}", line, unit)


def source_line(place: str, text: str, unit: str) -> SourceLine:
    """Return a source to transcribe, split into symbols; raise InputError if it has a tab or is too long."""
    if "\t" in text:
        raise InputError(f"{place} has a tab, as pairs have; it must hold a source alone")
    return SourceLine(place, text, split(f"{place}: the source", text, unit) if text.strip() else ())
