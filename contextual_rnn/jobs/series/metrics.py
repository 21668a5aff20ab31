"""Metrics of free runs. A new metric of `compare series` is one function and one entry of `METRICS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ...data.series import Record, consecutive_windows
from ...study.differences import ItemMetric, Metric

FIRST = 20  # steps

Predict = Callable[[Sequence[Record]], Iterable[Tensor]]  # records to their predictions (T - k, Y) after k known steps


@dataclasses.dataclass(frozen=True)
class Scoring:
    """What metrics need to know.

    Attributes:
        window: k, the known steps at the start of a series.
        length: the steps of the windows of `window_rmse`, the same for all kinds that are compared.
        scale: (Y,) the unit of errors: 1 for a single target, the standard deviation of each of several targets.
    """

    window: int
    length: int
    scale: Tensor

    def squared_errors(self, predict: Predict, records: Sequence[Record], first: int | None = None) -> list[Tensor]:
        """Return the squared errors (T - k, Y) of every record, or of its first steps only."""
        predicted = predict(records)
        return [
            ((found - record.targets[self.window :]) / self.scale).square()[:first]
            for found, record in zip(predicted, records, strict=True)
        ]


def free_run_rmse(predict: Predict, records: Sequence[Record], scoring: Scoring) -> float:
    """Return the root mean squared error over whole series."""
    return root_mean(scoring.squared_errors(predict, records))


def first_20_rmse(predict: Predict, records: Sequence[Record], scoring: Scoring) -> float:
    """Return the root mean squared error over the first 20 steps after the known ones."""
    return root_mean(scoring.squared_errors(predict, records, FIRST))


def window_rmse(predict: Predict, records: Sequence[Record], scoring: Scoring) -> float:
    """Return the root mean squared error over consecutive windows; the model starts anew at each."""
    return root_mean(scoring.squared_errors(predict, consecutive_windows(records, scoring.window, scoring.length)))


@dataclasses.dataclass(frozen=True)
class SeriesMetric(Metric):
    """A metric of predictions: `compute(predict, records, scoring)`."""

    compute: Callable[[Predict, Sequence[Record], Scoring], float] = free_run_rmse


METRICS = (
    SeriesMetric("free_run_rmse", "free-run RMSE", compute=free_run_rmse),
    SeriesMetric("first_20_rmse", "first-20-steps RMSE", compute=first_20_rmse),
    SeriesMetric("window_rmse", "windowed RMSE", compute=window_rmse),
)
BY_SERIES = ItemMetric(
    "series_rmse", "free-run RMSE of a series", values="squared_error_by_series", items="series", item="series"
)


def scores(predict: Predict, records: Sequence[Record], scoring: Scoring) -> dict[str, float]:
    """Return every metric by its key."""
    return {metric.key: metric.compute(predict, records, scoring) for metric in METRICS}


def errors_by_series(predict: Predict, records: Sequence[Record], scoring: Scoring) -> list[float]:
    """Return the mean squared error of every record."""
    return [float(error.mean()) for error in scoring.squared_errors(predict, records)]


def persistence(window: int) -> Predict:
    """Return the persistence baseline: the last known targets are held. It needs a window of at least one step."""

    def predict(records: Sequence[Record]) -> list[Tensor]:
        return [record.targets[window - 1].expand(len(record) - window, -1) for record in records]

    return predict


def mean_baseline(mean: Tensor, window: int) -> Predict:
    """Return the baseline that always predicts the mean (Y,) of the training targets."""

    def predict(records: Sequence[Record]) -> list[Tensor]:
        return [mean.expand(len(record) - window, -1) for record in records]

    return predict


def root_mean(errors: Sequence[Tensor]) -> float:
    """Return the root of the mean over all steps of all series."""
    return float(torch.cat(list(errors)).mean().sqrt())
