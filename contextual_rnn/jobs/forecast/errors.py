"""The errors of forecasts whose targets are known by now: of a model and of the baselines, overall and by series."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...data.scaled_errors import MAE, SCALED, errors_by_series, mean_absolute, scaled_errors
from ...data.season import season_in_past
from ...study.errors_in_words import errors_in_words
from .baselines import naive_and_linear
from .metrics import rmse, rmse_by_target
from .windows import Question

if TYPE_CHECKING:
    from .model import ForecastModel


@dataclasses.dataclass
class ForecastErrors:
    """The errors of a model and of every baseline. Printing them shows the overall ones.

    Attributes:
        by_target: the RMSE of every target in its own unit, by target: of "the model" and of each baseline, by name.
        rows: the metrics `rmse`, `mae`, `mase` and `rmsse`, by the same names. RMSE and MAE are over all forecasts and
            steps, in the unit of a single target, or in standard deviations of several; MASE and RMSSE are means over
            series.
        by_series: a row for each series with its errors; the column of series is called as in the tables.
        sentences: what MASE and RMSSE are divided by.
    """

    by_target: dict[str, dict[str, float]]
    rows: dict[str, dict[str, float]]
    by_series: list[dict[str, Any]]
    sentences: list[str]

    def __str__(self) -> str:
        """Return the overall errors, line by line."""
        others = [
            f"{metric.name}: " + ", ".join(f"{name} {row[metric.key]:.4g}" for name, row in self.rows.items())
            for metric in (MAE, *SCALED)
            if all(metric.key in row for row in self.rows.values())
        ]
        return "\n".join([*errors_in_words(self.by_target), *others, *self.sentences])


def forecast_errors(model: ForecastModel, question: Question) -> ForecastErrors | None:
    """Return the errors of the forecasts of a question; None if it has no targets to compare with."""
    settings, measured = model.settings, question.targets(model.settings)
    if measured is None or bool(measured.isnan().all()):
        return None
    windows, names = question.windows(settings, model.fields), [one.name for one in question.series]
    known = {one.name: [torch.from_numpy(one.targets)] for one in question.series}
    means = {name: targets.double().nanmean(0).float() for name, (targets,) in known.items()}
    forecasts = {"the model": model.eval().forecasts, **naive_and_linear(model, means)}
    errors = {name: torch.stack(list(one(windows))).double() - measured for name, one in forecasts.items()}
    scaled = scaled_errors(errors, names, known, season_in_past(model.frequency, settings.past) or 1)
    in_unit = {name: error / model.error_scale().cpu().double() for name, error in errors.items()}
    return ForecastErrors(
        {name: _by_target(error, settings.targets) for name, error in errors.items()},
        {name: {"rmse": rmse(one), MAE.key: mean_absolute(one)} | scaled.means(name) for name, one in in_unit.items()},
        errors_by_series(in_unit, names, scaled, column=settings.series),
        scaled.in_words("its rows of `past`"),
    )


def _by_target(errors: Tensor, targets: tuple[str, ...]) -> dict[str, float]:
    found = zip(targets, rmse_by_target(errors).tolist(), strict=True)
    return {target: error for target, error in found if not math.isnan(error)}
