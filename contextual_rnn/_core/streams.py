"""Standard streams that are closed, or whose disk is full, so that training goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any


def open_closed_streams() -> None:
    """Open what discards everything in place of a standard stream that the caller closed.

    Python sets such a stream to None, and `print(file=None)` would write to the other one.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open until the program ends)


class Tolerant:
    """A stream that drops what it cannot write, such as to a closed pipe or a full disk, so that training goes on.

    Args:
        stream: to write to.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        self._try(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._try(self.stream.flush)

    def _try(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError:
            discard(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def discard(stream: Any) -> None:
    """Send what is still written to a stream nowhere."""
    with contextlib.suppress(OSError):  # io.UnsupportedOperation: the caller has replaced the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
