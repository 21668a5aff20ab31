"""The last fit of a model: to all rows of the training table, when everything has been chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...data.series import Datasets
from ...errors import InputError
from .baselines import refit_linear
from .model import ForecastModel
from .settings import ForecastSettings

REFIT = "refit"  # the folder of the last training, in that of the run


def check_refit(settings: ForecastSettings, validation: Any) -> None:
    """Raise InputError if there is nothing more to fit to."""
    if settings.refit and validation is not None:
        raise InputError(
            "`refit` fits to the ends of the training series that are held out without a `validation` table; leave out "
            "`refit` or `validation`"
        )


def refit(
    model: ForecastModel, untrained: dict[str, Tensor], data: Datasets, epochs: int, train: Callable[..., Any]
) -> None:
    """Fit a model again, from its first weights, to all rows of the training table.

    Its scales, and the quantiles of the errors of held-out windows, stay those of before.

    Args:
        model: with the weights of the best epoch.
        untrained: its state before training.
        data: the tables.
        epochs: the best epoch; 0 if the linear model alone makes the forecasts.
        train: `train(data, until=...)` trains the model on the training series.
    """
    kept = {"offsets": model.offsets.clone()} if model.settings.quantiles else {}
    model.load_state_dict({**untrained, **kept})
    whole = with_whole_series(data)
    refit_linear(model, whole)
    if epochs:
        train(whole, until=lambda metrics: metrics["epoch"] >= epochs)
    model.eval()


def with_whole_series(data: Datasets) -> Datasets:
    """Return data whose training series are whole."""
    return dataclasses.replace(data, training=list(data.whole), stored=data.whole_stored)
