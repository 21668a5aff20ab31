"""Baselines of forecasts: the last value, the mean, the same time of the last season, and a linear model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from ..._core.records import Record, last_known
from ...data.series import Datasets
from ...linear import ORDERS, LinearModel, choose_linear
from .base import season, season_in_past, season_places
from .metrics import Forecast, errors_of, rmse
from .model import ForecastModel
from .windows import cut_windows

LAGS = (*ORDERS, 24, 48, 96, 168)
CHOSEN_ON = 200  # held-out windows that the orders of the linear model are chosen on
ROWS = 20_000  # of the windows that the linear model is fitted to, where each has a scale of its own


def baselines(model: ForecastModel, data: Datasets) -> dict[str, Forecast]:
    """Return the baselines by their names.

    They are the last known targets (persistence), the mean of the training targets (mean), the targets one season ago
    (seasonal; where the frequency has a season that fits into the past), and a linear model (linear). The linear model
    reads the past, and the inputs that are known of the future, in the model's scale; it is fitted to the training
    series, and its orders are chosen on the validation windows.

    Args:
        model: gives the length of the past and the horizon, and the scale.
        data: the training series, and the validation windows.
    """
    past, horizon, mean = model.settings.past, model.settings.horizon, model.target_mean.cpu()
    found: dict[str, Forecast] = {
        "persistence": lambda windows: [
            last_known(window.targets[:past], mean).expand(horizon, -1) for window in windows
        ],
        "mean": lambda windows: [mean.expand(horizon, -1) for _ in windows],
    }
    size = season_in_past(model.frequency, past)
    if size is not None:
        found["seasonal"] = lambda windows: [_one_season_ago(window, size, past, horizon) for window in windows]
    found["linear"] = _linear(model, data)
    return found


def why_not_seasonal(model: ForecastModel) -> list[str]:
    """Return a sentence if there is no seasonal baseline."""
    size, past = season(model.frequency), model.settings.past
    if model.frequency is None:
        return ["Without a column of times (`time`), there is no seasonal baseline."]
    if size is None:
        return [f"Rows that are {model.frequency} apart have no seasonal baseline."]
    return [f"A seasonal baseline needs a `past` of at least {size} steps."] if size > past else []


def _one_season_ago(window: Record, size: int, past: int, horizon: int) -> Tensor:
    """Return the targets of the last season that is known, (horizon, Y), repeated over the horizon."""
    last = last_known(window.targets[:past], torch.tensor(torch.nan))
    found = window.targets[season_places(size, past, horizon)]
    return torch.where(found.isnan(), last, found)


def _linear(model: ForecastModel, data: Datasets) -> Forecast:
    settings = model.settings
    past, ahead = settings.past, model.known_ahead
    if settings.scale == "window":
        windows = cut_windows(data.training, settings) or list(data.training)
        step = -(-len(windows) * len(windows[0]) // ROWS)
        training = [_scaled(window, model)[0] for window in windows[:: max(step, 1)]]
    else:
        training = [_without_past_inputs(record, ahead) for record in data.training]

    def forecast(linear: LinearModel, windows: Sequence[Record]) -> list[Tensor]:
        if settings.scale != "window":
            return linear.predictions([_without_past_inputs(window, ahead) for window in windows])
        scaled = [_scaled(window, model) for window in windows]
        predicted = linear.predictions([record for record, _, _ in scaled])
        return [one * scale + mean for one, (_, mean, scale) in zip(predicted, scaled, strict=True)]

    def error(linear: LinearModel, windows: Sequence[Record]) -> float:
        return rmse(errors_of(lambda several: forecast(linear, several), windows, model)) or 0.0

    step = -(-len(data.validation) // CHOSEN_ON)
    chosen = choose_linear(training, [(training, data.validation[::step])], past, error, LAGS)
    return lambda windows: forecast(chosen, windows)


def _without_past_inputs(record: Record, ahead: list[int]) -> Record:
    """Return a record with the inputs that are known of the future only."""
    return dataclasses.replace(record, inputs=record.inputs[:, ahead])


def _scaled(window: Record, model: ForecastModel) -> tuple[Record, Tensor, Tensor]:
    """Return a window in the scale of its past, and the mean and the scale (1, Y) of its targets."""
    past = window.read[: model.settings.past].unsqueeze(0).to(model.device)
    mean, scale = (one[0].cpu() for one in model.scale_of(model.values_of(past)))
    record = _without_past_inputs(window, model.known_ahead)
    return dataclasses.replace(record, targets=(window.targets - mean) / scale), mean, scale
