"""The memory layout of weights, inputs and gates in the compiled loops.

Legend: B batch, T time, D input features, H hidden units, N the sum of the batch sizes of all steps, P planes; `units`
is H rounded up to whole registers, and the padding is zero.

- `inputs` (N, units + 1 + D): the rows [h | 1 | x] of every step, where h is the state before the step, padded with
  zeros to a multiple of four. One product with `weight` gives all sums, biases included; the product of its transpose
  with the gradients of the sums gives the gradients of all weights and biases.
- `gates` (N, P units): one block for every plane. Step t has `batch_sizes[t]` rows, in the order of a `PackedSequence`.
- `weight` (P units / lanes, units + 1 + D, lanes): one column of registers after the other, so that a product reads
  memory sequentially.
- `weight_back` ((units + D rounded up) / lanes, P units, lanes): the same weights for the gradients of h and x.

The stride of the rows of `inputs` and `gates` is an odd number of cache lines, because with an even number the rows
would share few sets of the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .lanes import REGISTER_BYTES

LINE_BYTES = 64


class Cell(NamedTuple):
    """The planes of a cell.

    Attributes:
        number: the number of the cell in the loops.
        planes: (P, 2), for each plane that is a sum of products, the index of its gate in `weight_ih` and in
            `weight_hh`; -1 if it has none.
        saved: the number of planes that a step stores for the backward pass.
        groups: groups of planes that sum the same columns of `inputs`: (first plane, number of planes, first block, end
            of the blocks). The blocks of columns are h, 1 and x.
    """

    number: int
    planes: np.ndarray
    saved: int
    groups: tuple[tuple[int, int, int, int], ...]


def _cell(
    number: int, of_input: list[int], of_hidden: list[int], saved: int, *groups: tuple[int, int, int, int]
) -> Cell:
    return Cell(number, np.array([of_input, of_hidden], np.int64).T.copy(), saved, groups)


CELLS = {
    # n from x; r and z; n from h
    "GRU": _cell(0, [2, 0, 1, -1], [-1, 0, 1, 2], 4, (0, 1, 1, 3), (1, 2, 0, 3), (3, 1, 0, 2)),
    # i, f, g, o; a step also stores tanh(c)
    "LSTM": _cell(1, [0, 1, 2, 3], [0, 1, 2, 3], 5, (0, 4, 0, 3)),
    "RNN_TANH": _cell(2, [0], [0], 1, (0, 1, 0, 3)),
    "RNN_RELU": _cell(3, [0], [0], 1, (0, 1, 0, 3)),
}


class Shape(NamedTuple):
    """The sizes that a loop needs, in elements.

    The sums of planes `h_first` to `h_last` include h; those of the first `x_last` planes include x.
    """

    features: int
    hidden: int
    units: int
    input_stride: int
    gate_stride: int
    lanes: int
    h_first: int
    h_last: int
    x_last: int

    @classmethod
    def of(cls, cell: Cell, features: int, hidden: int, itemsize: int) -> Shape:
        """Return the sizes for a cell."""
        units = whole(hidden, itemsize)
        strides = _stride(units + 1 + features, itemsize), _stride(cell.saved * units, itemsize)
        with_x, with_h = (np.flatnonzero(gates >= 0) for gates in cell.planes.T)
        ends = int(with_h[0]), int(with_h[-1]) + 1, int(with_x[-1]) + 1
        return cls(features, hidden, units, *strides, REGISTER_BYTES // itemsize, *ends)

    @property
    def depth(self) -> int:
        """The number of columns of `inputs`."""
        return self.units + 1 + self.features

    def groups(self, cell: Cell) -> np.ndarray:
        """Return the cell's groups (G, 4), in columns of `inputs`."""
        column = (0, self.units, self.units + 1, self.depth)
        return np.array([(plane, planes, column[a], column[b]) for plane, planes, a, b in cell.groups], np.int64)


def whole(count: int, itemsize: int) -> int:
    """Round a number of elements up to whole registers."""
    lanes = REGISTER_BYTES // itemsize
    return -(-count // lanes) * lanes


def _stride(count: int, itemsize: int) -> int:
    lines = -(-count * itemsize // LINE_BYTES)
    return (lines + 1 - lines % 2) * LINE_BYTES // itemsize
