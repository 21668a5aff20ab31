"""Sources to transcribe, from the lines of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...errors import InputError
from .lines import decoded
from .pair import split


class SourceLine(NamedTuple):
    """A source to transcribe.

    Attributes:
        place: where it stands, for errors.
        text: as it is written.
        symbols: of which an empty line has none.
        label: of its own; None where all sources have one label, or none.
        was_enclosed: whether slashes or brackets around it are not among its symbols.
    """

    place: str
    text: str
    symbols: tuple[str, ...]
    label: str | None = None
    was_enclosed: bool = False


def read_sources(
    lines: Iterable[bytes],
    name: str,
    unit: str,
    *,
    encoding: str = "utf-8",
    label_column: int | None = None,
    comment: str | None = None,
) -> Iterator[SourceLine]:
    """Yield every line of a stream.

    Args:
        lines: such as `open(path, "rb")` or `sys.stdin.buffer`.
        name: what errors call the stream.
        unit: of the sources.
        encoding: of the stream.
        label_column: the number, 1 or 2, of the field of a line that is the label of its source; None if lines are
            sources.
        comment: the text that starts a line that is read as an empty one; None if there are no comments.

    Raises:
        InputError: a line is in another encoding, has a wrong number of tabs, or is too long.
    """
    for number, line in decoded(lines, name, encoding):
        place, text, label = f"{name}, line {number}", line, None
        if comment is not None and line.startswith(comment):
            text = ""
        if label_column is not None and text.strip():
            text, label = _fields(place, text, label_column)
        yield source_line(place, text, unit, label)


def _fields(place: str, line: str, label_column: int) -> tuple[str, str]:
    """Return the source and the label of a line."""
    fields = line.split("\t")
    if len(fields) != 2:
        tabs = "no tab" if len(fields) == 1 else f"{len(fields) - 1} tabs"
        raise InputError(f"{place} has {tabs}; with `label_column`, it must have one, between source and label")
    label = fields.pop(label_column - 1).strip()
    if not label or not fields[0].strip():
        raise InputError(f"{place}: the {'source' if label else 'label'} is empty")
    return fields[0], label


def source_line(place: str, text: str, unit: str, label: str | None = None) -> SourceLine:
    """Return a source to transcribe, split into symbols; raise InputError if it has a tab or is too long."""
    if "\t" in text:
        raise InputError(
            f"{place} has a tab, as the line of a pair has, but must be a source alone; delete the tab and what is not "
            "the source, or give `label_column` if that is a label which the model reads"
        )
    return SourceLine(place, text, split(f"{place}: the source", text, unit) if text.strip() else (), label)
