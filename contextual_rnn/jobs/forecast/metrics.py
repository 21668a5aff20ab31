"""Metrics of forecasts. A new metric of `compare forecast` is one function and one entry of `METRICS`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..._core.records import Record
from ...study.metric import ItemMetric, Metric
from .model import ForecastModel

Forecast = Callable[[Sequence[Record]], Iterable[Tensor]]  # windows to their forecasts (horizon, Y)


def rmse(errors: Tensor) -> float:
    """Return the root mean squared error over all steps of the horizon."""
    return float(mean_square(errors).sqrt())


def last_step_rmse(errors: Tensor) -> float:
    """Return the root mean squared error at the last step of the horizon."""
    return float(mean_square(errors, step=-1).sqrt())


@dataclasses.dataclass(frozen=True)
class ForecastMetric(Metric):
    """A metric of forecasts: `compute(errors)`, of errors (N, horizon, Y) of N windows, float64; see `errors_of`."""

    of_targets: bool = dataclasses.field(default=True, kw_only=True)
    compute: Callable[[Tensor], float] = rmse


METRICS = (
    ForecastMetric("rmse", "forecast RMSE", compute=rmse),
    ForecastMetric("last_step_rmse", "last-step RMSE", compute=last_step_rmse),
)
BY_SERIES = ItemMetric(
    "series_rmse", "forecast RMSE of a series", values="squared_error_by_series", items="series", item="series"
)


def scores(errors: Tensor) -> dict[str, float]:
    """Return every metric by its key; without those that score no known target."""
    found = {metric.key: metric.compute(errors) for metric in METRICS}
    return {key: value for key, value in found.items() if not math.isnan(value)}


def errors_of(forecast: Forecast, windows: Sequence[Record], model: ForecastModel) -> Tensor:
    """Return the errors of forecasts, (N, horizon, Y), float64; NaN where the target is missing.

    Args:
        forecast: what forecasts: the model's `forecasts`, or a baseline.
        windows: N windows of past and horizon.
        model: gives the length of the past and the unit of errors: that of a single target, the standard deviation of
            each of several targets.
    """
    future = torch.stack([window.targets[model.settings.past :] for window in windows])
    predicted = torch.stack(list(forecast(windows)))
    errors = (predicted.double() - future.double()) / model.error_scale().double()
    return errors.masked_fill(predicted.isnan() & ~future.isnan(), torch.inf)  # NaN is for missing targets alone


@torch.no_grad()
def scaled_rmse(errors: Tensor, windows: Sequence[Record], model: ForecastModel) -> float:
    """Return the root mean squared error in the scale of the training loss; with `scale` window, that of each window.

    The arguments are the result of `errors_of`, and what it was computed of.
    """
    return rmse(errors * model.error_scale().double() / model.scales_of(windows).double())


def mean_square(errors: Tensor, windows: Any = slice(None), step: Any = slice(None)) -> Tensor:
    """Return the mean of the squares of errors (N, horizon, Y), without missing ones, ().

    Args:
        errors: NaN where a target is missing.
        windows: the windows to average over; all by default.
        step: the step of the horizon; all by default.
    """
    if bool(errors.isnan().any()):
        return errors[windows, step].square().nanmean()
    return mean_squares(errors)[windows, step].mean()


def mean_squares(errors: Tensor) -> Tensor:
    """Return the squares of errors (N, horizon, Y), averaged over targets, (N, horizon)."""
    return errors.square().mean(2)


def rmse_by_step(errors: Tensor) -> list[float | None]:
    """Return the root mean squared error at every step of the horizon; None where no target is known."""
    if bool(errors.isnan().any()):
        found = errors.square().nanmean((0, 2)).sqrt().tolist()
        return [None if math.isnan(error) else error for error in found]
    return mean_squares(errors).mean(0).sqrt().tolist()


def rmse_by_target(errors: Tensor) -> Tensor:
    """Return the root mean squared error of every target, (Y,); missing targets are left out."""
    return errors.square().nanmean((0, 1)).sqrt()
