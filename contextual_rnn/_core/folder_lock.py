"""The lock of a folder, so that one process at a time works in it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import sys

from ..errors import InputError
from .files import parse_json, read_bytes, write_bytes

LOCK, OWNER = ".lock", ".owner"  # the names of the lock, and of the file that says which process holds it
SILENT = 1.0  # seconds to wait before it is said


class FolderLock:
    """The lock of a folder, held from its creation until `release`, or until this object or the process ends.

    The thread that holds it may take it again.

    Args:
        path: of the folder.
        wait: wait as long as another process holds the lock, and say on standard error which one it is.
        timeout: seconds to wait if `wait` is false.

    Raises:
        InputError: another process holds the lock, or the system refuses to make one.
    """

    def __init__(self, path: pathlib.Path, *, wait: bool, timeout: float) -> None:
        from filelock import FileLock, Timeout

        self.path, self.is_held = path, False
        try:
            self.lock = FileLock(path / LOCK, is_singleton=True)
            try:
                self._acquire(SILENT if wait else timeout)
            except Timeout:
                if not wait:
                    raise InputError(
                        f"{path}: another process is working on this run, {self._owner()}; wait for it, or stop it"
                    ) from None
                _say(f"{path}: waiting for {self._owner()}, which is working on this run")
                self._acquire(-1)
        except OSError as error:
            raise InputError(f"{path} cannot be locked: {error.strerror or error}") from None
        self.is_held = True
        owner = {"process": os.getpid(), "machine": platform.node()}
        with contextlib.suppress(OSError):
            write_bytes(path / OWNER, json.dumps(owner).encode(), synced=False)

    def _acquire(self, timeout: float) -> None:
        """Take the lock; raise filelock.Timeout after a number of seconds, or never if it is -1."""
        self.lock.acquire(timeout=timeout)
        while self.lock.lock_counter == 1 and not self._is_of_the_file():
            self.lock.release()
            self.lock.acquire(timeout=timeout)

    def _is_of_the_file(self) -> bool:
        """Return whether the lock is that of the file in the folder, which the process before may have removed."""
        from filelock import FileLock, Timeout

        other = FileLock(self.path / LOCK)
        try:
            other.acquire(timeout=0)
        except Timeout:
            return True
        other.release()
        return False

    def release(self) -> None:
        """Let another process take the lock, and remove its file."""
        if self.is_held:
            self.is_held = False
            if self.lock.lock_counter == 1:
                for name in (OWNER, LOCK):
                    with contextlib.suppress(OSError):
                        (self.path / name).unlink(missing_ok=True)
            self.lock.release()

    def __del__(self) -> None:
        """Release the lock."""
        with contextlib.suppress(Exception):
            self.release()

    def _owner(self) -> str:
        try:
            owner = parse_json(read_bytes(self.path / OWNER, 1000))
            return f"process {int(owner['process'])} on {owner['machine']}"
        except (InputError, KeyError, TypeError, ValueError):
            return "another process"


def _say(line: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # standard error is closed
        print(line, file=sys.stderr, flush=True)
