"""Series that are too short: what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

from .._core.counted import counted
from ..errors import InputError
from .columns import TargetSettings


def too_short(table: str, series: str, steps: int, least: int, columns: TargetSettings) -> InputError:
    """Return the error of a series of `steps` steps where at least `least` are needed."""
    past, window = getattr(columns, "past", 0), getattr(columns, "window", 0)
    twice = 2 * (past + getattr(columns, "horizon", 0))
    horizon = getattr(columns, "horizon", 0) if least > past + 1 else 0
    sizes = {"window": window, "past": past, "horizon": horizon}
    known = [f"`{size}` is {value}" for size, value in sizes.items() if value and least > past]
    why = f", since {' and '.join(known)}" if known else ""
    mend = "; give longer series, or leave this one out"
    what = table if columns.series is None and not columns.series_from_file else f"{table}: series {series!r}"
    mend = "; give a longer table" if what == table else mend
    if past and horizon:
        mend = f"; begin each series with the {past} rows before those to forecast: they are read, not scored"
    elif past and least == past + 1:  # of a training table
        return InputError(
            f"{what} has {counted(steps, 'step')}, but one series must have at least {twice} "
            "(twice the sum of `past` and `horizon`); give longer series, a smaller `past` or `horizon`, or a "
            f"`validation` table, with which {least} steps are enough"
        )
    elif window:
        most = steps - least + window
        longer = mend.removesuffix(", or leave this one out")
        mend = f"{longer}, or train with a `window` of at most {most}" if most > 0 else longer
    return InputError(f"{what} has {counted(steps, 'step')}, but at least {least} are needed{why}{mend}")


def left_out_in_words(table: str, names: Sequence[str], least: int) -> list[str]:
    """Return a sentence that says which series of a table are too short."""
    which = f"{len(names)} series of `{table}` are" if len(names) > 1 else f"1 series of `{table}` is"
    return [f"{which} left out, with fewer than {counted(least, 'step')}: {first_names(names)}."]


def first_names(names: Sequence[str]) -> str:
    """Return the first five names, and the number of the others."""
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
