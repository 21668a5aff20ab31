"""Seasons: a day of hours, a week of days, a year of months, by the frequency of the rows."""

from __future__ import annotations

import torch
from torch import Tensor

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
