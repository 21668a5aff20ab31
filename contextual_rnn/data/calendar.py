"""Calendar inputs: where a time is in the day, week, month or year, as the sine and cosine of an angle.

angle = 2 pi position / period,  such as 2 pi hour / 24
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from ..errors import InputError
from .clock import DAY
from .table import Table
from .time import Times, concatenated

EPOCH = 719_163  # the ordinal of 1970-01-01
# Of each name: the share of its period that has passed at a time (a datetime column), and the period in microseconds.
# Steps of the rows must be shorter than the period.
PERIODS: dict[str, tuple[Callable[[pl.Expr], pl.Expr], int]] = {
    "hour": (lambda time: (time.dt.hour() + time.dt.minute() / 60) / 24, DAY),
    "weekday": (lambda time: (time.dt.weekday() - 1) / 7, 7 * DAY),
    "monthday": (lambda time: (time.dt.day() - 1) / time.dt.month_end().dt.day(), 28 * DAY),
    "week": (lambda time: (time.dt.week() - 1) / 53, 28 * DAY),
    "yearday": (lambda time: (time.dt.ordinal_day() - 1) / (365 + time.dt.is_leap_year().cast(pl.Int64)), 360 * DAY),
    "month": (lambda time: (time.dt.month() - 1) / 12, 360 * DAY),
}


def calendar_inputs(
    names: Sequence[str], table: Table, column: str | None, times: Times | None, series: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the calendar inputs of each series (T, 2C), float32: sine and cosine of each of C names.

    Args:
        names: of the inputs; see `PERIODS`.
        table: the table.
        column: the column of times.
        times: those of the table.
        series: (T,) the rows of each series, -1 where a row is absent.

    Raises:
        InputError: there is no column of times, its times are no dates, or an input would be the same in every row.
    """
    if times is None or column is None:
        raise InputError(
            f"`calendar` {' '.join(names)} is computed from the times of the rows, but no column of times is named; "
            "name it in `time`, or leave `calendar` out"
        )
    local = local_times(table, column)
    if times.size is None or local is None:
        raise InputError(
            f"{table.name}, column {column!r}: `calendar` needs dates, or dates with times; leave `calendar` out"
        )
    for name in names:
        if times.size >= PERIODS[name][1]:
            fitting = ", ".join(one for one, (_, period) in PERIODS.items() if times.size < period) or "none"
            raise InputError(
                f"`calendar` {name} does not suit {table.name}, whose frequency is {times.frequency}; names that do: "
                f"{fitting}"
            )
    return {name: _waves(names, _of_rows(local, times, table, column, rows)) for name, rows in series.items()}


def _of_rows(local: np.ndarray, times: Times, table: Table, column: str, rows: np.ndarray) -> np.ndarray:
    """Return the local times of rows; those of absent rows follow from the first row and the frequency."""
    found, absent = local[rows], np.flatnonzero(rows < 0)
    if len(absent):
        cells = times.write(times.index[rows[0]] + times.step * absent)
        found[absent] = local_times(table, column, cells)
    return found


def calendar_after(names: Sequence[str], times: Times, table: Table, column: str, row: int, steps: int) -> np.ndarray:
    """Return the calendar inputs of the steps that follow a row, (steps, 2C); see `calendar_inputs`."""
    local = local_times(table, column, times.after(row, steps))
    assert local is not None
    return _waves(names, local)


def _waves(names: Sequence[str], local: np.ndarray) -> np.ndarray:
    time = pl.col("time").cast(pl.Datetime("us"))
    shares = pl.DataFrame({"time": local}).select(PERIODS[name][0](time).alias(name) for name in names).to_numpy()
    angles = 2 * np.pi * shares
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(local), -1).astype(np.float32)


def local_times(table: Table, column: str, cells: pl.Series | None = None) -> np.ndarray | None:
    """Return the microseconds on the local clock of the rows of a table, or of further cells of its column of times.

    Weeks, months and quarters count from their first day. None if the times are no dates.
    """
    clock = concatenated(table, column, cells)
    if clock.local is not None:
        local = clock.local
    elif clock.unit == "week":
        local = (clock.index * 7 + 1 - EPOCH) * DAY
    elif clock.unit in ("month", "quarter"):
        months = clock.index - 1970 * 12 if clock.unit == "month" else 3 * (clock.index - 1970 * 4)
        local = months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    else:
        return None
    return local if cells is None else local[: len(cells)]
