"""How the compiled loops lay out weights, inputs and gates in memory.

Legend: B batch, T time, D input features, H hidden units, N the sum of the batch sizes of all steps, `units` H rounded up
to whole registers (the padding is zero), P planes.

- `inputs` (N, units + 1 + D): the rows [h | 1 | x] of every step, where h is the state that the step starts from. One
  product with `weight` then gives all sums, biases included, and its transpose times the gradients all gradients of
  weights and biases.
- `gates` (N, P units): a block of every plane. Step t has `batch_sizes[t]` rows, in the order of a `PackedSequence`.
- `weight` (P units / lanes, units + 1 + D, lanes): a column of registers each, so that a product reads one stream.
- `weight_back` ((units + D rounded up) / lanes, P units, lanes): the same weights for the gradients of h and x.

The rows of `inputs` and `gates` are an odd number of cache lines apart: even ones would share few sets of the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .lanes import REGISTER_BYTES

LINE_BYTES = 64


class Cell(NamedTuple):
    """The planes of a cell: for each, the gate of `weight_ih` and of `weight_hh` that it sums, or -1."""

    of_input: np.ndarray
    of_hidden: np.ndarray
    saved: int  # planes that a step leaves, which may be more

    @property
    def planes(self) -> int:
        """The number of planes that are sums of products."""
        return len(self.of_input)


def _cell(of_input: list[int], of_hidden: list[int], saved: int) -> Cell:
    return Cell(np.array(of_input, np.int64), np.array(of_hidden, np.int64), saved)


CELLS = {
    "GRU": _cell([2, 0, 1, -1], [-1, 0, 1, 2], 4),  # n from x, r, z, n from h
    "LSTM": _cell([0, 1, 2, 3], [0, 1, 2, 3], 5),  # i, f, g, o, and tanh(c)
    "RNN": _cell([0], [0], 1),
}


class Shape(NamedTuple):
    """The sizes that a loop needs, in elements."""

    features: int
    hidden: int
    units: int
    input_stride: int
    gate_stride: int
    planes: int

    @classmethod
    def of(cls, cell: Cell, features: int, hidden: int, itemsize: int) -> Shape:
        """Return the sizes for a cell."""
        units = whole(hidden, itemsize)
        depth = units + 1 + features
        gates = max(cell.saved, cell.planes) * units
        return cls(features, hidden, units, _stride(depth, itemsize), _stride(gates, itemsize), cell.planes)


def whole(count: int, itemsize: int) -> int:
    """Round a count of elements up to whole registers."""
    lanes = REGISTER_BYTES // itemsize
    return -(-count // lanes) * lanes


def _stride(count: int, itemsize: int) -> int:
    lines = -(-count * itemsize // LINE_BYTES)
    return (lines + 1 - lines % 2) * LINE_BYTES // itemsize
