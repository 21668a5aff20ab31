"""Windows of series: the past that is read, and the horizon that is forecast."""

from __future__ import annotations

from collections.abc import Sequence

from ...data.series import Record
from ...errors import InputError
from .settings import ForecastSettings

HELD_OUT = 0.2  # the part of each training series, at its end, that is validated on where there is no validation table


def cut_windows(records: Sequence[Record], settings: ForecastSettings) -> list[Record]:
    """Cut records into windows of `past + horizon` steps whose horizons follow one another without overlap."""
    size = settings.past + settings.horizon
    return [
        record.part(start, start + size)
        for record in records
        for start in range(0, len(record) - size + 1, settings.horizon)
    ]


def hold_out_ends(training: Sequence[Record], size: int) -> tuple[list[Record], list[Record]]:
    """Split series in time: return their beginnings, to train on, and their ends, to validate on.

    An end is a fifth of its series, and at least `size` steps. Series shorter than 2 `size` are trained on whole.

    Args:
        training: the training series.
        size: the number of steps of a window.

    Raises:
        InputError: every series is too short to be split.
    """
    long = [record for record in training if len(record) >= 2 * size]
    if not long:
        longest = max(map(len, training))
        raise InputError(
            f"the longest training series has {longest} steps, but {2 * size} are needed: `past` and `horizon` take "
            f"{size} steps at its beginning, to train on, and at its end, to validate on; give a shorter `past` or "
            "`horizon`, or a `validation` table"
        )
    cuts = [len(record) - max(size, int(HELD_OUT * len(record))) for record in long]
    short = [record for record in training if len(record) < 2 * size]
    beginnings = [record.part(0, cut) for record, cut in zip(long, cuts, strict=True)]
    ends = [record.part(cut, len(record)) for record, cut in zip(long, cuts, strict=True)]
    return beginnings + short, ends
