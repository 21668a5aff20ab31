"""The separator of a text table: by its ending or as given, and refused where the header shows another one."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from ..errors import InputError
from .settings import BLANKS, FileSettings

SEPARATORS = {".csv": ",", ".tsv": "\t"}
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}


def separator_of(path: pathlib.Path, lines: Sequence[str], settings: FileSettings) -> str:
    """Return the separator of a text table.

    Args:
        path: of the file; an ending .gz does not count.
        lines: the header and the next lines of the file.
        settings: how the file is written.

    Raises:
        InputError: none is given, and the ending names none, or the header has another one.
    """
    if settings.separator is not None:
        return settings.separator
    ending = ending_of(path)
    usual, found = SEPARATORS.get(ending), _found(lines)
    if usual is None:
        seen = f"its first line has {NAMES[found]}s" if found in NAMES else "its cells seem to be separated by blanks"
        raise InputError(
            f"{path}: the ending {ending} does not say what separates the cells of a table; {seen}: give `separator` "
            f"{_quoted(found or BLANKS)}"
        )
    if lines and usual not in lines[0] and found:
        name = NAMES.get(found, "blank")
        raise InputError(
            f"{path}: its first line has no {NAMES[usual]}, but a {name}; give `separator` {_quoted(found)}, or "
            f"`separator` {_quoted(usual)} if the table has a single column"
        )
    return usual


def ending_of(path: pathlib.Path) -> str:
    """Return the ending of a file's name in small letters, without .gz."""
    name = pathlib.Path(path.name.lower().removesuffix(".gz"))
    return name.suffix


def _found(lines: Sequence[str]) -> str | None:
    """Return a separator that the first line has, or blanks if every line has as many cells."""
    for separator in NAMES:
        if lines and separator in lines[0]:
            return separator
    counts = {len(line.split()) for line in lines}
    return BLANKS if len(lines) > 1 and len(counts) == 1 and counts.pop() > 1 else None


def _quoted(separator: str) -> str:
    return {"\t": "tab"}.get(separator, f'"{separator}"')
