"""Times that are decimal numbers, such as seconds: as whole numbers of billionths, or of steps up to rounding."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from .clock import Clock

DECIMAL = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
BILLION = 10**9  # decimals beyond the ninth are rounding
LARGEST = 9e9  # whose billionths are 64-bit integers
ROUNDING = 1e-6  # of a step: how far times that were computed may lie apart from it
MOST_STEPS = 1e12  # between two rows


def read_decimals(cells: pl.Series) -> Clock | None:
    """Return decimal times as billionths; None if a cell is no finite decimal number, or too large."""
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
        if not cells.str.contains(f"^{DECIMAL}$").all():
            return None
    elif not cells.dtype.is_numeric():
        return None
    values = cells.cast(pl.Float64, strict=False)
    if not len(cells) or values.null_count() or not bool((values.abs() < LARGEST).all()):
        return None
    digits = _digits(cells) if cells.dtype == pl.String else 15
    numbers = values.to_numpy()
    index = np.rint(numbers * BILLION).astype(np.int64)
    return Clock(index, "decimal", lambda found: pl.Series(np.asarray(found) / BILLION), decimals=(numbers, digits))


def _digits(cells: pl.Series) -> int:
    """Return the position after the point of the last digit that texts of numbers have, exponents counted."""
    parts = cells.str.to_lowercase().str.split_exact("e", 1).struct.unnest()
    exponents = parts["field_1"].cast(pl.Int64).fill_null(0)
    digits = parts["field_0"].str.extract(r"\.(\d*)$").fill_null("").str.len_chars().cast(pl.Int64) - exponents
    return int((digits.min() if parts["field_1"].count() else digits.max()) or 0)  # type: ignore[arg-type]


def in_steps(clock: Clock, first: np.ndarray, second: np.ndarray) -> Clock | None:
    """Return decimal times as numbers of steps, which they follow up to rounding; None if they do not.

    Args:
        clock: of `read_decimals`.
        first, second: the rows before and after each step.
    """
    if clock.decimals is None or not len(first):
        return None
    values, digits = clock.decimals
    steps = values[second] - values[first]
    counts = np.rint(steps / max(float(np.median(steps)), 1e-300))
    if counts.min() < 1 or counts.max() > MOST_STEPS:
        return None
    step = float(steps.sum() / counts.sum())
    start = values[first[0]]
    for _ in range(2):  # the second time with the step and the start that fit all times best
        places = np.rint((values - start) / step)
        if np.ptp(places) < 1:
            return None
        slope, middle = np.polyfit(places, values - start - step * places, 1)
        step, start = step + float(slope), start + float(middle)
    # Text is rounded to its last digit, and each number to double precision.
    tolerance = max(0.99 * 10.0**-digits, ROUNDING * step, 8 * float(np.spacing(np.abs(values).max())))
    if tolerance > step / 2 or np.ptp(values - start - step * places) > tolerance:
        return None

    def write(found: np.ndarray) -> pl.Series:
        return pl.Series(start + step * np.asarray(found)).round(min(digits, 9))

    return dataclasses.replace(clock, index=places.astype(np.int64), write=write, unit_size=step)
