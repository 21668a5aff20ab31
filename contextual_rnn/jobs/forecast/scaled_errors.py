"""Errors that compare series of any level: MASE and RMSSE; and in how many series a model is better than another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..._core.records import Record
from ...study.differences import Metric
from .metrics import squares_by_series

SCALED = (Metric("mase", "MASE"), Metric("rmsse", "RMSSE"))


@dataclasses.dataclass(frozen=True)
class ScaledErrors:
    """The scaled errors of several forecasts.

    Attributes:
        series: the names of the series.
        mase: by forecast, that of each series, the mean over targets, (series,); NaN for series that are left out.
        rmsse: likewise.
    """

    series: list[str]
    mase: dict[str, Tensor]
    rmsse: dict[str, Tensor]

    def means(self, forecast: str) -> dict[str, float]:
        """Return the means over series, by the key of the metric; empty if all series are left out."""
        found = {"mase": float(self.mase[forecast].nanmean()), "rmsse": float(self.rmsse[forecast].nanmean())}
        return {} if math.isnan(found["mase"]) else found

    def in_words(self) -> list[str]:
        """Return a sentence that says how many series are left out, if any are."""
        number = int(next(iter(self.mase.values())).isnan().sum())
        repeats = "1 series, which repeats" if number == 1 else f"{number} series, which repeat"
        return [f"MASE and RMSSE leave out {repeats} exactly."] if number else []


def scaled_errors(
    errors: dict[str, Tensor], windows: Sequence[Record], training: Sequence[Record], past: int, season: int
) -> ScaledErrors:
    """Return the mean absolute and the root mean squared scaled error of several forecasts, by their names.

    MASE = mean |y - f| / mean |x_t - x_(t-m)|, RMSSE = sqrt(mean (y - f)^2 / mean (x_t - x_(t-m))^2)
    (Hyndman and Koehler 2006; Makridakis et al. 2022), each the mean over targets. y are the targets of all windows of
    a series and f their forecasts. x is the training series of that name; for a series that is not in the training
    table, the past of its windows. A series whose x repeats exactly is left out.

    Args:
        errors: f - y of each forecast, (N, horizon, Y), in the unit of the targets; NaN where y is missing.
        windows: N windows of past and horizon.
        training: the training series.
        past: the known steps of a window.
        season: m, the rows of a season; 1 without one.
    """
    known: dict[str, list[Tensor]] = {}
    places: dict[str, list[int]] = {}
    for place, window in enumerate(windows):
        known.setdefault(window.name, []).append(window.targets[:past])
        places.setdefault(window.name, []).append(place)
    known |= {record.name: [record.targets] for record in training if record.name in known}
    steps = [torch.cat([x[season:] - x[:-season] for x in several]).double() for several in known.values()]
    absolute = torch.stack([one.abs().nanmean(0) for one in steps])  # (series, Y)
    squared = torch.stack([one.square().nanmean(0) for one in steps])
    repeats = ~(absolute > 0).all(1)
    found = ScaledErrors(list(places), {}, {})
    for name, error in errors.items():
        by_series = [error[rows].flatten(0, 1) for rows in places.values()]
        mase = torch.stack([one.abs().nanmean(0) for one in by_series]) / absolute
        rmsse = (torch.stack([one.square().nanmean(0) for one in by_series]) / squared).sqrt()
        found.mase[name], found.rmsse[name] = (one.nanmean(1).masked_fill(repeats, torch.nan) for one in (mase, rmsse))
    return found


def errors_by_series(
    errors: dict[str, Tensor], windows: Sequence[Record], scaled: ScaledErrors
) -> list[dict[str, Any]]:
    """Return a row for each series: its name, and the RMSE, MASE and RMSSE of every forecast. None is not known.

    Args:
        errors: of each forecast, (N, horizon, Y), in the unit of the report.
        windows: N windows of past and horizon.
        scaled: the result of `scaled_errors`.
    """
    squares = {name: squares_by_series(error, windows) for name, error in errors.items()}
    rows = []
    for place, series in enumerate(scaled.series):
        row: dict[str, Any] = {"series": series}
        for name in errors:
            values = squares[name][place] ** 0.5, float(scaled.mase[name][place]), float(scaled.rmsse[name][place])
            for metric, value in zip(("RMSE", "MASE", "RMSSE"), values, strict=True):
                row[f"{metric} of {name}"] = value if math.isfinite(value) else None
        rows.append(row)
    return rows


def series_in_words(errors: Tensor, baseline: Tensor, windows: Sequence[Record], other: str) -> list[str]:
    """Return a sentence that counts the series whose error is lower than a baseline's, and names the worst one.

    Args:
        errors: of a model, (N, horizon, Y).
        baseline: the errors of a baseline.
        windows: N windows of past and horizon.
        other: the name of the baseline.
    """
    names = list(dict.fromkeys(window.name for window in windows))
    if len(names) < 2:
        return []
    pairs = list(zip(squares_by_series(errors, windows), squares_by_series(baseline, windows), strict=True))
    better = sum(a < b for a, b in pairs)
    ratio, worst = max((a / b if b else float(a > 0), name) for (a, b), name in zip(pairs, names, strict=True))
    return [
        f"The model has a lower RMSE than {other} in {better} of {len(names)} series; it is worst in {worst!r}, with "
        f"{ratio**0.5:.3g} times that of {other}."
    ]
