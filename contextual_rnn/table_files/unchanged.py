"""Notice that a file changes while it is read, since its columns and its SHA-256 are read one after the other."""

from __future__ import annotations

import pathlib

from ..errors import InputError


class Unchanged:
    """The state of a file when this object was made.

    Args:
        path: of the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.found = self._state()

    def check(self) -> None:
        """Raise InputError if the file has changed."""
        if self._state() != self.found:
            raise InputError(f"{self.path} has changed while it was read; start again when it is complete")

    def _state(self) -> tuple[int, int, int]:
        found = self.path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
