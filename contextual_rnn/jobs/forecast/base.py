"""The base of a forecast, to which the decoder adds: the last targets, those of one season ago, or a linear model."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError
from .settings import ForecastSettings

# The rows of a season, by the unit of the frequency, of which there are as many in a season.
SEASONS = {
    **{"second": 86400, "minute": 1440, "hour": 24},  # a day
    **{"day": 7, "business day": 5},  # a week
    **{"week": 52, "month": 12, "quarter": 4},  # a year
}


def season(frequency: str | None) -> int | None:
    """Return the rows of a season: a day of hours, a week of days, a year of months; None if there is none.

    Args:
        frequency: of the rows, in words, such as "1 hour".
    """
    if frequency is None:
        return None
    number, _, unit = frequency.partition(" ")
    rows = SEASONS.get(unit.removesuffix("s"))
    if rows is None or not number.isdigit() or rows % int(number) or rows == int(number):
        return None
    return rows // int(number)


def season_in_past(frequency: str | None, past: int) -> int | None:
    """Return the rows of a season if the past holds one, else None."""
    size = season(frequency)
    return size if size is not None and size <= past else None


def season_places(size: int, past: int, horizon: int) -> Tensor:
    """Return the steps of the past that the steps of the horizon repeat, (horizon,): those of the last season."""
    return past - size + torch.arange(horizon) % size


def with_bases(settings: ForecastSettings, frequency: str | None) -> list[ForecastSettings]:
    """Return the settings with each base that is possible; with the given one, if there is one.

    Raises:
        InputError: the base is seasonal, and the past of rows of a frequency holds no season.
    """
    there = season_in_past(frequency, settings.past) is not None
    if settings.base == "seasonal" and not there:
        needed = season(frequency)
        why = (
            f"a `past` of at least {needed} steps"
            if needed
            else "a column of times (`time`) with a season, such as hours"
        )
        raise InputError(f"`base` seasonal needs {why}")
    bases = [settings.base] if settings.base else ["last", *["seasonal"] * there, "linear"]
    return [settings.replace(base=base) for base in bases]


def base_in_words(settings: ForecastSettings, frequency: str | None) -> str:
    """Return a sentence that says the base."""
    base = settings.base or "last"
    what = {
        "last": "the last known targets",
        "seasonal": f"the targets of one season ago, {season(frequency)} rows",
        "linear": "the forecast of a linear model",
    }[base]
    return f"Forecasts start from {what} (base {base})."
