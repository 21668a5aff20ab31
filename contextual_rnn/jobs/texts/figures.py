"""Figures of texts that were written for values asked for."""

from __future__ import annotations

import math

from ...study.figures import Figure, finish, styled, subplots
from ...study.metric import Row

ACROSS = 3  # panels in a row


@styled
def asked_and_obtained(deciles: list[Row]) -> Figure:
    """Draw the mean of the values obtained against that of those asked for, one panel for each column.

    Args:
        deciles: the rows of `obtained.mean_deciles`.
    """
    columns = list(dict.fromkeys(row["column"] for row in deciles))
    figure, axes = subplots(math.ceil(len(columns) / ACROSS), min(len(columns), ACROSS), width=4, height=3.4)
    for place in axes.flat[len(columns) :]:
        place.axis("off")
    for place, column in zip(axes.flat, columns, strict=False):
        rows = [row for row in deciles if row["column"] == column and row["obtained"] is not None]
        for kind in dict.fromkeys(row["context_in"] for row in rows):
            drawn = [row for row in rows if row["context_in"] == kind]
            place.plot([row["asked"] for row in drawn], [row["obtained"]["middle"] for row in drawn], "o-", label=kind)
        asked = [row["asked"] for row in rows]
        ends = [min(asked, default=0), max(asked, default=0)]
        place.plot(ends, ends, color="black", linestyle=":", linewidth=1, label="as asked for")
        finish(place, f"{column} asked for", f"{column} obtained")
    figure.suptitle("Means by tenths of the values asked for")
    return figure
