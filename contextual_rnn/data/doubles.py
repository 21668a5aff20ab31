"""Numbers that double precision, in which tables are read, does not tell apart, such as integers beyond 2^53."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

LARGEST = 2.0**53  # the first integer that double precision does not tell from the next
SOME = 100_000  # cells that are compared
ROUNDED = 3e-4  # of the range of a column, by which precision may round its numbers
REFUSED = (
    "double precision does not tell such numbers apart, since it has 53 bits; subtract a constant from the column, use "
    "a larger unit, or give `labels` if the numbers are names"
)


def exact(cell: Any) -> Decimal | None:
    """Return the number that a cell holds, without rounding; None if it holds no finite number."""
    try:
        found = Decimal(cell if isinstance(cell, (int, Decimal)) else str(cell).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def beyond(values: np.ndarray) -> bool:
    """Return whether an array has finite numbers beyond 2^53; NaN is left out."""
    if not values.size:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.fmax.reduce(values) >= LARGEST or np.fmin.reduce(values) <= -LARGEST)


def merged(cells: pl.Series) -> int | None:
    """Return the row of a number that double precision rounds, if it merges many of a column, or moves any by 0.0003.

    Many are a tenth of the distinct numbers, and 0.0003 is a share of the range.

    Args:
        cells: whole numbers, decimals, or texts; what is no number is left out.
    """
    rows = np.arange(len(cells))
    if len(rows) > SOME:
        rows = np.random.default_rng(0).integers(len(rows), size=SOME)
    numbers = [(int(row), exact(cell)) for row, cell in zip(rows, cells.gather(rows), strict=True)]
    found = [(row, value) for row, value in numbers if value is not None]
    if not found:
        return None
    middle = found[len(found) // 2][1]
    differences = np.array([float(value - middle) for _, value in found])
    rounded = np.array([float(value) - float(middle) for _, value in found])
    error = np.abs(differences - rounded)
    few = len(np.unique(rounded)) < 0.9 * len(np.unique(differences))
    if not few and error.max() <= ROUNDED * np.ptp(differences):
        return None
    return next(row for row, value in found if Decimal(float(value)) != value)
