"""The scale in which a generator sees targets: that of the table, or that of each step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..._core.records import Record
from ...errors import InputError
from ...scaling import mean_and_scale
from .settings import GenerationSettings

LEAST = 10  # series that a step is scaled by
FLOOR = 0.01  # the smallest scale of a step, relative to that of the target


def with_scale(settings: GenerationSettings, training: Sequence[Record]) -> GenerationSettings:
    """Return the settings with `scale`; if none is given, choose it.

    It is step if normal distributions of the steps, each fitted to the other series, give the training series a higher
    likelihood than one normal distribution of all steps. Otherwise, and with fewer than 20 series, it is global.

    Args:
        settings: of the model.
        training: the training series.

    Raises:
        InputError: the scale is step, and there are fewer than 10 series.
    """
    if settings.scale == "step" and len(training) < LEAST:
        raise InputError(f"`scale` step needs at least {LEAST} series; found {len(training)}")
    if settings.scale is not None:
        return settings
    better = len(training) >= 2 * LEAST and _steps_fit_better(training)
    return settings.replace(scale="step" if better else "global")


def scaled_steps(training: Sequence[Record]) -> int:
    """Return the number of steps that at least 10 series reach; all steps of fewer series."""
    lengths = sorted(map(len, training), reverse=True)
    return lengths[min(LEAST, len(lengths)) - 1]


def moments_by_step(series: Sequence[Tensor], steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean, the standard deviation and the number of the known values of every step, (T, Y) each, float64.

    Args:
        series: (T, Y) each, NaN where a value is missing.
        steps: T, the steps from the first on.
    """
    values = by_step(series, steps)
    mean = values.nanmean(0)
    return mean, (values - mean).square().nanmean(0).sqrt(), (~values.isnan()).sum(0)


def by_step(series: Sequence[Tensor], steps: int) -> Tensor:
    """Return the first steps of N series, (N, T, Y), float64; NaN where a value is missing or a series has ended."""
    values = torch.full((len(series), steps, series[0].shape[1]), torch.nan, dtype=torch.float64)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = one[:steps]
    return values


def scale_of_steps(training: Sequence[Record], steps: int) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale of the targets of every step, (T, Y) each.

    A step that fewer than 10 known values belong to takes those of all steps. No scale is less than a hundredth of
    that of all steps.
    """
    mean, scale, count = moments_by_step([record.targets for record in training], steps)
    whole_mean, whole_scale = mean_and_scale(torch.cat([record.targets for record in training]))
    mean, scale = torch.where(count < LEAST, whole_mean, mean), torch.where(count < LEAST, whole_scale, scale)
    return mean.float(), scale.maximum(FLOOR * whole_scale).float()


def _steps_fit_better(training: Sequence[Record]) -> bool:
    """Return whether left-out series are more likely under the distributions of the steps; see `with_scale`."""
    whole_mean, whole_scale = mean_and_scale(torch.cat([record.targets.double() for record in training]))
    values = by_step([record.targets for record in training], scaled_steps(training))
    mean, scale, count = moments_by_step([record.targets for record in training], values.shape[1])
    others = count - 1
    mean_of_others = (count * mean - values) / others
    square_of_others = (count * (scale.square() + mean.square()) - values.square()) / others
    scale_of_others = (square_of_others - mean_of_others.square()).clamp(min=0).sqrt().maximum(FLOOR * whole_scale)
    by_steps = -((values - mean_of_others) / scale_of_others).square() / 2 - scale_of_others.log()
    together = -((values - whole_mean) / whole_scale).square() / 2 - whole_scale.log()
    return bool((by_steps - together)[:, count.amin(1) >= LEAST].nansum() > 0)


def scale_in_words(settings: GenerationSettings, given: str | None) -> str:
    """Return a sentence that says the scale, and why it was chosen if it was not given.

    Args:
        settings: of the model.
        given: the scale that the user asked for; None if it was chosen.
    """
    if settings.scale == "step":
        why = "" if given else ", under which left-out training series are more likely"
        return f"Targets are scaled by the mean and standard deviation of each step over the series (scale step){why}."
    return "Targets are scaled by the mean and standard deviation of the training table (scale global)."
