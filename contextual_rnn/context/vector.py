"""Fields for vectors: as they are, or the first steps of the sequence itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._core.arrays import as_tensor
from .._core.counted import counted
from .._core.tracing import values_are_known
from .field import Field


class Vector(Field):
    """A vector of numbers, unchanged.

    Args:
        size: F, the number of numbers.
        unknown: whether it may be unknown; an unknown row contains NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.
    """

    def __init__(self, size: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__(size, unknown, drop)
        self.shape: tuple[int, ...] = (size,)

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the numbers (B, *shape), and a mask (B,) of the unknown rows."""
        return self.numbers(value, self.shape)

    def encode(self, value: Tensor) -> Tensor:
        """Return the numbers of each row, (B, F)."""
        return value.flatten(1)


class Opened(NamedTuple):
    """A sequence without its first steps. `x` and `y` keep the layout of the input (batch first or time first).

    Attributes:
        opening: the first k steps of x, concatenated with those of y if y is given, batch first: (B, k, D).
        x: the remaining inputs.
        y: the remaining targets, or None.
        lengths: (B,) the number of remaining steps of each row, or None.
    """

    opening: Tensor
    x: Tensor
    y: Tensor | None
    lengths: Tensor | None


class Window(Vector):
    """The first k steps of the sequence.

    Args:
        steps: k.
        features: D, the number of features of a step: its inputs, and its targets if those are known too.
        unknown: whether it may be unknown; an unknown row contains NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.
    """

    def __init__(self, steps: int, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__(steps * features, unknown, drop)
        self.shape = (steps, features)

    def take(
        self, x: Tensor, y: Tensor | None = None, lengths: Tensor | None = None, batch_first: bool = True
    ) -> Opened:
        """Split the first k steps from a batch of sequences, so that the context is not part of the sequence.

        Args:
            x: (B, T, D), or (T, B, D) if `batch_first` is False.
            y: the targets in the same layout, if those of the first k steps are known; else None.
            lengths: (B,) the number of steps of each row.
            batch_first: whether the batch is the first dimension.

        Raises:
            ValueError: a row has fewer than k steps, or no row has more.
        """
        steps, time = self.shape[0], 1 if batch_first else 0
        known = x if y is None else torch.cat([x, y], dim=2)
        if known.shape[2] != self.shape[1]:
            raise ValueError(f"a step has {known.shape[2]} features; the window was made for {self.shape[1]}")
        if x.shape[time] <= steps:
            raise ValueError(f"sequences must have more steps than the window, {steps}; found {x.shape[time]}")
        if lengths is not None and values_are_known() and (lengths < steps).any():
            row = int((lengths < steps).nonzero()[0, 0])
            raise ValueError(f"row {row} has {counted(int(lengths[row]), 'step')}, fewer than the window's {steps}")
        opening, after = known.narrow(time, 0, steps), slice(steps, None)
        place = (slice(None), after) if batch_first else after
        left = None if lengths is None else lengths - steps
        opening = opening if batch_first else opening.transpose(0, 1)
        return Opened(opening, x[place], None if y is None else y[place], left)


class Element(Window):
    """The first element of the sequence: a window of one step, (B, D) or (B, 1, D).

    It is not cut off the sequence unless you call `take`, which returns the context and the rest.

    Args:
        features: D.
        unknown: whether it may be unknown; an unknown row contains NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.
    """

    def __init__(self, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__(1, features, unknown, drop)

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the element (B, 1, D), and a mask (B,) of the unknown rows."""
        tensor = as_tensor(value)
        return super().check(tensor.unsqueeze(1) if tensor.dim() == 2 else tensor)
