"""Temporary folders that are removed when their work ends, or by a later process if theirs was killed.

A folder is locked as long as its process lives. So a folder without a lock is left over, and is removed when the next
process makes one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from filelock import FileLock, Timeout

LOCK = ".lock"
PREFIX = f"contextual-rnn-{re.sub('[^A-Za-z0-9]', '_', platform.node())[:40]}-"  # locks hold on one machine


class TemporaryFolder:
    """A new folder for temporary files.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        _remove_left_over()
        self.path, self.lock = _locked_folder()

    def remove(self) -> None:
        """Remove the folder and its files."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    """Yield a new folder, which is removed when the block ends."""
    folder = TemporaryFolder()
    try:
        yield folder.path
    finally:
        folder.remove()


def _locked_folder() -> tuple[pathlib.Path, Any]:
    """Return a new folder and its lock; another process may remove it before it is locked."""
    while True:
        path = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileLock(path / LOCK, thread_local=False)
        try:
            lock.acquire()
        except FileNotFoundError:
            continue
        except OSError:  # a file system without locks, on which no process removes the folders of others
            return path, lock
        if (path / LOCK).exists():
            return path, lock
        lock.release()


@functools.cache
def _remove_left_over() -> None:
    """Remove the folders of this user whose processes were killed."""
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if not _is_own(path) or not (path / LOCK).exists():
                continue
            with FileLock(path / LOCK, timeout=0):
                shutil.rmtree(path, ignore_errors=True)


def _is_own(path: pathlib.Path) -> bool:
    """Return whether only this user can have put files into a folder; a link is no folder."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
