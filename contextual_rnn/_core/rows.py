"""Select the rows of a context: tensors, arrays, lists, data columns, and tuples and dicts of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .state import rebuild


def map_columns(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply `function` to every part of a context that has rows; None stays None.

    The values of a dict are parts, and so are the items of a tuple such as a sequence and its lengths. A tuple of
    numbers or names is one part, with one row for every item.
    """
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: map_columns(function, part) for name, part in value.items()}
    if _is_tuple_of_columns(value):
        return rebuild(value, (map_columns(function, part) for part in value))
    return function(value)


def count_rows(value: Any) -> int | None:
    """Return the number of rows of the first part of a context; None if it has no parts."""
    counts: list[int] = []
    map_columns(lambda part: counts.append(_length(part)), value)
    return counts[0] if counts else None


def take_rows(column: Any, index: Tensor | slice) -> Any:
    """Return rows of one part of a context.

    Args:
        column: a tensor, a NumPy array, a list, a tuple of numbers or names, or a pandas or polars column.
        index: (N,) row numbers, or a slice.
    """
    if isinstance(column, Tensor):
        return column[index if isinstance(index, slice) else index.to(column.device)]
    if isinstance(column, np.ndarray):
        return column[index if isinstance(index, slice) else index.cpu().numpy()]
    numbers = range(len(column))[index] if isinstance(index, slice) else index.tolist()
    if isinstance(column, (list, tuple)):
        return type(column)(column[number] for number in numbers)
    return column.iloc[list(numbers)] if hasattr(column, "iloc") else column[list(numbers)]


def repeat_row(column: Any, count: int) -> Any:
    """Repeat the row of a part of a context with one row `count` times."""
    if isinstance(column, Tensor):
        return column.expand(count, *column.shape[1:])
    return take_rows(column, torch.zeros(count, dtype=torch.long))


def _length(column: Any) -> int:
    return column.shape[0] if isinstance(column, Tensor) else len(column)


def _is_tuple_of_columns(value: Any) -> bool:
    return isinstance(value, tuple) and (
        hasattr(value, "_fields")
        or any(not isinstance(item, (str, int, float, np.generic, type(None))) for item in value)
    )
