"""Errors of series: MAE; MASE and RMSSE, which compare series of any level; and who is better in how many series."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..study.metric import Metric

MAE = Metric("mae", "MAE", of_targets=True)
SCALED = (Metric("mase", "MASE"), Metric("rmsse", "RMSSE"))

Errors = Sequence[Tensor] | Tensor  # of N predictions of S steps: f - y, (S, Y) each, NaN where y is missing


@dataclasses.dataclass(frozen=True)
class ScaledErrors:
    """The scaled errors of several predictions.

    Attributes:
        series: the names of the series.
        mase: by prediction, that of each series, the mean over targets, (series,); NaN for series that are left out.
        rmsse: likewise.
        season: m of `scaled_errors`.
    """

    series: list[str]
    mase: dict[str, Tensor]
    rmsse: dict[str, Tensor]
    season: int = 1

    def means(self, name: str) -> dict[str, float]:
        """Return the means over series, by the key of the metric; empty if all series are left out."""
        found = {"mase": float(self.mase[name].nanmean()), "rmsse": float(self.rmsse[name].nanmean())}
        return {} if math.isnan(found["mase"]) else found

    def in_words(self, known: str) -> list[str]:
        """Return a sentence that says what errors are divided by, and one that counts the series that are left out.

        Args:
            known: where x of `scaled_errors` comes from, such as "its rows in the training table".
        """
        rows = f"{self.season} row{'s' * (self.season != 1)}"
        mean = "; both are plain means over series" if len(self.series) > 1 else ""
        said = [f"MASE and RMSSE divide the errors of a series by its changes over {rows}, in {known}{mean}."]
        number = int(next(iter(self.mase.values())).isnan().sum())
        repeats = "1 series, which repeats" if number == 1 else f"{number} series, which repeat"
        return said + [f"MASE and RMSSE leave out {repeats} exactly."] * (number > 0)


def scaled_errors(
    errors: Mapping[str, Errors], names: Sequence[str], known: Mapping[str, Sequence[Tensor]], season: int
) -> ScaledErrors:
    """Return the mean absolute and the root mean squared scaled error of several predictions, by their names.

    MASE = mean |y - f| / mean |x_t - x_(t-m)|, RMSSE = sqrt(mean (y - f)^2 / mean (x_t - x_(t-m))^2)
    (Hyndman and Koehler 2006; Makridakis et al. 2022), each the mean over targets. y are the targets of a series and f
    their predictions. x is what is known of the series, such as its training data. A series whose x repeats exactly is
    left out.

    Args:
        errors: f - y of each prediction, in the unit of the targets.
        names: (N,), the series that each of the N errors belongs to.
        known: x, by series; in parts (T, Y), between which no difference is taken.
        season: m, the rows of a season; 1 without one.
    """
    rows = _rows_of(names)
    shared = {id(known[name]): known[name] for name in rows}  # several series may share what is known
    sizes = {key: _sizes_of_steps(parts, season) for key, parts in shared.items()}
    absolute, squared = (torch.stack(one) for one in zip(*(sizes[id(known[name])] for name in rows), strict=True))
    repeats = ~(absolute > 0).all(1)
    found = ScaledErrors(list(rows), {}, {}, season)
    for name, error in errors.items():
        by_series = [_together(error, places).double() for places in rows.values()]
        mase = torch.stack([one.abs().nanmean(0) for one in by_series]) / absolute
        rmsse = (torch.stack([one.square().nanmean(0) for one in by_series]) / squared).sqrt()
        found.mase[name], found.rmsse[name] = (one.nanmean(1).masked_fill(repeats, torch.nan) for one in (mase, rmsse))
    return found


def squares_by_series(errors: Errors, names: Sequence[str]) -> list[float]:
    """Return the mean squared error of every series; the errors of one series are not independent of each other.

    Args:
        errors: of N predictions.
        names: (N,), the series that each belongs to.
    """
    return [float(_together(errors, places).square().nanmean()) for places in _rows_of(names).values()]


def mean_absolute(errors: Errors) -> float:
    """Return the mean absolute error over all known targets."""
    return float(torch.cat(list(errors)).abs().nanmean())


def errors_by_series(
    errors: Mapping[str, Errors],
    names: Sequence[str],
    scaled: ScaledErrors,
    counted: str = "",
    column: str | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each series: its name, and the RMSE, MAE, MASE and RMSSE of every prediction.

    None is not known.

    Args:
        errors: of each prediction, in the unit of the report.
        names: (N,), the series that each of the N errors belongs to.
        scaled: the result of `scaled_errors`.
        counted: the name of a column with the number of predictions of each series; none if it is empty.
        column: the name of the column of series; "series" by default.
    """
    rows, of_series = [], _rows_of(names)
    for place, (series, places) in enumerate(of_series.items()):
        row: dict[str, Any] = {column or "series": series, **({counted: len(places)} if counted else {})}
        for name, error in errors.items():
            own = _together(error, places).double()
            values = {
                "RMSE": float(own.square().nanmean().sqrt()),
                "MAE": float(own.abs().nanmean()),
                "MASE": float(scaled.mase[name][place]),
                "RMSSE": float(scaled.rmsse[name][place]),
            }
            row |= {f"{metric} of {name}": value if math.isfinite(value) else None for metric, value in values.items()}
        rows.append(row)
    return rows


def series_in_words(errors: Errors, baseline: Errors, names: Sequence[str], other: str) -> list[str]:
    """Return a sentence that counts the series whose error is lower than a baseline's, and names the worst one.

    Args:
        errors: of a model, of N predictions.
        baseline: the errors of a baseline.
        names: (N,), the series that each belongs to.
        other: the name of the baseline.
    """
    series = list(dict.fromkeys(names))
    if len(series) < 2:
        return []
    pairs = list(zip(squares_by_series(errors, names), squares_by_series(baseline, names), strict=True))
    better = sum(a < b for a, b in pairs)
    ratio, worst = max((a / b if b else float(a > 0), name) for (a, b), name in zip(pairs, series, strict=True))
    return [
        f"The model has a lower RMSE than {other} in {better} of {len(series)} series; it is worst in {worst!r}, with "
        f"{ratio**0.5:.3g} times that of {other}."
    ]


def _sizes_of_steps(parts: Sequence[Tensor], season: int) -> tuple[Tensor, Tensor]:
    """Return the mean absolute and mean squared differences between values one season apart, (Y,) each."""
    steps = torch.cat([x[season:] - x[:-season] for x in parts]).double()
    return steps.abs().nanmean(0), steps.square().nanmean(0)


def _rows_of(names: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def _together(errors: Errors, rows: Sequence[int]) -> Tensor:
    """Return the errors of some predictions, one after the other, (steps, Y)."""
    return torch.cat([errors[row] for row in rows])
