"""Whether the rows of a table follow the states that they carry on from, by their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ...data.series import Series
from ...data.table import Table
from ...data.time import read_times_or_numbers
from ...errors import InputError

NEAR = 0.01  # of a step, which rounding may take


def ends_of(table: Table, series: Sequence[Series], keys: Sequence[str], time: str | None) -> dict[str, list[str]]:
    """Return the time of the last row of every series and the one that follows it, as text, by key.

    It is empty without a column of times, and if every series has a single row, so that no frequency is known.
    """
    times = series[0].times
    if time is None or times is None or not times.step:
        return {}
    lasts = {key: int(one.rows[-1]) for key, one in zip(keys, series, strict=True)}
    return {key: [str(table.frame[time][row]), str(times.after(row, 1)[0])] for key, row in lasts.items()}


def check_start(table: Table, series: Sequence[Series], keys: Sequence[str], start: Any, time: str | None) -> None:
    """Raise InputError if the first time of a series does not follow the end of the state that it carries on from.

    Series whose end is not known, or has another format, are not checked.
    """
    ends: Mapping[str, Sequence[str]] = getattr(start, "ends", {})
    for key, one in zip(keys, series, strict=True):
        if time is None or key not in ends:
            continue
        row = int(one.rows[0])
        last, following = ends[key]
        clock = read_times_or_numbers(pl.Series([last, following, str(table.frame[time][row])]))
        if clock is None:
            continue
        step = float(clock.index[1] - clock.index[0])
        late = float(clock.index[2] - clock.index[1]) / step
        if abs(late) > NEAR:
            raise InputError(
                f"{table.where(row, time)}: the rows begin at {table.frame[time][row]}, but the state in `start` ended "
                f"at {last}, so that {following} must follow; give the rows from {following} on, or leave `start` out"
            )
