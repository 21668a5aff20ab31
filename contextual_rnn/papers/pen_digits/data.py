"""Pen digits (UCI, Alpaydin and Alimoglu), handwritten digits as 8 points of a pen, and comparisons of them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib

import numpy as np
import torch
from torch import Tensor

from ..._core.files import read_bytes
from ...errors import InputError

POINTS, DIGITS = 8, 10


@dataclasses.dataclass(frozen=True)
class PenDigits:
    """Digits.

    Attributes:
        points: (N, 8, 2), x and y scaled from [0, 100] to [-1, 1].
        digit: (N,), the digit of each.
        sha256: of the file that they were read from.
    """

    points: Tensor
    digit: Tensor
    sha256: str = ""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PenDigits:
        """Read a published file: one digit per line, 16 numbers from 0 to 100 and the digit, separated by commas.

        Raises:
            InputError: a line is something else; names the file and the line.
        """
        content = read_bytes(pathlib.Path(path))
        try:
            lines = content.decode().splitlines()
        except UnicodeDecodeError:
            raise InputError(f"{path} is not a text file in UTF-8; expected lines of numbers") from None
        rows = [_row(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
        if not rows:
            raise InputError(f"{path} holds no digits; expected lines of {2 * POINTS} numbers and the digit")
        table = torch.tensor(rows)
        return cls(table[:, :-1].view(-1, POINTS, 2) / 50 - 1, table[:, -1].long(), hashlib.sha256(content).hexdigest())

    def __len__(self) -> int:
        """Return N."""
        return len(self.digit)

    def first(self, count: int | None) -> PenDigits:
        """Return the first digits; all for None."""
        return PenDigits(self.points[:count], self.digit[:count])

    def split(self, share: float) -> tuple[PenDigits, PenDigits]:
        """Return the first digits, and the last `share` of them."""
        first = len(self) - round(share * len(self))
        return self.first(first), PenDigits(self.points[first:], self.digit[first:])


def _row(place: str, line: str) -> list[float]:
    try:
        numbers = [float(text) for text in line.split(",")]
    except ValueError as error:
        raise InputError(f"{place}: {error}; expected {2 * POINTS} numbers and the digit") from error
    *points, digit = numbers
    if len(points) != 2 * POINTS or digit not in range(DIGITS) or not all(0 <= value <= 100 for value in points):
        raise InputError(f"{place}: expected {2 * POINTS} numbers from 0 to 100 and a digit; found {line.strip()}")
    return numbers


def nearest(digits: PenDigits, among: PenDigits) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) from every digit to its nearest neighbour, and the digit (N,) of that neighbour."""
    parts = [torch.cdist(part, among.points.flatten(1)).min(dim=1) for part in digits.points.flatten(1).split(1000)]
    return torch.cat([part.values for part in parts]), among.digit[torch.cat([part.indices for part in parts])]


def accuracy(digits: PenDigits, among: PenDigits) -> float:
    """Return the accuracy in per cent of a 1-nearest-neighbour classifier that is trained on `among`."""
    return 100 * float((nearest(digits, among)[1] == digits.digit).double().mean())


def nearer(generated: PenDigits, test: PenDigits, training: PenDigits) -> float:
    """Return how often, in per cent, a generated digit is nearer to a training digit than a test digit is.

    All pairs of a generated digit and a test digit are compared; ties count as half. 50 means that generated digits are
    as new as real ones; 100 means that they are copies.
    """
    ours = np.sort(nearest(generated, training)[0].numpy())
    real = nearest(test, training)[0].numpy()
    below, up_to = np.searchsorted(ours, real, "left"), np.searchsorted(ours, real, "right")
    return float(50 * (below + up_to).mean() / len(ours))
