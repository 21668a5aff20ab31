"""Series that are too short: what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from .columns import TargetSettings


def too_short(table: str, series: str, steps: int, least: int, columns: TargetSettings) -> InputError:
    """Return the error of a series of `steps` steps where at least `least` are needed."""
    past = getattr(columns, "past", 0)
    horizon = getattr(columns, "horizon", 0) if least > past + 1 else 0
    sizes = {"window": getattr(columns, "window", 0), "past": past, "horizon": horizon}
    known = [f"`{size}` is {value}" for size, value in sizes.items() if value and least > past]
    why = f", since {' and '.join(known)}" if known else ""
    begin = f"; begin each series with the {past} rows before those to forecast: they are read, not scored"
    return InputError(
        f"{table}: series {series!r} has {steps} step{'s' * (steps != 1)}, but at least {least} are needed{why}"
        f"{begin if past and horizon else ''}"
    )


def left_out_in_words(table: str, names: Sequence[str], least: int) -> list[str]:
    """Return a sentence that says which series of a table are too short."""
    counted = f"{len(names)} series of `{table}` are" if len(names) > 1 else f"1 series of `{table}` is"
    return [f"{counted} left out, with fewer than {least} steps: {first_names(names)}."]


def first_names(names: Sequence[str]) -> str:
    """Return the first five names, and the number of the others."""
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
