"""The memory that this process may take, and tables that are refused because they do not fit into it."""

from __future__ import annotations

import functools
import gzip
import os
import pathlib

from ..errors import InputError

MOST_RATIO = 1032  # by which deflate shrinks a file at most
SHARE = 4  # a gzipped text may take this part of the memory: its columns take the rest
PIECE = 1 << 20  # bytes that are unzipped at once
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # limits of a container


def available_memory() -> int | None:
    """Return the bytes of memory of this machine, or the limit of this process or its container if that is less.

    Where the system says neither, return None.
    """
    found = [_physical(), _limit(), *map(_number_in, CGROUPS)]
    return min((one for one in found if one is not None), default=None)


def check_fits(needed: int, doing: str) -> None:
    """Raise InputError if something takes more bytes than there are; `doing` is what takes them and where."""
    memory = available_memory()
    if memory is not None and needed > memory:
        raise InputError(
            f"{doing} takes about {needed / 1e9:.0f} GB, but this process has {memory / 1e9:.0f} GB of memory"
        )


def check_unzipped(path: pathlib.Path) -> None:
    """Raise InputError if a gzipped file is too large once unzipped; OSError or EOFError if it is damaged."""
    found, memory = path.stat(), available_memory()
    if memory is not None and found.st_size * MOST_RATIO * SHARE > memory:
        _check_unzipped(path, found.st_size, found.st_mtime_ns, memory)


@functools.lru_cache(16)
def _check_unzipped(path: pathlib.Path, size: int, changed: int, memory: int) -> None:
    total = 0
    with gzip.open(path) as file:
        while piece := file.read(PIECE):
            total += len(piece)
            if total * SHARE > memory:
                raise InputError(
                    f"{path} has more than {total / 1e9:.1f} GB once unzipped, but this process has "
                    f"{memory / 1e9:.0f} GB of memory"
                )


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _limit() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _number_in(path: str) -> int | None:
    try:
        return int(pathlib.Path(path).read_text())
    except (OSError, ValueError):  # such as "max", which is no limit
        return None
