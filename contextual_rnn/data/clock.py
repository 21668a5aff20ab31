"""Columns of times as whole numbers, and such numbers as cells of the column's own type and format.

A column holds dates, datetimes with or without a zone, durations, ISO weeks, months, quarters, or integers; decimal
numbers are in `decimal_clock`.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable

import numpy as np
import polars as pl

DAY = 86_400_000_000  # microseconds
EPOCH = datetime.date(1970, 1, 1).toordinal()
FIXED = {"week": 7 * DAY, "day": DAY, "hour": DAY // 24, "minute": 60_000_000, "second": 1_000_000, "millisecond": 1000}
WEEK, QUARTER, MONTH = r"^(\d{4})(-?W)(\d{2})$", r"^(\d{4})([- ]?Q)([1-4])$", r"^(\d{4})([-/])(\d{2})$"
COMPACT = {8: ("day", "%Y%m%d"), 6: ("month", "%Y%m")}  # digits of dates that are written as whole numbers
OFFSET = r"(:\d\d(?:\.\d+)?)( ?(?:Z|[+-]\d\d:?\d\d))$"
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y %m %d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
CLOCKS = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S%.f")
FORMATS = [f"{date}{gap}{clock}".strip() for date in DATES for clock in CLOCKS for gap in (" T" if clock else " ")]

Write = Callable[[np.ndarray], pl.Series]


@dataclasses.dataclass(frozen=True, eq=False)
class Clock:
    """The times of a column as whole numbers.

    Attributes:
        index: (rows,) the times, in units.
        unit: the name of the unit, such as month; for dates and times, microsecond.
        write: turns such numbers into cells of the column's own type and format.
        local: (rows,) microseconds on the local clock, for dates, times and periods.
        write_local: the same as `write`, for microseconds on the local clock.
        decimals: of decimal numbers, the numbers (rows,), and the digits after the point.
        unit_size: of decimal numbers, the size of the unit; a billionth if it is not the step.
    """

    index: np.ndarray
    unit: str
    write: Write
    local: np.ndarray | None = None
    write_local: Write | None = None
    decimals: tuple[np.ndarray, int] | None = None
    unit_size: float = 1e-9


def read_clock(cells: pl.Series) -> Clock | None:
    """Return the times of a column; None if a cell is missing or no time, or if day and month cannot be told apart."""
    if cells.dtype == pl.Object:
        cells = pl.Series(cells.name, [None if cell is None else str(cell) for cell in cells], dtype=pl.String)
    if cells.null_count() or not len(cells) or cells.dtype.is_nested():
        return None
    if cells.dtype == pl.String:
        return _periods(cells.str.strip_chars()) or _text(cells.str.strip_chars())
    if cells.dtype == pl.Date:
        index = cells.cast(pl.Int64).to_numpy() * DAY
        return _temporal(index, lambda times: _datetimes(times).cast(pl.Date))
    if cells.dtype == pl.Datetime:
        return _zoned(cells)
    if cells.dtype == pl.Duration:
        index = cells.dt.total_microseconds().to_numpy()
        return Clock(index, "microsecond", lambda times: pl.Series(times).cast(pl.Duration("us")))
    if cells.dtype.is_numeric():
        whole = cells.cast(pl.Int64, strict=False)
        exact = not whole.null_count() and bool((whole == cells).all())
        return _integers(whole, lambda found: found.cast(pl.Int64)) if exact else None
    return None


def _periods(cells: pl.Series) -> Clock | None:
    """Read integers and years, ISO weeks, months and quarters."""
    if re.fullmatch(r"[+-]?\d+", cells[0]):
        index = cells.cast(pl.Int64, strict=False)
        return None if index.null_count() else _integers(index, lambda found: found)
    for pattern, unit in ((WEEK, "week"), (QUARTER, "quarter"), (MONTH, "month")):
        if re.match(pattern, cells[0]) and cells.str.contains(pattern).all():
            year, number = (cells.str.extract(pattern, group).cast(pl.Int64).to_numpy() for group in (1, 3))
            between = str(cells.str.extract(pattern, 2)[0])
            return _weeks(year, number, between) if unit == "week" else _months(year, number, between, unit)
    return None


def _integers(index: pl.Series, written: Callable[[pl.Series], pl.Series]) -> Clock:
    """Read whole numbers: dates such as 20240131 and months such as 202401 if all are of the years 1900 to 2099."""
    text = index.cast(pl.String)
    unit, form = COMPACT.get(len(text[0]), ("", ""))
    if form and text.str.contains(r"^(19|20)\d+$").all() and (text.str.len_chars() == len(text[0])).all():
        dates = (text + "01" * (unit == "month")).str.to_date("%Y%m%d", strict=False)
        if not dates.null_count() and unit == "month":
            months = dates.dt.year() * 12 + dates.dt.month() - 1
            return Clock(months.cast(pl.Int64).to_numpy(), unit, lambda found: written(_compact_months(found)))
        if not dates.null_count():
            times = dates.cast(pl.Int64).to_numpy() * DAY
            return _temporal(times, lambda found: written(_datetimes(found).dt.strftime(form)))
    return Clock(index.to_numpy(), "integer", pl.Series)


def _compact_months(months: np.ndarray) -> pl.Series:
    return pl.Series([f"{int(n) // 12:04}{int(n) % 12 + 1:02}" for n in months])


def _weeks(year: np.ndarray, week: np.ndarray, between: str) -> Clock | None:
    try:
        days = [datetime.date.fromisocalendar(int(y), int(w), 1).toordinal() for y, w in zip(year, week, strict=True)]
    except ValueError:
        return None

    def write(weeks: np.ndarray) -> pl.Series:
        parts = [datetime.date.fromordinal(int(number) * 7 + 1).isocalendar() for number in weeks]
        return pl.Series([f"{part.year}{between}{part.week:02}" for part in parts])

    return Clock(np.array(days) // 7, "week", write, (np.array(days) - EPOCH) * DAY)


def _months(year: np.ndarray, number: np.ndarray, between: str, unit: str) -> Clock | None:
    a_year, digits = (4, 1) if unit == "quarter" else (12, 2)
    if not ((number >= 1) & (number <= a_year)).all():
        return None

    def write(periods: np.ndarray) -> pl.Series:
        return pl.Series([f"{int(n) // a_year:04}{between}{int(n) % a_year + 1:0{digits}}" for n in periods])

    index = year * a_year + number - 1
    months = (index * (12 // a_year) - 12 * 1970).astype("datetime64[M]")
    return Clock(index, unit, write, months.astype("datetime64[us]").astype(np.int64))


def _text(cells: pl.Series) -> Clock | None:
    """Read dates and times, with or without an offset from UTC."""
    bare, offsets = cells, cells.str.extract(OFFSET, 2)
    if offsets.null_count() not in (0, len(cells)):
        return None
    zoned = not offsets.null_count()
    if zoned:
        bare = cells.str.replace(OFFSET, "${1}")
    first = bare[:1]
    possible = [form for form in FORMATS if not first.str.to_datetime(form, strict=False, time_unit="us").null_count()]
    parsed = {form: bare.str.to_datetime(form, strict=False, time_unit="us") for form in possible}
    parsed = {form: times for form, times in parsed.items() if not times.null_count()}
    if not parsed:
        return None
    form, times = next(iter(parsed.items()))
    if not all(times.equals(other) for other in parsed.values()):
        return None  # day and month cannot be told apart
    local = times.cast(pl.Int64).to_numpy()
    if not zoned:
        return _temporal(local, lambda found: _datetimes(found).dt.strftime(form))
    seconds = np.array([_offset(cell) for cell in offsets])
    last, suffix = int(seconds[-1]), str(offsets[-1])

    def write_local(found: np.ndarray) -> pl.Series:
        return _datetimes(found).dt.strftime(form) + suffix

    return Clock(
        local - seconds, "microsecond", lambda found: write_local(np.asarray(found) + last), local, write_local
    )


def _offset(cell: str) -> int:
    """Return an offset from UTC, such as +01:00 or Z, in microseconds."""
    digits = re.sub(r"\D", "", cell)
    size = (int(digits[:2]) * 60 + int(digits[2:])) * FIXED["minute"] if digits else 0
    return -size if "-" in cell else size


def _zoned(cells: pl.Series) -> Clock:
    """Read a column of the type Datetime."""
    kind = cells.dtype
    zone = kind.time_zone if isinstance(kind, pl.Datetime) else None
    index = cells.dt.cast_time_unit("us").cast(pl.Int64).to_numpy()
    if zone is None:
        return _temporal(index, _datetimes)
    local = cells.dt.replace_time_zone(None).dt.cast_time_unit("us").cast(pl.Int64).to_numpy()

    def write(found: np.ndarray) -> pl.Series:
        return _datetimes(found).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)

    def write_local(found: np.ndarray) -> pl.Series:
        return _datetimes(found).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")

    return Clock(index, "microsecond", write, local, write_local)


def _temporal(index: np.ndarray, write: Write) -> Clock:
    return Clock(index, "microsecond", write, index, write)


def _datetimes(index: np.ndarray) -> pl.Series:
    return pl.Series(np.asarray(index, np.int64)).cast(pl.Datetime("us"))
