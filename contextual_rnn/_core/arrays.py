"""Arrays: numbers as tensors, in the dtype and on the device of the layer that reads them, and rows of series."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .tracing import shapes_are_traced


def as_tensor(value: Any) -> Tensor:
    """Return numbers as a tensor; a tensor is returned as it is.

    Args:
        value: a tensor, a NumPy array, a list, or any object with `to_numpy()`, such as a series or a frame of pandas
            or polars. Missing values (None, `pandas.NA`) become NaN.

    Raises:
        ValueError: the value is not numeric.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
        return torch.stack([as_tensor(item) for item in value])
    try:
        array = np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)
        if array.dtype == object:
            numbers = [math.nan if is_missing(item) else float(item) for item in array.flat]
            array = np.array(numbers).reshape(array.shape)
        return torch.tensor(array)  # copied, because an array may be read-only
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"expected numbers, found {_shown(value)}") from None


def is_missing(value: Any) -> bool:
    """Return whether a value is a missing value: None, NaN or `pandas.NA`."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ == "NAType"


def linear_input(value: Any, features: int, like: Tensor | None) -> Tensor:
    """Return the input of a linear layer, (..., D), in the dtype and on the device of `like`.

    Args:
        value: any value that `as_tensor` accepts; if D is 1, one number for each row, (B,), becomes a column (B, 1).
        features: D.
        like: a parameter of the layer, or None.

    Raises:
        ValueError: the value is not real numbers of that shape.
    """
    wanted = f"a tensor of real numbers (batch, {features})"
    try:
        found = as_tensor(value)
    except ValueError:
        raise ValueError(f"the context must be {wanted}; found {_shown(value)}") from None
    if features == 1 and found.dim() == 1:
        found = found.unsqueeze(1)
    fits = found.is_floating_point() and found.dim() >= 1
    if not fits or (not shapes_are_traced() and found.shape[-1] != features):
        kind = str(found.dtype).removeprefix("torch.")
        raise ValueError(f"the context must be {wanted}; found {kind} of shape {tuple(found.shape)}")
    return found if like is None else found.to(like)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"a {type(value).__name__}"


def is_first(series: Iterable[np.ndarray], count: int, size: int) -> np.ndarray:
    """Return which of the rows (size,) of a table are among the first `count` steps of a series."""
    found = np.ones(size, bool)  # rows that no series has
    for places in series:
        found[places[count:][places[count:] >= 0]] = False
    return found


def values_at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the values (T, F) of rows; those of absent rows are missing. Rows that lie together are not copied."""
    first, size = (int(rows[0]), len(rows)) if len(rows) else (-1, 0)
    if first >= 0 and rows[-1] - first == size - 1 and bool((rows[1:] > rows[:-1]).all()):
        return values[first : first + size]
    found = values[rows]
    found[rows < 0] = np.nan
    return found
