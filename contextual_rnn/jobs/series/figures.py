"""Figures of series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...data.series import Record
from ...study.figures import Figure, colour, finish, styled, subplots

if TYPE_CHECKING:
    from .model import SeriesModel


@styled
def plot_prediction(models: dict[str, Any], record: Record, steps: int = 150) -> Figure:
    """Draw the first steps of a series: one panel per target, measured, and predicted by every model.

    Args:
        models: by the kind of their initial state.
        record: the series.
        steps: the number of predicted steps to show.
    """
    model: SeriesModel = next(iter(models.values()))
    window, targets = model.settings.window, model.settings.targets
    part = record.part(0, window + steps)
    figure, axes = subplots(len(targets), width=9, height=3.2)
    for kind, model in models.items():
        (predicted,) = model.predictions([part])
        for place, column in zip(axes[:, 0], predicted.T, strict=True):
            place.plot(range(window, window + len(column)), column, color=colour(kind), label=kind)
    for place, target, column in zip(axes[:, 0], targets, part.targets.T, strict=True):
        place.plot(column, ":", color="black", linewidth=2, label="measured")
        if window:
            place.axvspan(-0.5, window - 0.5, color="grey", alpha=0.15, linewidth=0, label="known window")
        finish(place, "step", f"{target} (unit of the column)", f"series {record.name!r}")
    return figure
