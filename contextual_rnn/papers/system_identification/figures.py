"""The figure of `reproduce system-identification`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...study.figures import Figure, dots, finish, styled, subplots
from ...study.metric import Row
from ..experiment import values_of
from .records import Measured


@styled
def errors(runs: Sequence[Row], records: Mapping[str, Measured], window: int) -> Figure:
    """Draw the test error of every run with one window, a panel per record, with a line at every published error."""
    figure, axes = subplots(1, len(records), width=6, height=3)
    for place, (record, measured) in zip(axes[0], records.items(), strict=True):
        own = [run for run in runs if run["record"] == record and run["window"] == window]
        dots(place, values_of(own, "initial_state", "rmse"))
        for value in measured.benchmark.published.values():
            place.axvline(value, color="#BBBBBB", linewidth=0.8, label="published error of the whole record")
        finish(place, f"RMSE, {measured.benchmark.unit}", "", record)
    figure.suptitle(f"Errors after a window of {window} samples")
    return figure
