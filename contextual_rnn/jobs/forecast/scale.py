"""The scales in which a forecasting model sees targets: one for the whole table, or one per window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..._core.records import Record
from ...errors import InputError
from ...scaling import std_mean
from .settings import ForecastSettings

FLOOR = 0.1  # the smallest spread of a window, as a share of the usual one at its level


def with_scale(settings: ForecastSettings, training: Sequence[Record]) -> ForecastSettings:
    """Return the settings with `scale`; if none is given, choose it.

    It is window if, for any target, the means of the series vary more than the values within the series: the standard
    deviation of the means is greater than the mean of the standard deviations. Otherwise, it is global.

    Args:
        settings: of the model.
        training: the training series.

    Raises:
        InputError: the scale is window, and the past has a single step.
    """
    if settings.scale == "window" and settings.past < 2:
        raise InputError(
            "`scale` window needs a `past` of at least 2 steps, since a single value has no spread; found 1"
        )
    if settings.scale is not None:
        return settings
    return settings.replace(scale="window" if settings.past > 1 and _levels_differ(training) else "global")


def _levels_differ(training: Sequence[Record]) -> bool:
    """Return whether the means of the series vary more than the values within them, for any target."""
    long = [record.targets.double() for record in training if len(record) > 1]
    if len(long) < 2:
        return False
    within, means = zip(*(std_mean(targets) for targets in long), strict=True)
    return bool((torch.stack(means).std(0, correction=0) > torch.stack(within).mean(0)).any())


def usual_spread(past: Tensor) -> Tensor:
    """Return the median over windows (N, past, Y) of the standard deviation divided by the mean magnitude, (Y,)."""
    ratio = past.std(1, correction=0) / past.abs().mean(1).clamp(min=torch.finfo(past.dtype).tiny)
    return ratio.median(0).values


def window_scale(past: Tensor, usual: Tensor, otherwise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale of windows of known targets, (B, 1, Y) each.

    The scale is the standard deviation, but at least a tenth of the usual one at that mean magnitude, so that a
    constant past does not make small errors large.

    Args:
        past: (B, past, Y).
        usual: (Y,), the result of `usual_spread` for the training windows.
        otherwise: (Y,), the scale where all known targets are 0.
    """
    spread, mean = torch.std_mean(past, dim=1, correction=0, keepdim=True)
    level = past.abs().mean(1, keepdim=True)
    scale = torch.maximum(spread, FLOOR * usual * level)
    return mean, torch.where(scale > 0, scale, otherwise)


def scale_in_words(settings: ForecastSettings, given: str | None) -> str:
    """Return a sentence that says the scale, and why it was chosen if it was not given.

    Args:
        settings: of the model.
        given: the scale that the user asked for; None if it was chosen.
    """
    if settings.scale == "window":
        why = "" if given else ", because the levels of the series differ more than the values within a series"
        return f"Targets are scaled by the mean and standard deviation of each window's past (scale window){why}."
    return "Targets are scaled by the mean and standard deviation of the training table (scale global)."
