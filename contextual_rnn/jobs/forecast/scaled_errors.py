"""Errors that compare series of any level: MASE and RMSSE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ...data.series import Record
from ...study.differences import Metric

SCALED = (Metric("mase", "MASE"), Metric("rmsse", "RMSSE"))


def scaled_errors(
    forecast: Callable[[Sequence[Record]], Iterable[Tensor]],
    windows: Sequence[Record],
    training: Sequence[Record],
    past: int,
    season: int,
) -> dict[str, float]:
    """Return the mean absolute and the root mean squared scaled error, each the mean over series and targets.

    MASE = mean |y - f| / mean |x_t - x_(t-m)|, RMSSE = sqrt(mean (y - f)^2 / mean (x_t - x_(t-m))^2)
    (Hyndman and Koehler 2006; Makridakis et al. 2022). y are the targets of all windows of a series and f their
    forecasts. x is the training series of that name; for a series that is not in the training table, the past of its
    windows. A series whose x repeats exactly is left out.

    Args:
        forecast: windows to their forecasts (horizon, Y).
        windows: N windows of past and horizon; NaN is a missing target, and is left out.
        training: the training series.
        past: the known steps of a window.
        season: m, the rows of a season; 1 without one.
    """
    errors: dict[str, list[Tensor]] = {}
    known: dict[str, list[Tensor]] = {}
    for window, predicted in zip(windows, forecast(windows), strict=True):
        errors.setdefault(window.name, []).append((predicted - window.targets[past:]).double())
        known.setdefault(window.name, []).append(window.targets[:past])
    known |= {record.name: [record.targets] for record in training if record.name in errors}
    ratios = []
    for name, several in errors.items():
        steps = torch.cat([x[season:].double() - x[: len(x) - season] for x in known[name]])
        error = torch.cat(several)
        absolute, squared = error.abs().nanmean(0), error.square().nanmean(0)
        ratios.append(
            torch.stack([absolute / steps.abs().nanmean(0), (squared / steps.square().nanmean(0)).sqrt()], dim=1)
        )
    together = torch.cat(ratios)
    together = together[together.isfinite().all(1)]
    return dict(zip((metric.key for metric in SCALED), together.mean(0).tolist(), strict=True)) if len(together) else {}


def series_in_words(model: Sequence[float], baseline: Sequence[float], names: Sequence[str], other: str) -> list[str]:
    """Return a sentence that counts the series whose error is lower than a baseline's, and names the worst one.

    Args:
        model: the mean squared error of each of several series.
        baseline: that of a baseline.
        names: of the series.
        other: the name of the baseline.
    """
    if len(names) < 2:
        return []
    better = sum(a < b for a, b in zip(model, baseline, strict=True))
    ratio, worst = max((a / b if b else float(a > 0), name) for a, b, name in zip(model, baseline, names, strict=True))
    return [
        f"The model has a lower RMSE than {other} in {better} of {len(names)} series; it is worst in {worst!r}, with "
        f"{ratio**0.5:.3g} times that of {other}."
    ]
