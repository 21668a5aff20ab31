"""Figures of series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..._core.records import Record
from ...data.series_axes import finish_times
from ...study.figures import PALETTE, Figure, colour, finish, styled, subplots
from .model import SeriesModel


@styled
def plot_prediction(models: Mapping[str, SeriesModel], record: Record, steps: int = 150) -> Figure:
    """Draw the first steps of a series: one panel per target, measured, and predicted by every model.

    Args:
        models: by the kind of their initial state.
        record: the series.
        steps: the number of predicted steps to show.
    """
    model = next(iter(models.values()))
    window, targets = model.settings.window, model.settings.targets
    part = record.part(0, window + steps)
    figure, axes = subplots(len(targets), width=8, height=2.8)
    x = np.arange(len(part)) if part.times is None else part.times
    for place, target, column in zip(axes[:, 0], targets, part.targets.T, strict=True):
        place.plot(x, model.coding.restored(target, column), ".", color="black", markersize=4, label="measured")
        if window:
            half = (x[1] - x[0]) / 2
            place.axvspan(x[0] - half, x[window - 1] + half, color="grey", alpha=0.2, linewidth=0, label="known window")
    for kind, model in models.items():
        (predicted,) = model.predictions([part])
        for place, target, column in zip(axes[:, 0], targets, predicted.T, strict=True):
            shown = model.coding.restored(target, column)
            place.plot(x[window:], shown, color=colour(kind), label=f"predicted from {kind}")
    for place, target in zip(axes[:, 0], targets, strict=True):
        title = [f"series {record.name}"] if model.settings.series else []
        title += [f"first {steps} of {len(record) - window} predicted steps"] if len(part) < len(record) else []
        finish_times(place, part.times, target, ", ".join(title) if place is axes[0, 0] else "")
    return figure


@styled
def plot_columns(columns: Mapping[str, np.ndarray], targets: Sequence[str], steps: int | None, title: str) -> Figure:
    """Draw one panel per target: measured, if it is in the frame, and predicted.

    Args:
        columns: of a `Prediction`, the rows (N,) of one series: `step`, the targets, and each with `_predicted`.
        targets: the names of the targets.
        steps: the number of predicted steps to show; None shows all.
        title: of the figure.
    """
    rows = slice(steps)
    figure, axes = subplots(len(targets), width=8, height=2.8)
    for place, target in zip(axes[:, 0], targets, strict=True):
        step = columns["step"][rows]
        if target in columns:
            place.plot(step, columns[target][rows], ".", color="black", markersize=3, label="measured")
        place.plot(step, columns[f"{target}_predicted"][rows], color=PALETTE[0], linewidth=1.2, label="predicted")
        finish(place, "step", target, title if place is axes[0, 0] else "")
    return figure
