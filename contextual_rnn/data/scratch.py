"""Temporary files for training data that stay on the disk."""

from __future__ import annotations

import pathlib
import weakref
from typing import Any

import numpy as np

from .._core.temporary import TemporaryFolder
from ..errors import InputError


class Scratch:
    """A temporary folder, which is removed when this object is.

    A copy in another process reads the same folder, and does not remove it.

    Attributes:
        folder: the path.
    """

    def __init__(self) -> None:
        made = TemporaryFolder()
        self.folder: pathlib.Path = made.path
        weakref.finalize(self, made.remove)


def read_into(file: Any, start: int, found: np.ndarray) -> None:
    """Fill an array from a file that is open without a buffer.

    Args:
        file: of bytes.
        start: the place of the first byte.
        found: contiguous.

    Raises:
        InputError: the file ends before.
    """
    file.seek(start)
    if file.readinto(found.data.cast("B")) != found.nbytes:
        raise InputError(f"{file.name}, a temporary file of the training data, has been cut short; start again")
