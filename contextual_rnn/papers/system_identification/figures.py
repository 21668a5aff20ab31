"""The figure of `reproduce system-identification`."""

from __future__ import annotations

from collections.abc import Sequence

from ...study.differences import Row
from ...study.figures import Figure, dots, finish, styled, subplots
from ..experiment import values_of
from .records import BENCHMARKS


@styled
def errors(runs: Sequence[Row], records: Sequence[str], window: int) -> Figure:
    """Draw the test error of every run with one window, a panel per record, with a line at every published error."""
    figure, axes = subplots(1, len(records), width=6, height=3)
    for place, record in zip(axes[0], records, strict=True):
        own = [run for run in runs if run["record"] == record and run["window"] == window]
        dots(place, values_of(own, "initial_state", "rmse"))
        for value in BENCHMARKS[record].published.values():
            place.axvline(value, color="#BBBBBB", linewidth=0.8)
        finish(place, f"RMSE, {BENCHMARKS[record].unit}", "", f"{record}, window {window}", legend=False)
    figure.suptitle("Dot: one seed; bar: median; line: a published error of the whole record")
    return figure
