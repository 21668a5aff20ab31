"""Axes of curves over time: compact dates, and one y axis where no curve is flat then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from ..study.figures import finish


def finish_times(axes: Axes, times: np.ndarray | None, y: str, title: str = "") -> None:
    """Label the axes of a series: few, compact dates if its times are known, else steps."""
    finish(axes, "step" if times is None else "", y, title)
    if times is not None:
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def share_y_where_alike(row: Sequence[Axes]) -> None:
    """Give panels one y axis, unless that makes the curve of one of them flat: less than a fifth as high."""
    limits = [axes.get_ylim() for axes in row]
    low, high = min(bottom for bottom, _ in limits), max(top for _, top in limits)
    if all(5 * (top - bottom) >= high - low for bottom, top in limits):
        for place, axes in enumerate(row):
            axes.set_ylim(low, high)
            axes.tick_params(labelleft=place == 0)
