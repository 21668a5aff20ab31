"""A quantity: one number, scaled."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .field import Field, numbers


class Quantity(Field):
    """A number, scaled from its range to [-1, 1]: 2 (x - low) / (high - low) - 1.

    `Quantity.standardised(values)` scales by the mean and deviation of training data instead: (x - mean) / deviation.

    Args:
        low: the least value there is, in the quantity's unit.
        high: the greatest.
        extrapolate: whether values outside the range are taken too, scaled in the same way.
        unknown: whether it may be not known; see `Field`. A row that is not is NaN.
        drop: see `Field`.

    Raises:
        ValueError: `low` is not less than `high`, or one of them is not finite.
    """

    def __init__(
        self, low: float, high: float, extrapolate: bool = False, unknown: bool = False, drop: float = 0.0
    ) -> None:
        super().__init__(1, unknown, drop)
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"a quantity's range must be two finite numbers, the lower first; found {low}, {high}")
        self.low, self.high, self.extrapolate = float(low), float(high), extrapolate

    @classmethod
    def standardised(cls, values: Any, unknown: bool = False, drop: float = 0.0) -> Quantity:
        """Return a quantity scaled by the mean and standard deviation of values from training; any value is taken.

        Values that are NaN are left out. Where all are alike, the deviation is taken to be 1.

        Raises:
            ValueError: no value is a number.
        """
        values = torch.as_tensor(values, dtype=torch.float64)
        values = values[~values.isnan()]
        if not len(values):
            raise ValueError("a quantity cannot be standardised from no values")
        varied = float(values.min()) < float(values.max())  # the deviation of equal numbers is not always 0
        mean, deviation = float(values.mean()), float(values.std(correction=0)) if varied else 1.0
        return cls(mean - deviation, mean + deviation, extrapolate=True, unknown=unknown, drop=drop)

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the numbers (B,), and which are not known."""
        tensor = torch.as_tensor(value)
        found, hidden = numbers(tensor[:, 0] if tensor.dim() == 2 and tensor.shape[1] == 1 else tensor, ())
        outside = ~hidden & ((found < self.low) | (found > self.high))
        if not self.extrapolate and outside.any():
            row = int(outside.nonzero()[0, 0])
            raise ValueError(
                f"row {row} is {float(found[row]):g}, outside the range {self.low:g} to {self.high:g}: "
                "extrapolate=True takes such values"
            )
        return found, hidden

    def encode(self, value: Tensor) -> Tensor:
        """Return the scaled numbers, (B, 1)."""
        return (2 * (value - self.low) / (self.high - self.low) - 1).unsqueeze(1)
