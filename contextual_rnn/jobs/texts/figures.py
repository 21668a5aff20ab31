"""Figures of texts that were written for values asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...study.figures import Figure, colours, finish, styled, subplots
from ...study.metric import Row

ACROSS = 3  # panels in a row


@styled
def asked_and_obtained(deciles: list[Row], tolerances: Mapping[str, float]) -> Figure:
    """Draw the mean of the values obtained against that of those asked for, one panel for each column.

    Args:
        deciles: the rows of `obtained.mean_deciles`.
        tolerances: for each column, the largest difference that is within the tolerance.
    """
    columns = list(dict.fromkeys(row["column"] for row in deciles))
    drawn_in = colours(dict.fromkeys(row["context_in"] for row in deciles))
    figure, axes = subplots(math.ceil(len(columns) / ACROSS), min(len(columns), ACROSS), width=4, height=3.4)
    for place in axes.flat[len(columns) :]:
        place.axis("off")
    for place, column in zip(axes.flat, columns, strict=False):
        rows = [row for row in deciles if row["column"] == column and row["obtained"] is not None]
        for kind in dict.fromkeys(row["context_in"] for row in rows):
            drawn = [row for row in rows if row["context_in"] == kind]
            obtained = [row["obtained"]["middle"] for row in drawn]
            place.plot([row["asked"] for row in drawn], obtained, "o-", color=drawn_in[kind], label=kind)
        asked = [row["asked"] for row in rows]
        ends = [min(asked, default=0), max(asked, default=0)]
        place.plot(ends, ends, color="black", linestyle=":", linewidth=1, label="as asked for")
        title, allowed = "", tolerances.get(column)
        if allowed is not None:
            below, above = ([end + shift for end in ends] for shift in (-allowed, allowed))
            place.fill_between(ends, below, above, color="black", alpha=0.08, linewidth=0, label="within the tolerance")
            title = f"tolerance ±{allowed:.3g}"
        finish(place, f"{column} asked for", f"{column} obtained", title)
    figure.suptitle("Means by tenths of the values asked for")
    return figure
