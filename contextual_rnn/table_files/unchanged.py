"""Notice that a file or a folder changes while it is read: columns and SHA-256 are read one after the other."""

from __future__ import annotations

import pathlib

from ..errors import InputError


class Unchanged:
    """The state of a file, or of the Parquet files of a folder, when this object was made.

    Args:
        path: of the file or the folder.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.found = self._state()

    def check(self) -> None:
        """Raise InputError if a file has changed, or one was added or removed."""
        if self._state() != self.found:
            raise InputError(f"{self.path} has changed while it was read; start again when it is complete")

    def _state(self) -> list[tuple[pathlib.Path, int, int, int]]:
        files = sorted(self.path.rglob("*.parquet")) if self.path.is_dir() else [self.path]
        found = [(file, file.stat()) for file in files]
        return [(file, one.st_ino, one.st_size, one.st_mtime_ns) for file, one in found]
