"""Errors that compare series of any level: MASE and RMSSE; and in how many series a model is better than another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..._core.records import Record
from ...study.differences import Metric
from .metrics import squares_by_series

SCALED = (Metric("mase", "MASE"), Metric("rmsse", "RMSSE"))


def scaled_errors(
    errors: dict[str, Tensor], windows: Sequence[Record], training: Sequence[Record], past: int, season: int
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return the mean absolute and the root mean squared scaled error of several forecasts, by their names.

    MASE = mean |y - f| / mean |x_t - x_(t-m)|, RMSSE = sqrt(mean (y - f)^2 / mean (x_t - x_(t-m))^2)
    (Hyndman and Koehler 2006; Makridakis et al. 2022), each the mean over series and targets. y are the targets of all
    windows of a series and f their forecasts. x is the training series of that name; for a series that is not in the
    training table, the past of its windows. A series whose x repeats exactly is left out.

    Args:
        errors: f - y of each forecast, (N, horizon, Y), in the unit of the targets; NaN where y is missing.
        windows: N windows of past and horizon.
        training: the training series.
        past: the known steps of a window.
        season: m, the rows of a season; 1 without one.

    Returns:
        `{"mase": ..., "rmsse": ...}` for each forecast, empty if all series are left out; and a sentence that says how
        many are.
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
    usable = (absolute > 0).all(1)
    found: dict[str, dict[str, float]] = {}
    for name, error in errors.items():
        by_series = [error[rows].flatten(0, 1) for rows in places.values()]
        mase = torch.stack([one.abs().nanmean(0) for one in by_series]) / absolute
        rmsse = (torch.stack([one.square().nanmean(0) for one in by_series]) / squared).sqrt()
        means = [float(one[usable].nanmean()) for one in (mase, rmsse)]
        found[name] = dict(zip(("mase", "rmsse"), means, strict=True)) if bool(usable.any()) else {}
    number = int((~usable).sum())
    repeats = "1 series, which repeats" if number == 1 else f"{number} series, which repeat"
    return found, [f"MASE and RMSSE leave out {repeats} exactly."] if number else []


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
