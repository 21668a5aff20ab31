"""The mean and the standard deviation of columns that are read piece by piece."""

from __future__ import annotations

import numpy as np

ROUNDED = 3e-4  # of the range of a column, by which single precision may round its numbers


class Moments:
    """The mean and the standard deviation of columns, of pieces one after the other."""

    def __init__(self, width: int) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(width), np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)

    def add(self, values: np.ndarray) -> None:
        """Add a piece, (N, F)."""
        count, mean = len(values), values.mean(0)
        difference, total = mean - self.mean, self.count + count
        self.squares += np.square(values - mean).sum(0) + difference**2 * self.count * count / total
        self.mean, self.count = self.mean + difference * count / total, total
        self.low, self.high = np.minimum(self.low, values.min(0)), np.maximum(self.high, values.max(0))

    def join(self, other: Moments) -> None:
        """Add the pieces of another object."""
        difference, total = other.mean - self.mean, self.count + other.count
        self.squares += other.squares + difference**2 * self.count * other.count / total
        self.mean, self.count = self.mean + difference * other.count / total, total

    def merged(self) -> np.ndarray:
        """Return for each column whether single precision does not tell its numbers apart, (F,)."""
        spread = self.high - self.low
        rounded = np.spacing(np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float32))
        return (rounded > ROUNDED * spread) & (spread > 0)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and the standard deviations, (F,) each."""
        return self.mean, np.sqrt(self.squares / self.count)
