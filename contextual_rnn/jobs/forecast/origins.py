"""Where in a season forecasts start: with steps of a whole season from one to the next, all at the same place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..._core.records import Record
from ...data.clock import DAY
from ...data.season import season
from .settings import ForecastSettings

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def origins_in_words(
    windows: Sequence[Record], settings: ForecastSettings, frequency: str | None, of_test: bool
) -> list[str]:
    """Return a sentence if forecasts do not start at every place of a season; none if they do, or without a season.

    Args:
        windows: that start `stride` steps apart, or `horizon` on a validation table.
        settings: of the model.
        frequency: of the rows, in words.
        of_test: whether `stride` applies to these windows.
    """
    size, places = season(frequency), _places(windows, settings.past, frequency)
    stride = (of_test and settings.stride) or settings.horizon
    if size is None or len(windows) < 2 or len(places) in (0, size) or math.gcd(stride, size) == 1:
        return []
    start = places[0] if len(places) == 1 else f"at {len(places)} of the {size} places of a season"
    coprime = next(one for one in range(stride, stride + size + 1) if math.gcd(one, size) == 1)
    mend = f" Give `stride` {coprime} to start at every place." if of_test else ""
    return [
        f"All forecasts start {start} ({stride} rows apart, in seasons of {size} rows), so errors by step of the "
        f"horizon, such as the last-step RMSE, hold for that start alone.{mend}"
    ]


def _places(windows: Sequence[Record], past: int, frequency: str | None) -> list[str]:
    """Return the places of a season, in words, that the first steps of horizons have; none without times."""
    unit = (frequency or "").partition(" ")[2].removesuffix("s")
    if any(window.times is None for window in windows):
        return []
    starts = np.array([window.times[past] for window in windows], "datetime64[us]")  # type: ignore[index]
    return sorted({_in_words(int(start), unit) for start in starts.astype(np.int64)})


def _in_words(start: int, unit: str) -> str:
    """Return the place of a time, in microseconds, in a season of rows of a unit; see `season.SEASONS`."""
    if unit in ("day", "business day"):
        return f"on a {WEEKDAYS[(start // DAY + 3) % 7]}"
    if unit in ("month", "quarter"):
        return f"in {MONTHS[int(np.int64(start).astype('datetime64[us]').astype('datetime64[M]').astype(int)) % 12]}"
    if unit == "week":
        return f"in week {int(start // (7 * DAY)) % 52 + 1} of 52"
    time = str(np.int64(start).astype("datetime64[us]").astype("datetime64[s]"))[11:]
    return f"at {time.removesuffix(':00')}"
