"""What was inferred from files, in sentences that name the files."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

SHOWN = 3  # files that a sentence names


class Notes:
    """Collect what was inferred from each file; what holds for several files becomes one sentence."""

    def __init__(self) -> None:
        self.files: dict[str, list[str]] = {}

    def add(self, name: str, what: str) -> None:
        """Add what was inferred from the file or frame of a name: a sentence without its last point."""
        files = self.files.setdefault(what, [])
        if name not in files:
            files.append(name)

    def sentences(self) -> list[str]:
        """Return one sentence for everything that was inferred."""
        return [f"{in_short(files)}: {what}." for what, files in self.files.items()]


def in_short(names: Sequence[str]) -> str:
    """Return the names of files without their folders: all of them, or the first and their number."""
    short = [pathlib.Path(name).name or name for name in names]
    return ", ".join(short) if len(short) <= SHOWN else f"{len(short)} files, such as {short[0]}"
