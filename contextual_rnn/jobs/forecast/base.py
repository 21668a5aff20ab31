"""The base of a forecast, to which the decoder adds: the last known targets, or those of one season ago."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...data.series import Record
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


def with_base(settings: ForecastSettings, training: Sequence[Record], frequency: str | None) -> ForecastSettings:
    """Return the settings with `base`; if none is given, choose it.

    It is seasonal if the past holds a season, and over all windows of the training series, the targets of the horizon
    are nearer to those of one season ago than to the last ones of the past. Otherwise, it is last.

    Args:
        settings: of the model.
        training: the training series.
        frequency: of their rows, in words.

    Raises:
        InputError: the base is seasonal, and the past holds no season.
    """
    size = season_in_past(frequency, settings.past)
    if settings.base == "seasonal" and size is None:
        needed = season(frequency)
        why = (
            f"a `past` of at least {needed} steps"
            if needed
            else "a column of times (`time`) with a season, such as hours"
        )
        raise InputError(f"`base` seasonal needs {why}")
    if settings.base is not None:
        return settings
    return settings.replace(base="seasonal" if size and _season_is_nearer(training, settings, size) else "last")


def base_in_words(settings: ForecastSettings, given: str | None, frequency: str | None) -> str:
    """Return a sentence that says the base, and why it was chosen if it was not given."""
    if settings.base == "seasonal":
        why = "" if given else ", because these are nearer in the training series than the last known targets"
        return f"Forecasts start from the targets of one season ago, {season(frequency)} rows (base seasonal){why}."
    return "Forecasts start from the last known targets (base last)."


def _season_is_nearer(training: Sequence[Record], settings: ForecastSettings, size: int) -> bool:
    """Return whether the targets one season ago are nearer than the last ones, where both are known."""
    errors = torch.zeros(2, dtype=torch.float64)
    places = season_places(size, settings.past, settings.horizon)
    targets = torch.cat([record.targets for record in training]).double()
    spread = (targets - targets.nanmean(0)).square().nanmean(0).sqrt().clamp(min=1e-12)
    scale = 1.0 if settings.scale == "window" else spread.unsqueeze(1)
    for record in training:
        if len(record) < settings.past + settings.horizon:
            continue
        windows = record.targets.double().unfold(0, settings.past + settings.horizon, 1)  # (N, Y, past + horizon)
        future = windows[..., settings.past :]
        last, seasonal = (
            (base - future) / scale for base in (windows[..., settings.past - 1, None], windows[..., places])
        )
        known = ~(last.isnan() | seasonal.isnan())
        errors += torch.stack([last[known].square().sum(), seasonal[known].square().sum()])
    return bool(errors[1] < errors[0])
