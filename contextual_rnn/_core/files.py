"""Read regular files only, and replace a file completely or not at all.

A file is written under a temporary name that no other process has, is flushed to the disk, and is then renamed. So a
process that is killed, a full disk or a power cut leaves the old file or the new one. A link in the place of a
temporary file is not followed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import stat
from collections.abc import Iterator
from typing import IO, Any

from ..errors import InputError

ENDING = ".part"  # of the names of temporary files
LARGEST_JSON = 1 << 28  # bytes of a file of JSON
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)  # of Windows


@contextlib.contextmanager
def replacing(path: pathlib.Path, *, synced: bool = True, is_new: bool = False) -> Iterator[IO[bytes]]:
    """Yield a new file to write; it replaces the file `path` when the block ends without an error.

    Args:
        path: of the file.
        synced: flush the new file to the disk first, so that it is whole after a power cut, too.
        is_new: replace no file; raise FileExistsError instead, also if `path` is a link.

    Raises:
        OSError: the system refuses to write the file, which is then as it was before.
    """
    part = path.with_name(f"{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}{ENDING}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        (_name_new if is_new else os.replace)(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_bytes(path: pathlib.Path, content: bytes, *, synced: bool = True) -> None:
    """Replace a file completely or not at all, as `replacing` does; raise OSError if the system refuses."""
    with replacing(path, synced=synced) as file:
        file.write(content)


def write_new(path: pathlib.Path, content: bytes) -> None:
    """Write a new file completely or not at all; raise FileExistsError if there is one, and OSError else."""
    with replacing(path, is_new=True) as file:
        file.write(content)


def _name_new(part: pathlib.Path, path: pathlib.Path) -> None:
    """Give a file a name that no file has; raise FileExistsError if one has it."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(part, path)


def sync(path: pathlib.Path) -> None:
    """Flush a file that is there to the disk."""
    with contextlib.suppress(FileNotFoundError), path.open("rb+") as file:
        os.fsync(file.fileno())


def append(path: pathlib.Path, content: bytes) -> None:
    """Append to a regular file; raise OSError if the system refuses, or if the path is a link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK | _BINARY, 0o666)
    with os.fdopen(descriptor, "ab") as file:
        file.write(content)


def read_bytes(path: pathlib.Path, most: int | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        path: of the file.
        most: the number of bytes that it may have; None sets no limit.

    Raises:
        InputError: the file is missing, unreadable or too large, or is a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))  # a pipe would block
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                raise InputError(f"{path} is a folder; give the name of a file")
            if not stat.S_ISREG(found.st_mode):
                raise InputError(f"{path} is a pipe or a device; give the name of a regular file")
            if most is not None and found.st_size > most:
                raise InputError(f"{path} has {found.st_size} bytes; at most {most} are read")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def parse_json(text: str | bytes, *, nan: bool = False) -> Any:
    """Return the value of a text of JSON; raise ValueError if it is not JSON, is nested too deeply, or has NaN.

    Args:
        text: the text.
        nan: allow NaN and infinities.
    """
    try:
        return json.loads(text, parse_constant=float if nan else _refuse)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def read_json(path: pathlib.Path) -> Any:
    """Read a file of JSON; raise InputError if it is missing or unreadable, is no regular file, or is not JSON."""
    try:
        return parse_json(read_bytes(path, LARGEST_JSON))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
