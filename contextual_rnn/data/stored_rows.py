"""Rows of numbers that do not fit into the memory: they are in a file, and an epoch reads them in random order.

The rows lie in blocks. An epoch takes the blocks in random order and puts as many as the memory allows into a buffer,
whose rows are shuffled; each row is read once. If the buffer holds all rows, they are in the order of the table, so
that what is drawn from it is what would be drawn from a table in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from .scratch import Scratch, read_into

BLOCK = 4096  # rows
LEAST = 0.064  # gigabytes of a buffer
OF_A_ROW = 400  # bytes that a row takes in a buffer beside its numbers


@dataclasses.dataclass(frozen=True)
class Rows:
    """N rows of K parts, each a sequence of numbers.

    Attributes:
        sizes: of the parts, (N, K).
        numbers: of all parts of all rows, one after the other, int32.
    """

    sizes: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]]) -> Rows:
        """Return rows from the parts of each, which are sequences of numbers."""
        sizes = np.array([[len(part) for part in row] for row in rows], np.int32)
        parts = [np.asarray(part, np.int32) for row in rows for part in row]
        return cls(sizes, np.concatenate(parts) if parts else np.zeros(0, np.int32))

    def __len__(self) -> int:
        """Return N."""
        return len(self.sizes)

    def part(self, number: int) -> list[np.ndarray]:
        """Return a part of every row."""
        ends = self.sizes.astype(np.int64).ravel().cumsum()
        first, last = (ends - self.sizes.ravel())[number :: self.sizes.shape[1]], ends[number :: self.sizes.shape[1]]
        return [self.numbers[start:end] for start, end in zip(first.tolist(), last.tolist(), strict=True)]


class StoredRows:
    """Rows in a temporary file, which is removed when this object is.

    Args:
        parts: K, of a row.

    Attributes:
        sizes: the numbers of rows of the blocks.
        total: how many numbers all rows have, by the part, (K,).
    """

    def __init__(self, parts: int) -> None:
        self.scratch, self.sizes, self.total = Scratch(), list[int](), np.zeros(parts, np.int64)
        self.places: list[int] = []  # of the blocks in the file, in numbers

    def add(self, rows: Rows) -> None:
        """Append rows, as blocks."""
        if not len(rows):
            return
        ends = np.concatenate([[0], rows.sizes.sum(1, dtype=np.int64).cumsum()])
        for first in range(0, len(rows), BLOCK):
            last = min(first + BLOCK, len(rows))
            sizes, numbers = rows.sizes[first:last], rows.numbers[ends[first] : ends[last]]
            with (self.scratch.folder / "rows").open("ab") as file:
                self.places.append(file.tell() // 4)
                file.write(sizes.astype(np.int32).tobytes() + numbers.astype(np.int32).tobytes())
            self.sizes.append(last - first)
        self.total += rows.sizes.sum(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(self.sizes)

    @property
    def megabytes(self) -> float:
        """The size of the file."""
        return (self.scratch.folder / "rows").stat().st_size / 1e6

    def blocks(self) -> Iterator[Rows]:
        """Yield the blocks in order."""
        for block in range(len(self.sizes)):
            yield self._read([block])

    def blocks_of_buffer(self, memory: float) -> int:
        """Return how many blocks a buffer of a number of gigabytes holds."""
        bytes_per_row = OF_A_ROW + 4 * (int(self.total.sum()) / max(len(self), 1) + len(self.total))
        return max(int(max(memory, LEAST) * 1e9 / bytes_per_row / BLOCK), 1)

    def buffers(self, memory: float) -> Iterator[Rows]:
        """Yield the rows of an epoch in parts that fit into the memory; random numbers come from torch's generator.

        Args:
            memory: gigabytes of a part, at least 64 MB.
        """
        size = self.blocks_of_buffer(memory)
        if len(self.sizes) <= size:
            yield self._read(range(len(self.sizes)))
            return
        order = torch.randperm(len(self.sizes)).tolist()
        for first in range(0, len(order), size):
            yield self._read(order[first : first + size])

    def _read(self, blocks: Sequence[int]) -> Rows:
        sizes, numbers = [], []
        with (self.scratch.folder / "rows").open("rb", buffering=0) as file:
            for block in blocks:
                own = np.empty((self.sizes[block], len(self.total)), np.int32)
                read_into(file, 4 * self.places[block], own)
                found = np.empty(own.sum(dtype=np.int64), np.int32)
                read_into(file, 4 * (self.places[block] + own.size), found)
                sizes.append(own)
                numbers.append(found)
        return Rows(np.concatenate(sizes), np.concatenate(numbers))
