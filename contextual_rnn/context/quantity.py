"""A field for quantities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._core.arrays import as_tensor
from .._core.tracing import shapes_are_traced, values_are_known
from .field import Field, check_finite, without_nan


class Quantity(Field):
    """A number, scaled from its range to [-1, 1]: 2 (x - low) / (high - low) - 1.

    Alternatively, the number is standardised by the mean and standard deviation of training data, (x - mean) /
    deviation; `Quantity.standardised(values)` computes these. Integers, numbers in double precision and all numbers to
    be standardised are scaled in double precision before they are converted to the dtype of the field.

    Args:
        low: the smallest value, in the unit of the quantity.
        high: the largest value.
        extrapolate: whether values outside the range are accepted and scaled in the same way.
        unknown: whether it may be unknown; an unknown row is NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.
        mean: the mean of the training values, given instead of a range; values are then not restricted.
        deviation: the standard deviation of the training values, given together with `mean`.
        observed: the smallest and the largest training value, which `is_outside` compares with; values are not
            restricted by them.

    Raises:
        ValueError: neither a range nor a mean and a deviation is given, or both are; or they are not finite, `low` is
            not less than `high`, or the deviation is not positive.
    """

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        extrapolate: bool = False,
        unknown: bool = False,
        drop: float = 0.0,
        *,
        mean: float | None = None,
        deviation: float | None = None,
        observed: Sequence[float] | None = None,
    ) -> None:
        super().__init__(1, unknown, drop)
        self.low, self.high, self.extrapolate = _float(low), _float(high), extrapolate
        self.mean, self.deviation = _float(mean), _float(deviation)
        self.observed = None if observed is None else (float(observed[0]), float(observed[1]))
        if self.mean is None and self.deviation is None and self.low is not None and self.high is not None:
            if not -math.inf < self.low < self.high < math.inf:
                raise ValueError(f"low and high must be finite, and low less than high; found {low} and {high}")
        elif self.low is not None or self.high is not None or self.mean is None or self.deviation is None:
            raise ValueError("a quantity needs low and high, or mean and deviation, such as Quantity(0.5, 4.5)")
        elif not (math.isfinite(self.mean) and 0 < self.deviation < math.inf):
            raise ValueError(
                f"mean and deviation must be finite, and the deviation positive; found {mean} and {deviation}"
            )

    @classmethod
    def standardised(cls, values: Any, unknown: bool = False, drop: float = 0.0) -> Quantity:
        """Return a quantity that is standardised by the mean and standard deviation of training values.

        NaN values are ignored. If all values are equal, the deviation is set to 1.

        Raises:
            ValueError: there is no value, or one is infinite.
        """
        array = as_tensor(values).detach().to("cpu", torch.float64).flatten().numpy()
        array = array[~np.isnan(array)]
        if not array.size:
            raise ValueError("a quantity cannot be standardised without values")
        if not np.isfinite(array).all():
            raise ValueError("a quantity cannot be standardised by values that are infinite")
        varied = array.min() < array.max()  # the deviation of equal numbers is not always 0
        deviation = float(np.std(array)) if varied else 1.0
        return cls(mean=float(np.mean(array)), deviation=deviation, unknown=unknown, drop=drop)

    def is_outside(self, value: float) -> bool:
        """Return whether a number is less than the smallest or greater than the largest training value, if known."""
        return self.observed is not None and not self.observed[0] <= value <= self.observed[1]

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the scaled numbers (B,), and a mask (B,) of the unknown rows."""
        tensor = as_tensor(value)
        is_column = tensor.dim() == 2 and (shapes_are_traced() or tensor.shape[1] == 1)
        tensor, missing = without_nan(tensor[:, 0] if is_column else tensor, ())
        if tensor.is_floating_point():
            check_finite(tensor)
        self._check_range(tensor, missing)
        scaled = self._scale(tensor).to(self._placement)
        check_finite(scaled)
        return scaled, missing

    def encode(self, value: Tensor) -> Tensor:
        """Return the scaled numbers, (B, 1)."""
        return value.unsqueeze(1)

    def _check_range(self, tensor: Tensor, missing: Tensor) -> None:
        if self.extrapolate or self.low is None or self.high is None or not values_are_known():
            return
        outside = ~missing & ((tensor < self.low) | (tensor > self.high))
        if outside.any():
            row = int(outside.nonzero()[0, 0])
            raise ValueError(
                f"row {row} is {float(tensor[row]):g}, outside the range {self.low:g} to {self.high:g}: "
                "extrapolate=True accepts such values"
            )

    def _scale(self, tensor: Tensor) -> Tensor:
        if tensor.device.type == "mps":  # has no double precision
            tensor = tensor.cpu()
        if self.low is not None and self.high is not None:
            if not tensor.is_floating_point():
                tensor = tensor.double()
            elif tensor.dtype != torch.float64:
                tensor = tensor.to(torch.promote_types(self._placement.dtype, torch.float32))
            return 2 * (tensor - self.low) / (self.high - self.low) - 1
        assert self.mean is not None
        assert self.deviation is not None
        return (tensor.double() - self.mean) / self.deviation


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
