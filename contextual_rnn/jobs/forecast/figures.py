"""Figures of forecasts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..._core.records import Record
from ...data.series_axes import finish_times, share_y_where_alike
from ...study.figures import (
    Figure,
    colours,
    finish,
    line_with_band,
    logarithmic_where_wide,
    styled,
    subplots,
    without_shared,
)
from .quantiles import quantile_forecasts


@styled
def plot_forecasts(model: Any, windows: Sequence[Record], shown: int = 4) -> Figure:
    """Draw windows and their forecasts, evenly spaced over the table, with one row of panels per target.

    Panels of a row share their y axis if no curve is flat then. The x axis has dates where they are known.

    Args:
        model: the forecasting model.
        windows: the windows, each of `past` + `horizon` steps.
        shown: the maximum number of windows.
    """
    past, targets, restored = model.settings.past, model.settings.targets, model.coding.restored
    chosen = range(0, len(windows), max(1, len(windows) // shown))[:shown]
    figure, axes = subplots(len(targets), len(chosen), width=4, height=2.6)
    drawn, levels = [windows[number] for number in chosen], model.settings.quantiles
    forecasts = torch.stack(list(model.forecasts(drawn)))
    bands = quantile_forecasts(model, drawn, forecasts) if len(levels) > 1 else None
    for place, (window, forecast) in enumerate(zip(drawn, forecasts, strict=True)):
        for row, target in enumerate(targets):
            panel, x = axes[row, place], np.arange(len(window)) if window.times is None else window.times
            panel.plot(x, restored(target, window.targets[:, row]), ".", color="black", markersize=4, label="measured")
            steps = x[past:]
            panel.plot(steps, restored(target, forecast[:, row]), color="#0072B2", linewidth=1.5, label="forecast")
            if bands is not None:
                low, high, between = (
                    restored(target, bands[place, 0, :, row]),
                    restored(target, bands[place, -1, :, row]),
                    f"{levels[0]:g} to {levels[-1]:g}",
                )
                panel.fill_between(
                    steps, low, high, color="#0072B2", alpha=0.2, linewidth=0, label=f"quantiles {between}"
                )
            start = x[past - 1] + (x[past] - x[past - 1]) / 2
            panel.axvline(start, color="grey", linestyle=":", label="start of the forecast")
            several = len({one.name for one in windows}) > 1
            title = f"{f'series {window.name}, ' if several else ''}window {chosen[place] + 1} of {len(windows)}"
            finish_times(panel, window.times, "" if place else target, "" if row else title)
    for panels in axes:
        share_y_where_alike(panels)
    return figure


@styled
def plot_horizon(
    runs: Sequence[dict[str, Any]], baselines: dict[str, list[float | None]], unit: str, starts: str = ""
) -> Figure:
    """Draw the error by step of the horizon: the mean over seeds, and a band from their minimum to their maximum.

    Args:
        runs: the runs, each with `initial_state`, the name of its variant, and `rmse_by_step`, its errors.
        baselines: the errors of every baseline by step of the horizon.
        unit: the unit of the errors, in words.
        starts: where in a season all forecasts start, in words, if not at every place.
    """
    figure, axes = subplots(width=7, height=4)
    panel, steps = axes[0, 0], np.arange(1, 1 + len(runs[0]["rmse_by_step"]))
    kinds = list(dict.fromkeys(run["initial_state"] for run in runs))
    names = without_shared(kinds)
    drawn = colours([*names, *baselines])
    for kind, name in zip(kinds, names, strict=True):
        values = np.array([run["rmse_by_step"] for run in runs if run["initial_state"] == kind], float)
        line_with_band(panel, steps, values, name, drawn[name])
    styles = itertools.cycle((":", "--", "-.", (0, (5, 1, 1, 1, 1, 1))))
    for name, errors in baselines.items():
        panel.plot(steps, np.array(errors, float), linestyle=next(styles), color=drawn[name], label=name)
    where = f" ({starts[0].lower()}{starts[1:]})" if starts else ""
    finish(panel, f"step of the horizon{where}", f"RMSE, {unit}", "mean and range of the seeds")
    logarithmic_where_wide(panel, "y")
    return figure
