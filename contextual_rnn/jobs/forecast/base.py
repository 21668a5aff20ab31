"""The base of a forecast, to which the decoder adds: the last targets, those of one season ago, or a linear model."""

from __future__ import annotations

from ...data.season import season, season_in_past
from ...errors import InputError
from .settings import ForecastSettings


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


def chosen_in_words(given: ForecastSettings, chosen: ForecastSettings, frequency: str | None) -> str:
    """Return a sentence that says which base a comparison has, and why.

    Args:
        given: the settings that the user gave.
        chosen: those with the base.
        frequency: of the rows, in words.
    """
    others = [one.base for one in with_bases(given, frequency) if one.base not in (chosen.base, "linear")]
    why = f"which is nearer than {others[0]} on the validation data" if others else "as the rows have no season"
    return f"All variants have base {chosen.base}, {'as given' if given.base else why}."


def base_in_words(settings: ForecastSettings, frequency: str | None) -> str:
    """Return a sentence that says the base."""
    base = settings.base or "last"
    what = {
        "last": "the last known targets",
        "seasonal": f"the targets of one season ago, {season(frequency)} rows",
        "linear": "the forecast of a linear model",
    }[base]
    return f"The decoder's outputs are added to {what} (base {base})."
