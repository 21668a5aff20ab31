"""Baselines of forecasts: the last value, the mean, the same time of the last season, and a linear model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..._core.records import Record, collate, last_known, own_means
from ...data.scaled_errors import ScaledErrors, scaled_errors
from ...data.season import season, season_in_past, season_places
from ...data.series import Datasets
from ...data.series_scales import SeriesScales
from .base import with_bases
from .direct_linear import DirectLinear
from .metrics import Forecast, errors_of, scaled_rmse
from .model import ForecastModel
from .settings import ForecastSettings
from .windows import every_window, padded

VALIDATED = 2000  # held-out windows that the linear model is chosen on
CHUNK = 512  # windows read at once


def baselines(model: ForecastModel, data: Datasets, *, of_test: bool) -> dict[str, Forecast]:
    """Return the baselines by their names.

    They are the last known targets (persistence), the mean of the series (mean), the targets one
    season ago (seasonal; where the frequency has a season that fits into the past), and a linear model (linear; see
    `DirectLinear`). The linear model reads the same columns as the model, in the same scale; it is fitted to the
    training series, and its lags and penalty are chosen on the validation windows.

    Args:
        model: gives the length of the past and the horizon, and the scale.
        data: the training series, and the validation windows.
        of_test: whether they forecast the test table, where the mean is that of whole series of the training table. On
            validation windows, which may be the ends of these series, it is that of what comes before.
    """
    found = naive_and_linear(model, own_means((of_test and data.whole) or data.training))
    return found if model.linear else {**found, "linear": _linear(model, fit_linear(model, data))}


def naive_and_linear(model: ForecastModel, means: Mapping[str, Tensor]) -> dict[str, Forecast]:
    """Return the baselines that need no training data: all but linear, and that too if the model keeps one.

    Args:
        model: gives the length of the past and the horizon.
        means: those of series, (Y,), by name. That of another series is the mean of the past of each window.
    """
    past, horizon, mean = model.settings.past, model.settings.horizon, model.target_mean.cpu()
    found: dict[str, Forecast] = {
        "persistence": lambda windows: [
            last_known(window.targets[:past], mean).expand(horizon, -1) for window in windows
        ],
        "mean": lambda windows: [_mean_of(window, means, past, mean).expand(horizon, -1) for window in windows],
    }
    size = season_in_past(model.frequency, past)
    if size is not None:
        found["seasonal"] = lambda windows: [_one_season_ago(window, size, past, horizon) for window in windows]
    if model.linear is not None:
        found["linear"] = _linear(model, model.linear)
    return found


def nearer_base(settings: ForecastSettings, data: Datasets) -> ForecastSettings:
    """Return the settings with `base`; if none is given, with the one of last and seasonal that is nearer.

    That is the one whose forecasts have the lower validation error, in the scale of the training loss. It is the base
    of comparisons: a linear base reads the past itself, and so hides what a bridge or an attention adds.

    Args:
        settings: of the model.
        data: the training series, and the validation windows.
    """
    candidates = [one for one in with_bases(settings, data.frequency) if settings.base or one.base != "linear"]
    if len(candidates) == 1:
        return candidates[0]
    model = ForecastModel(
        candidates[0], data.fields, data.frequency, scales=scales_of(settings, data), coding=data.coding
    )
    data.standardise(model)
    found = baselines(model, data, of_test=False)
    last, seasonal = (
        scaled_rmse(errors_of(found[name], data.validation, model), data.validation, model)
        for name in ("persistence", "seasonal")
    )
    return candidates[int(seasonal < last)]


def scaled(
    errors: Mapping[str, Tensor], windows: Sequence[Record], model: ForecastModel, data: Datasets
) -> ScaledErrors:
    """Return the MASE and RMSSE of forecasts by series, in the scale of the whole series of the training table.

    Their season is that of the seasonal baseline, else one row.

    Args:
        errors: the results of `errors_of`, by the name of the forecast.
        windows: what they were computed of.
        model: gives the length of the past and the unit of errors.
        data: the training series.
    """
    past, unit = model.settings.past, model.error_scale().double()
    season = season_in_past(data.frequency, past) or 1
    known = known_series(windows, data.whole or data.training, past)
    return scaled_errors({name: one * unit for name, one in errors.items()}, names_of(windows), known, season)


def scales_of(settings: ForecastSettings, data: Datasets) -> SeriesScales | None:
    """Return the scales of the training series with `scale` series, else None."""
    return SeriesScales.of(data.training) if settings.scale == "series" else None


def names_of(windows: Sequence[Record]) -> list[str]:
    """Return the name of the series of each window."""
    return [window.name for window in windows]


def known_series(windows: Sequence[Record], training: Sequence[Record], past: int) -> dict[str, list[Tensor]]:
    """Return what is known of the series of windows, in parts (T, Y), by name; see `scaled_errors`.

    It is the training series of that name; for a series that is not in the training table, the past of its windows.
    """
    known: dict[str, list[Tensor]] = {}
    for window in windows:
        known.setdefault(window.name, []).append(window.targets[:past])
    trained: dict[str, list[Tensor]] = {}
    for record in training:
        if record.name in known:
            trained.setdefault(record.name, []).append(record.targets)
    return known | trained


def known_in_words(names: Sequence[str], data: Datasets) -> str:
    """Return where the scale of MASE comes from; see `known_series`. `names` are those of the series of windows."""
    new = set(names) - set(names_of(data.whole or data.training))
    rows = "the past of its windows" if new == set(names) else "all its rows of the training table"
    return rows + " (of the past of its windows, if it has none there)" * (0 < len(new) < len(set(names)))


def why_not_seasonal(model: ForecastModel) -> list[str]:
    """Return a sentence if there is no seasonal baseline."""
    size, past = season(model.frequency), model.settings.past
    if model.frequency is None:
        return ["Without a column of times (`time`), there is no seasonal baseline."]
    if size is None:
        return [f"Rows that are {model.frequency} apart have no seasonal baseline."]
    return [f"A seasonal baseline needs a `past` of at least {size} steps."] if size > past else []


def _mean_of(window: Record, means: Mapping[str, Tensor], past: int, otherwise: Tensor) -> Tensor:
    """Return the mean of the series of a window, (Y,), or else of its past; `otherwise` where nothing is known."""
    own = means.get(window.name)
    found = window.targets[:past].nanmean(0) if own is None else own
    return torch.where(found.isnan(), otherwise, found)


def _one_season_ago(window: Record, size: int, past: int, horizon: int) -> Tensor:
    """Return the targets of the last season that is known, (horizon, Y), repeated over the horizon."""
    last = last_known(window.targets[:past], torch.tensor(torch.nan))
    found = window.targets[season_places(size, past, horizon)]
    return torch.where(found.isnan(), last, found)


@torch.no_grad()
def fit_linear(model: ForecastModel, data: Datasets) -> DirectLinear:
    """Return a linear model, fitted to the training series in the scale of a model, and chosen on validation windows.

    If the training series have many windows, some of them are used, at equal distances.
    """
    linear = model.make_linear()
    training = _windows_to_fit(linear, model, data)
    step = -(-len(data.validation) // VALIDATED)
    return linear.fit(*(_regression(model, linear, windows) for windows in (training, data.validation[::step])))


@torch.no_grad()
def refit_linear(model: ForecastModel, data: Datasets) -> None:
    """Fit the linear model that a model keeps to other training series, with the lags and the penalty of before."""
    assert model.linear is not None
    model.linear.refit(_regression(model, model.linear, _windows_to_fit(model.linear, model, data)))


def _windows_to_fit(linear: DirectLinear, model: ForecastModel, data: Datasets) -> list[Record]:
    """Return the windows of the training series; of many windows, some at equal distances."""
    settings, series = model.settings, padded(data.training, model.settings)
    missing = any(bool(record.targets.isnan().any()) for record in series)
    return every_window(series, settings, linear.rows(settings.horizon * len(settings.targets) if missing else 1))


def _regression(model: ForecastModel, linear: DirectLinear, windows: Sequence[Record]) -> tuple[Tensor, Tensor]:
    """Return what the linear model reads of windows, (N, F), and what it forecasts, (N, horizon, Y)."""
    parts = []
    for start in range(0, len(windows), CHUNK):
        batch = tuple(part.to(model.device) for part in collate(model.with_levels(windows[start : start + CHUNK])))
        read, forecast, _, _ = model.linear_regression(batch)
        parts.append((linear.features(*read).cpu(), forecast.cpu()))
    features, forecasts = zip(*parts, strict=True)
    return torch.cat(features), torch.cat(forecasts)


def _linear(model: ForecastModel, linear: DirectLinear) -> Forecast:
    @torch.no_grad()
    def forecast(windows: Sequence[Record]) -> list[Tensor]:
        found: list[Tensor] = []
        for start in range(0, len(windows), CHUNK):
            batch = tuple(part.to(model.device) for part in collate(model.with_levels(windows[start : start + CHUNK])))
            read, _, last, scale = model.linear_regression(batch)
            found += (last + linear(*read) * scale).cpu().unbind()
        return found

    return forecast
