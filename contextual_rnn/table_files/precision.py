"""Numbers that single precision, in which models compute, or double precision, in which tables are read, merges."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

SMALL = 100_000  # rows of which distinct numbers are counted
PIECE = 1 << 15  # rows that are converted at once
TOO_LARGE, TOO_SMALL = 1e19, 1e-18  # numbers and ranges whose squares single precision does not hold
LARGEST = 2.0**53  # the first integer that double precision does not tell from the next
FINITE = Decimal("1e300")
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
        largest, smallest = values.max(), values.min()
        if np.isnan(largest):  # rarely, since leaving out NaN takes longer
            largest, smallest = np.fmax.reduce(values), np.fmin.reduce(values)
        return bool(largest >= LARGEST or smallest <= -LARGEST)


def merged(cells: pl.Series) -> int | None:
    """Return the row of a number that double precision rounds, if it merges many of a column, or moves any by 0.0003.

    Many are a tenth of the distinct numbers, and 0.0003 is a share of the range.

    Args:
        cells: whole numbers, decimals, or texts; what is no number is left out.
    """
    rows = np.arange(len(cells))
    if len(rows) > SMALL:
        rows = np.random.default_rng(0).integers(len(rows), size=SMALL)
    numbers = [(int(row), exact(cell)) for row, cell in zip(rows, cells.gather(rows), strict=True)]
    found = [(row, value) for row, value in numbers if value is not None and abs(value) < FINITE]
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


def to_single(cells: pl.Series, found: np.ndarray) -> bool:
    """Write the numbers of a column to an array of float32; return whether all are known, and below 2^53.

    Pieces that fit into the cache are several times faster than the whole column.
    """
    if not cells.dtype.is_numeric() or cells.dtype.is_decimal() or cells.null_count():
        return False
    start = 0
    with np.errstate(over="ignore"):
        for chunk in cells.get_chunks():
            whole = chunk if chunk.dtype != pl.Float64 else chunk.to_numpy()  # which copies nothing
            for first in range(0, len(whole), PIECE):
                piece = whole[first : first + PIECE]
                values = piece if isinstance(piece, np.ndarray) else piece.cast(pl.Float64).to_numpy()
                if not (values.max() < LARGEST and values.min() > -LARGEST):  # NaN is neither
                    return False
                found[start : start + len(values)] = values
                start += len(values)
    return True


def sample(exact: pl.Series, single: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of a column, exactly and in single precision: all, or some rows drawn from many."""
    if len(single) <= SMALL:
        return exact.cast(pl.Float64).to_numpy(), single
    rows = np.random.default_rng(0).integers(len(single), size=SMALL)
    return exact.gather(rows).cast(pl.Float64).to_numpy(), single[rows]


def some(values: np.ndarray) -> np.ndarray:
    """Return all numbers, or some drawn from many."""
    return values if len(values) <= SMALL else np.random.default_rng(0).choice(values, SMALL)


def merges(exact: np.ndarray) -> bool:
    """Return whether single precision rounds numbers by 0.0003 of their range, or merges many of them.

    Many are a tenth of distinct integers, and half of other distinct numbers, whose last digits may be noise.
    """
    with np.errstate(over="ignore"):
        single = exact.astype(np.float32)
    if np.array_equal(exact, single):
        return False
    rounded = float(np.abs(exact - single).max()) if np.isfinite(single).all() else 0.0
    if rounded > ROUNDED * float(np.ptp(exact)) > 0:
        return True
    whole = bool((exact % 1 == 0).all())
    return len(np.unique(single)) < (0.9 if whole else 0.5) * len(np.unique(exact))
