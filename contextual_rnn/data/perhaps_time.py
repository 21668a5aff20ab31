"""A column of numbers that may be the times of the rows, where no column is named for that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .decimal_clock import read_decimals
from .perhaps_series import LARGE, MOST_COLUMNS
from .table import Table

MOST_GAPS = 0.1  # of the steps of a column that may be a time


def perhaps_time(table: Table, named: Sequence[str], series: Sequence[np.ndarray]) -> list[str]:
    """Return a sentence on a column of numbers that nothing names, and that rises in equal steps except for gaps.

    Of large tables, columns are not read for this.

    Args:
        table: the table.
        named: its columns that have a role.
        series: the rows of each series.
    """
    usable = getattr(table.frame, "vectors", table.frame.columns)
    columns = [name for name in usable if name not in named]
    rows = [places for places in series if len(places) > 1]
    if not rows or len(table) > LARGE or len(columns) > MOST_COLUMNS:
        return []
    first, second = (np.concatenate([places[part] for places in rows]) for part in (slice(-1), slice(1, None)))
    for name in columns:
        if read_decimals(table.frame.first(name)) is None:
            continue
        clock = read_decimals(table.frame[name])
        absent = 0 if clock is None else _absent(clock.index[second] - clock.index[first])
        if absent:
            are = "row is" if absent == 1 else "rows are"
            return [
                f"If column {name!r} is the time of the rows, {absent} {are} absent, and the rows after a gap are read "
                f"as the next steps; give `time` {name} to check it, or `time` none if it is no time."
            ]
    return []


def _absent(steps: np.ndarray) -> int:
    """Return the number of steps that are left out between rows; 0 if the steps are not equal except for gaps."""
    step = float(np.median(steps))
    if steps.min() <= 0:
        return 0
    counts = np.rint(steps / step)
    is_regular = (np.abs(steps - counts * step) <= 1e-3 * step * counts).all() and counts.min() >= 1
    return int((counts - 1).sum()) if is_regular and (counts > 1).mean() <= MOST_GAPS else 0
