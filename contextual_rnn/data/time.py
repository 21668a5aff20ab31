"""The order and the frequency of rows by a column of times, and the times that follow.

Months, quarters and years are calendar steps, not a fixed number of days. Steps of zoned times are compared on the
local clock if all are whole days, and else in UTC.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from .._core.choices import listed
from ..errors import InputError
from .clock import DAY, FIXED, OFFSET, Clock, Write, read_clock
from .decimal_clock import in_steps, read_decimals
from .table import Table

NO_TIME = "none"  # the value of `time` for a table whose rows are in order
MOST_ABSENT = 20  # the largest number of steps per row of a table whose absent rows are filled
SIZES = {"microsecond": 1, "business day": DAY, "week": 7 * DAY, "month": 30 * DAY, "quarter": 91 * DAY}
MONTHS = {"year": 12, "quarter": 3}


@dataclasses.dataclass(frozen=True, eq=False)
class Times:
    """The times of a table whose series have one frequency.

    Attributes:
        index: (rows,) the time of each row, in units.
        step: the units between consecutive rows; 0 if every series has a single row.
        frequency: the step in words, such as "1 month".
        size: about how many microseconds a step has; None for integers.
        write: turns such numbers into cells of the column's own type and format.
        local: (rows,) microseconds on the local clock; None unless the column holds dates.
    """

    index: np.ndarray
    step: int
    frequency: str
    write: Write
    size: int | None = None
    local: np.ndarray | None = None

    def dates(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the times of rows of a series as datetime64, (T,); None if they are not dates.

        Those of absent rows (-1) lie at equal distances between the others.
        """
        if self.local is None:
            return None
        there = np.flatnonzero(rows >= 0)
        found = self.local[rows[there]]
        if len(there) < len(rows):
            found = np.interp(np.arange(len(rows)), there, found).astype(np.int64)
        return found.astype("datetime64[us]")

    def after(self, row: int, steps: int) -> pl.Series:
        """Return the cells of the `steps` times that follow a row.

        Raises:
            InputError: every series has a single row, so that the frequency is unknown.
        """
        if not self.step:
            raise InputError("the frequency of times cannot be inferred from series of one row; give two rows or more")
        return self.write(self.index[row] + self.step * np.arange(1, steps + 1))


def read_times(
    table: Table,
    name: str,
    series: Iterable[np.ndarray],
    gaps: str = "refuse",
    expected: str | None = None,
    *,
    is_named: bool = True,
) -> tuple[Times, list[np.ndarray]]:
    """Return the times of a column, and the rows of each series in the order of time.

    Args:
        table: the table.
        name: the column of times.
        series: the rows of each series.
        gaps: refuse absent rows, or (missing) return -1 in their places.
        expected: the frequency of other tables, which tells a day from a business day where the rows do not.
        is_named: whether `time` names the column, which errors tell to do otherwise.

    Raises:
        InputError: a cell is no time, a time occurs twice in a series, or rows are absent.
    """
    clock, series = clock_of(table, name), list(series)
    for rows in series:
        back = np.diff(clock.index[rows]) < 0
        if back.any():
            row = int(rows[int(back.argmax()) + 1])
            table.note(f"The rows of {table.name} are sorted by {name!r}, as {_place(table, row)} goes back in time.")
            break
    ordered = [rows[np.argsort(clock.index[rows], kind="stable")] for rows in series]
    first = np.concatenate([rows[:-1] for rows in ordered])
    second = np.concatenate([rows[1:] for rows in ordered])
    same = clock.index[first] == clock.index[second]
    if same.any():
        mend = "delete one of the rows"
        if getattr(table.files, "series", None) is None:
            mend += ", or name in `series` the column that tells series apart"
        pair = sorted((int(first[same.argmax()]), int(second[same.argmax()])))
        raise InputError(
            f"{table.where(pair[1], name)}: {table.frame[name][pair[1]]} is also the time of {_place(table, pair[0])}; "
            f"a time may occur once in a series: {mend}"
        )
    views = _views(clock, first, second, expected)
    found = [_times(view, first, second) for view in views]
    likely = sorted(found, key=lambda times: times.frequency != expected)
    for times in likely:
        if (times.index[second] - times.index[first] == times.step).all():
            return times, ordered
    for times in likely if gaps == "missing" else ():
        if ((times.index[second] - times.index[first]) % times.step == 0).all():
            return times, _with_absent(table, times, ordered)
    raise InputError(
        _several_frequencies(table, clock, ordered) or _irregular(table, name, likely[0], first, second, is_named)
    )


