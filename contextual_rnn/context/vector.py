"""Vectors: as they are, or the opening of the sequence itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .field import Field, numbers


class Vector(Field):
    """A vector of numbers, as it is.

    Args:
        size: how many numbers.
        unknown: whether it may be not known; see `Field`. A row that is not holds NaN.
        drop: see `Field`.
    """

    def __init__(self, size: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__(size, unknown, drop)
        self.shape: tuple[int, ...] = (size,)

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the numbers (B, *shape), and which rows are not known."""
        return numbers(value, self.shape)

    def encode(self, value: Tensor) -> Tensor:
        """Return the numbers in one row, (B, F)."""
        return value.flatten(1)


class Opened(NamedTuple):
    """A sequence whose opening was cut off; time and batch are where they were.

    Attributes:
        opening: the first k steps of x, joined with those of y where there is one, batch first: (B, k, D).
        x: the rest of the inputs.
        y: the rest of the targets, or None.
        lengths: how many steps each row has left (B,), or None.
    """

    opening: Tensor
    x: Tensor
    y: Tensor | None
    lengths: Tensor | None


class Window(Vector):
    """The first k steps of the sequence.

    Args:
        steps: k.
        features: D, how many numbers a step has: inputs, and targets where those are known too.
        unknown: whether it may be not known; see `Field`. A row that is not holds NaN.
        drop: see `Field`.
    """

    def __init__(self, steps: int, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__(steps * features, unknown, drop)
        self.shape = (steps, features)

    def take(
        self, x: Tensor, y: Tensor | None = None, lengths: Tensor | None = None, batch_first: bool = True
    ) -> Opened:
        """Cut the opening off a batch of sequences: what is context is then no part of the sequence.

        Args:
            x: (B, T, D), or (T, B, D) where not `batch_first`.
            y: targets laid out alike, which are known in the opening too, or None.
            lengths: (B,) the steps of each row.
            batch_first: where the batch is.

        Raises:
            ValueError: a row has fewer than k steps, or none would be left of any.
        """
        steps, time = self.shape[0], 1 if batch_first else 0
        known = x if y is None else torch.cat([x, y], dim=2)
        if known.shape[2] != self.shape[1]:
            raise ValueError(f"a step has {known.shape[2]} numbers where the window has features={self.shape[1]}")
        if x.shape[time] <= steps:
            raise ValueError(f"sequences of {x.shape[time]} steps have nothing left after a window of {steps}")
        if lengths is not None and (lengths < steps).any():
            row = int((lengths < steps).nonzero()[0, 0])
            raise ValueError(f"row {row} has {int(lengths[row])} steps, fewer than the window's {steps}")
        opening, after = known.narrow(time, 0, steps), slice(steps, None)
        place = (slice(None), after) if batch_first else after
        left = None if lengths is None else lengths - steps
        opening = opening if batch_first else opening.transpose(0, 1)
        return Opened(opening, x[place], None if y is None else y[place], left)


class Element(Window):
    """The first element of the sequence: a window of one step, (B, D) or (B, 1, D).

    Args:
        features: D.
        unknown: whether it may be not known; see `Field`. A row that is not holds NaN.
        drop: see `Field`.
    """

    def __init__(self, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__(1, features, unknown, drop)

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the element (B, 1, D), and which rows are not known."""
        tensor = torch.as_tensor(value)
        return super().check(tensor.unsqueeze(1) if tensor.dim() == 2 else tensor)
