"""Quantiles of forecasts, from the errors of held-out windows; and how many values lie below them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..._core.records import Record
from .settings import ForecastSettings
from .windows import every_window

if TYPE_CHECKING:
    from .model import ForecastModel

LEAST = 20  # errors that the quantiles of a step are computed from
MOST = 2000  # held-out windows
BEYOND = 10  # errors that lie beyond an outer quantile which is not rough


def fit_quantiles(model: ForecastModel, held_out: Sequence[Record]) -> None:
    """Set what is added to forecasts to get their quantiles: the quantiles of the errors of held-out windows.

        offset_(q,s) = quantile_q((y_(t+s) - f_(t+s)) / scale_t),  s = 1..horizon, over windows that end at t

    This is split conformal prediction (Vovk et al. 2005; Lei et al. 2018) for each step and target on its own. Windows
    overlap, and the epoch is chosen on them too, so that new errors may be somewhat larger. A step with fewer than 20
    errors takes those of all steps.

    Args:
        model: trained.
        held_out: series that the model was not trained on.
    """
    windows = every_window(held_out, model.settings, MOST)
    forecasts = torch.stack(list(model.forecasts(windows)))
    measured = torch.stack([window.targets[model.settings.past :] for window in windows])
    errors, levels = (measured - forecasts) / model.scales_of(windows), torch.tensor(model.settings.quantiles)
    together = errors.flatten(0, 1)
    for step in range(errors.shape[1]):
        for target in range(errors.shape[2]):
            known = errors[:, step, target]
            known = known[~known.isnan()]
            if len(known) < LEAST:
                known = together[:, target][~together[:, target].isnan()]
            if len(known):
                model.offsets[:, step, target] = known.quantile(levels)


def number_in_words(held_out: Sequence[Record], settings: ForecastSettings) -> list[str]:
    """Return a sentence that says how many windows the quantiles are computed from, and one if these are few.

    Args:
        held_out: see `fit_quantiles`.
        settings: with quantiles.
    """
    number = len(every_window(held_out, settings, MOST))
    overlap = ", which overlap" if number > len(held_out) else ""
    said = f"Quantiles are those of the errors of {number} held-out windows{overlap}"
    together = ", of all steps of the horizon together" if number < LEAST else ""
    needed = {level: math.ceil(BEYOND / min(level, 1 - level) - 1e-9) for level in settings.quantiles}
    rough = {level: least for level, least in needed.items() if number < least}
    few = [
        f"These are few: the quantile {level:g} needs at least {least}, so that {BEYOND} errors lie beyond it."
        for level, least in rough.items()
        if least == max(rough.values())
    ]
    return [f"{said}{together}.", *few[:1]]


def quantile_forecasts(model: ForecastModel, windows: Sequence[Record], forecasts: Tensor) -> Tensor:
    """Return the quantiles of forecasts (N, horizon, Y), in the targets' units, (N, Q, horizon, Y)."""
    return forecasts.unsqueeze(1) + model.offsets.cpu() * model.scales_of(windows).unsqueeze(1)


def coverage_in_words(model: ForecastModel, windows: Sequence[Record], table: str, fitted: bool) -> str:
    """Return a sentence that says how many of the targets of windows lie below each quantile.

    Args:
        model: with quantiles.
        windows: the windows of a table.
        table: what it is called.
        fitted: whether the quantiles were computed from these windows.
    """
    quantiles = quantile_forecasts(model, windows, torch.stack(list(model.forecasts(windows))))
    measured = torch.stack([window.targets[model.settings.past :] for window in windows]).unsqueeze(1)
    known = ~measured.isnan().expand_as(quantiles)
    below = ((measured <= quantiles) & known).sum((0, 2, 3)) / known.sum((0, 2, 3))
    shares = ", ".join(
        f"{100 * share:.1f}% are below the quantile {level:g}"
        for level, share in zip(model.settings.quantiles, below.tolist(), strict=True)
    )
    of = f"the {len(windows)} windows of the {table}"
    why = ", from which the quantiles were computed (so they are nearer than those of new data)" if fitted else ""
    return f"Of the targets of {of}{why}, {shares}."


def names_of_quantiles(model: ForecastModel) -> list[tuple[str, int, int]]:
    """Return the column of every quantile, such as "y_quantile_0.1", with the places of its level and its target."""
    settings = model.settings
    return [
        (f"{target}_quantile_{level:g}", number, place)
        for place, target in enumerate(settings.targets)
        for number, level in enumerate(settings.quantiles)
    ]