def check_frequency(times: Times | None, expected: str | None, table: str, is_trained: bool = True) -> None:
    """Raise InputError if the frequency of a table is not that of the training table; None stands for not known.

    Args:
        times: of the table.
        expected: the frequency of the training table.
        table: the name of the table.
        is_trained: whether a trained model reads it, so that the error names the model.
    """
    if times is None or not times.step or expected in (None, times.frequency):
        return
    if not is_trained:
        raise InputError(f"the frequency of `train` is {expected}, but that of {table} is {times.frequency}")
    raise InputError(
        f"the frequency of {table} is {times.frequency}, but the model was trained on rows with a frequency of "
        f"{expected}; give a table of that frequency"
    )


def _with_absent(table: Table, times: Times, series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the rows of each series, with -1 where a row is absent."""
    places = [(times.index[rows] - times.index[rows[0]]) // times.step for rows in series]
    steps = sum(int(place[-1]) + 1 for place in places)
    if steps > MOST_ABSENT * len(table):
        raise InputError(
            f"{table.name}: with a frequency of {times.frequency}, {steps - len(table)} rows are absent, and "
            f"{len(table)} are there; check the times, or call the parts of the table different series"
        )
    filled = []
    for place, rows in zip(places, series, strict=True):
        filled.append(np.full(int(place[-1]) + 1, -1))
        filled[-1][place] = rows
    return filled


def read_times_or_numbers(cells: pl.Series) -> Clock | None:
    """Return the times of a column that is named as such, which may be decimal numbers; None if it holds none."""
    return read_clock(cells) or read_decimals(cells)


def clock_of(table: Table, name: str) -> Clock:
    """Return the times of a column that is known to hold times; raise InputError if it does not."""
    cells = table.frame[name]
    clock = read_times_or_numbers(cells)
    if clock is not None:
        return clock
    for row, cell in enumerate(cells):
        alone = cells[row : row + 1]
        if cell is None or (read_times_or_numbers(alone) is None and not _is_ambiguous(alone)):
            shown = (
                "a time is missing"
                if cell is None or (isinstance(cell, str) and not cell.strip())
                else f"{cell!r} is not read as a time"
            )
            break
    else:
        row, shown = _several_formats(cells)
    raise InputError(
        f"{table.where(row, name)}: {shown}; write all times of the column in one format, such as 2024-12-31, "
        "2024-12-31 23:00:00+01:00, 2024-W52, 2024-12, 2024Q4, or numbers"
    )


def _several_formats(cells: pl.Series) -> tuple[int, str]:
    """Return the row at which, and the reason why, cells that are times one by one are none together."""
    low, high = 1, len(cells)  # the cells before `low` have one format, and those before `high` have not
    if read_times_or_numbers(cells[:1]) is None:
        return 0, f"day and month of {cells[0]!r} cannot be told apart"
    while low < high:
        middle = (low + high + 1) // 2
        if read_times_or_numbers(cells[:middle]) is None:
            high = middle - 1
        else:
            low = middle
    row = min(low, len(cells) - 1)
    if _is_ambiguous(cells[:1]) and _is_ambiguous(cells[row : row + 1]):
        return row, f"day and month of {cells[row]!r} cannot be told apart"
    return row, f"{cells[row]!r} has another format than {cells[0]!r} above it"


def clock_of_cells(cells: pl.Series, table: Table, name: str) -> np.ndarray:
    """Return the numbers of cells as the column of a table counts them.

    Raises:
        InputError: the cells have another format than the column.
    """
    if cells.dtype.is_numeric():
        column = table.frame[name]
        number = pl.Float64 if cells.dtype.is_float() or column.dtype.is_float() else pl.Int64
        if column.dtype == pl.String and read_clock(column) is None:
            number = pl.Float64
        numbers = column.cast(number, strict=False)
        clock = read_times_or_numbers(pl.concat([cells.cast(number), numbers]).rename(name))
        return cells.to_numpy() if clock is None else clock.index[: len(cells)]
    try:
        return concatenated(table, name, cells).index[: len(cells)]
    except InputError:
        raise InputError(f"{table.where(0, name)}: {_unlike(table.frame[name], cells)}") from None


def _unlike(column: pl.Series, cells: pl.Series) -> str:
    """Return why the times of a table cannot be compared with those that follow the past, and what would be right."""
    found, follows = column[0], cells[0]
    zones = [_has_zone(one) for one in (column, cells)]
    if zones[0] != zones[1]:
        has = "a time zone, but those of `past` have none" if zones[0] else "no time zone, but those of `past` have one"
        return f"the times, such as {found}, have {has}, such as {follows}; give both tables the zone, or neither"
    return f"{found!r} has another format than the times of `past`, such as {follows!r}; write both in one format"


def _has_zone(cells: pl.Series) -> bool:
    if cells.dtype == pl.String:
        return bool(cells[:1].str.contains(OFFSET)[0])
    return getattr(cells.dtype, "time_zone", None) is not None


def concatenated(table: Table, name: str, cells: pl.Series | None = None) -> Clock:
    """Return the times of further cells, and then those of a column, whose format tells day and month apart.

    Raises:
        InputError: the cells have another format than the column.
    """
    column = table.frame[name]
    if cells is None:
        return clock_of(table, name)
    clock = read_times_or_numbers(pl.concat([cells.cast(column.dtype), column])) if _alike(cells, column) else None
    if clock is None:
        raise InputError(f"{table.where(0, name)}: {column[0]!r} has another format than {cells[0]!r}")
    return clock


def _alike(cells: pl.Series, column: pl.Series) -> bool:
    zones = [getattr(one.dtype, "time_zone", None) is None for one in (cells, column)]
    return cells.dtype.base_type() == column.dtype.base_type() and zones[0] == zones[1]


def _views(clock: Clock, first: np.ndarray, second: np.ndarray, expected: str | None = None) -> list[Clock]:
    """Return the units in which the steps of a column may be regular; the first is named in errors."""
    views = [in_steps(clock, first, second) or clock]
    if clock.local is None or clock.write_local is None or not len(first):
        return views
    gaps = clock.local[second] - clock.local[first]
    if not np.array_equal(clock.local, clock.index):
        whole_days = bool((gaps % DAY == 0).all())
        views.insert(0 if whole_days else 1, dataclasses.replace(clock, index=clock.local, write=clock.write_local))
    business = bool(expected and "business" in expected)  # two days of one week do not show it
    calendar = _calendar_months(clock) if gaps.min() >= 28 * DAY else _business_days(clock, gaps, business)
    return [calendar, *views] if calendar else views


def _calendar_months(clock: Clock) -> Clock | None:
    """Count months, if every time is on the same day of a month, or on the last one."""
    local, write = clock.local, clock.write_local
    assert local is not None
    assert write is not None
    for shift in (0, DAY):
        months = (local + shift).astype("datetime64[us]").astype("datetime64[M]")
        within = local + shift - months.astype("datetime64[us]").astype(np.int64)
        if (within == within[0]).all() and (not shift or within[0] < DAY):
            moved = int(within[0]) - shift
            return Clock(
                months.astype(np.int64),
                "month",
                lambda found, moved=moved: write(_month_starts(found) + moved),  # type: ignore[misc]
                local,
            )
    return None


def _month_starts(months: np.ndarray) -> np.ndarray:
    return np.asarray(months).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)


def _business_days(clock: Clock, gaps: np.ndarray, expected: bool) -> Clock | None:
    """Count the days from Monday to Friday, if no time is on a weekend and most follow a day after another.

    If these days are not expected, a weekend must have been passed over.
    """
    local, write = clock.local, clock.write_local
    assert local is not None
    assert write is not None
    days, within = local // DAY + 3, local % DAY  # day 0 is a Monday
    weekend = bool((days % 7 > 4).any()) or (within != within[0]).any()
    if weekend or not (expected or (_most_common(gaps) == DAY and (gaps == 3 * DAY).any())):
        return None

    def back(found: np.ndarray) -> pl.Series:
        return write((found // 5 * 7 + found % 5 - 3) * DAY + within[0])

    return Clock(days // 7 * 5 + days % 7, "business day", back, local)


def _most_common(steps: np.ndarray) -> int:
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def _times(clock: Clock, first: np.ndarray, second: np.ndarray) -> Times:
    steps = clock.index[second] - clock.index[first]
    step = _most_common(steps) if len(steps) else 0
    size = step * SIZES[clock.unit] if clock.unit in SIZES else None
    words = _words(step, clock.unit) if clock.decimals is None else f"a step of {step * clock.unit_size:.6g}"
    return Times(clock.index, step, words, clock.write, size, clock.local)


def _words(step: int, unit: str) -> str:
    sizes = {"microsecond": FIXED, "month": MONTHS}.get(unit, {})
    name, size = next(((name, size) for name, size in sizes.items() if step and step % size == 0), (unit, 1))
    return f"{step // size} {name}{'s' * (step != size)}" if unit != "integer" else f"a step of {step}"


def _several_frequencies(table: Table, clock: Clock, series: Sequence[np.ndarray]) -> str:
    """Return the message of series that have frequencies of their own; empty unless two regular ones differ."""
    column = getattr(table.files, "series", None)
    regular: dict[str, str] = {}
    for rows in series:
        views = [_times(view, rows[:-1], rows[1:]) for view in _views(clock, rows[:-1], rows[1:])]
        own = [one for one in views if len(rows) > 2 and (np.diff(one.index[rows]) == one.step).all()]
        if own and column:
            regular.setdefault(own[0].frequency, f"series {str(table.frame[column][int(rows[0])])!r}")
    if len(regular) < 2:
        return ""
    (one, first), (other, second), *_ = regular.items()
    return (
        f"{table.name}: the frequency of {first} is {one}, and that of {second} is {other}; give series of one "
        "frequency alone"
    )


def _irregular(table: Table, name: str, times: Times, first: np.ndarray, second: np.ndarray, is_named: bool) -> str:
    """Return the message of times that are not equally spaced, with what mends them."""
    steps = times.index[second] - times.index[first]
    wrong = steps != times.step
    place = int(wrong.argmax())
    cells = table.frame[name]
    before, after = int(first[place]), int(second[place])
    between = f"{cells[before]} ({_place(table, before)}) and {cells[after]} ({_place(table, after)})"
    known = f"{table.name}, column {name!r}: the frequency is {times.frequency}"
    otherwise = f'give `time` "{NO_TIME}" to read the rows as they are, without times'
    if (steps % times.step == 0).all():
        absent = int((steps[wrong] // times.step - 1).sum())
        mends = [] if is_named else [f"`time` {name}"]
        mends += ["`gaps` missing", *(["`missing` hold"] if getattr(table.files, "missing", "") == "refuse" else [])]
        return (
            f"{known}, but rows are absent between {between}; {absent} row{'s are' if absent > 1 else ' is'} absent in "
            f"all; give {listed(mends)} to insert them and fill their values, or "
            + ("add them to the table" if is_named else otherwise)
        )
    return f"{known}, but {between} do not follow it; times must be equally spaced: correct them, or {otherwise}"


def _place(table: Table, row: int) -> str:
    return table.where(row).removeprefix(f"{table.name}, ")


def check_order(table: Table, unnamed: Sequence[str], series: Iterable[np.ndarray]) -> None:
    """Refuse a table whose rows are not consecutive by a column of times that nothing names.

    Numbers and columns that are constant in every series do not count as times.

    Raises:
        InputError: the times of such a column descend or repeat within a series, or rows are absent.
    """
    rows = [places for places in series if len(places) > 1]
    for name in unnamed if rows else ():
        if not may_be_time(table.frame.first(name)):
            continue
        clock = read_clock(table.frame[name])
        if clock is None or all((clock.index[places] == clock.index[places[0]]).all() for places in rows):
            continue
        end = f'give `time` {name} to sort the rows by it, or `time` "{NO_TIME}" if the rows are in order'
        for places in rows:
            wrong = np.diff(clock.index[places]) <= 0
            if wrong.any():
                row = int(places[int(wrong.argmax()) + 1])
                raise InputError(
                    f"{table.where(row, name)}: the rows are not in the order of the times in this column, as "
                    f"{table.frame[name][row]} follows {table.frame[name][int(places[wrong.argmax()])]}; {end}"
                )
        read_times(table, name, rows, is_named=False)


def may_be_time(cell: pl.Series) -> bool:
    """Return whether a column may hold times, by its first cell."""
    if cell.dtype.is_numeric() or cell.null_count():
        return False
    if cell.dtype == pl.String and re.fullmatch(r"\s*[+-]?[\d.]*\s*", cell[0]) and cell[0].count(".") < 2:
        return False
    return read_clock(cell) is not None or _is_ambiguous(cell)


def _is_ambiguous(cell: pl.Series) -> bool:
    return cell.dtype == pl.String and bool(re.match(r"\s*\d{1,2}/\d{1,2}/\d{4}", cell[0]))
