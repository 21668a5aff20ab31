"""Metrics of free runs. A new metric of `compare series` is one function and one entry of `METRICS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ..._core.records import Record, consecutive_windows, last_known
from ...study.metric import ItemMetric, Metric

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
        """Return the squared errors (T - k, Y) of every record, or of its first steps only.

        Where targets are missing, those of the known targets are returned, (N,).
        """
        found = []
        for predicted, record in zip(predict(records), records, strict=True):
            measured = record.targets[self.window :]
            error, known = ((predicted - measured) / self.scale).square()[:first], ~measured[:first].isnan()
            found.append(error if bool(known.all()) else error[known])
        return found


def free_run_rmse(predict: Predict, records: Sequence[Record], scoring: Scoring) -> float | None:
    """Return the root mean squared error over whole series."""
    return root_mean(scoring.squared_errors(predict, records))


def first_20_rmse(predict: Predict, records: Sequence[Record], scoring: Scoring) -> float | None:
    """Return the root mean squared error over the first 20 steps after the known ones."""
    return root_mean(scoring.squared_errors(predict, records, FIRST))


def window_rmse(predict: Predict, records: Sequence[Record], scoring: Scoring) -> float | None:
    """Return the root mean squared error over consecutive windows; the model starts anew at each."""
    return root_mean(scoring.squared_errors(predict, consecutive_windows(records, scoring.window, scoring.length)))


@dataclasses.dataclass(frozen=True)
class SeriesMetric(Metric):
    """A metric of predictions: `compute(predict, records, scoring)`; None if no target that it scores is known."""

    of_targets: bool = dataclasses.field(default=True, kw_only=True)
    compute: Callable[[Predict, Sequence[Record], Scoring], float | None] = free_run_rmse


METRICS = (
    SeriesMetric("free_run_rmse", "free-run RMSE", compute=free_run_rmse),
    SeriesMetric("first_20_rmse", "first-20-steps RMSE", compute=first_20_rmse),
    SeriesMetric("window_rmse", "windowed RMSE", compute=window_rmse),
)
BY_SERIES = ItemMetric(
    "series_rmse", "free-run RMSE of a series", values="squared_error_by_series", items="series", item="series"
)


def scores(predict: Predict, records: Sequence[Record], scoring: Scoring) -> dict[str, float]:
    """Return every metric by its key; without those that score no known target."""
    found = {metric.key: metric.compute(predict, records, scoring) for metric in METRICS}
    return {key: value for key, value in found.items() if value is not None}


def errors_by_series(predict: Predict, records: Sequence[Record], scoring: Scoring) -> list[float]:
    """Return the mean squared error of every record."""
    return [float(error.mean()) for error in scoring.squared_errors(predict, records)]


def errors_of(predict: Predict, records: Sequence[Record], window: int) -> list[Tensor]:
    """Return the errors of every record, (T - k, Y), in the targets' units; NaN where a target is missing."""
    return [predicted - record.targets[window:] for predicted, record in zip(predict(records), records, strict=True)]


def rmse_by_target(errors: Sequence[Tensor]) -> Tensor:
    """Return the RMSE of every target, (Y,), of errors (T, Y); missing targets are left out."""
    return torch.cat(list(errors)).square().nanmean(0).sqrt()


def persistence(window: int, mean: Tensor | None = None) -> Predict:
    """Return the persistence baseline: the last known targets are held. It needs a window of at least one step.

    Args:
        window: the known steps at the start of a series.
        mean: (Y,) the training mean, which is predicted where no target of the window is known.
    """
    otherwise = torch.tensor(torch.nan) if mean is None else mean

    def predict(records: Sequence[Record]) -> list[Tensor]:
        return [last_known(record.targets[:window], otherwise).expand(len(record) - window, -1) for record in records]

    return predict


def mean_baseline(mean: Tensor, window: int, own: Mapping[str, Tensor] | None = None) -> Predict:
    """Return the baseline that always predicts a mean.

    Args:
        mean: (Y,) of the training targets.
        window: the known steps at the start of a series.
        own: the means of series, (Y,), by name, which are predicted instead; NaN where no target is known.
    """

    def predict(records: Sequence[Record]) -> list[Tensor]:
        means = [mean if own is None else own.get(record.name, mean) for record in records]
        return [
            torch.where(one.isnan(), mean, one).expand(len(record) - window, -1)
            for one, record in zip(means, records, strict=True)
        ]

    return predict


def seasonal(window: int, size: int) -> Predict:
    """Return the seasonal naive baseline: the last season of the window is repeated.

    A missing target is replaced by the last known one.

    Args:
        window: the known steps at the start of a series, at least `size`.
        size: the rows of a season.
    """

    def predict(records: Sequence[Record]) -> list[Tensor]:
        found = []
        for record in records:
            known = record.targets[:window]
            repeated = known[window - size + torch.arange(len(record) - window) % size]
            found.append(torch.where(repeated.isnan(), last_known(known, torch.tensor(torch.nan)), repeated))
        return found

    return predict


def root_mean(errors: Sequence[Tensor]) -> float | None:
    """Return the root of the mean over all steps of all series; None if there are none."""
    together = torch.cat([error.flatten() for error in errors])
    return float(together.mean().sqrt()) if len(together) else None
