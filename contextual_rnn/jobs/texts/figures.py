"""Figures of texts that were written for values asked for."""

from __future__ import annotations

from ...study.differences import Row
from ...study.figures import Figure, finish, styled, subplots


@styled
def asked_and_obtained(deciles: list[Row]) -> Figure:
    """Draw the mean of the values obtained against that of those asked for, one panel for each column.

    Args:
        deciles: the rows of `obtained.mean_deciles`.
    """
    columns = list(dict.fromkeys(row["column"] for row in deciles))
    figure, axes = subplots(1, max(len(columns), 1), width=4, height=3.6)
    for place, column in zip(axes[0], columns, strict=False):
        rows = [row for row in deciles if row["column"] == column and row["obtained"] is not None]
        for kind in dict.fromkeys(row["context_in"] for row in rows):
            drawn = [row for row in rows if row["context_in"] == kind]
            place.plot([row["asked"] for row in drawn], [row["obtained"]["middle"] for row in drawn], "o-", label=kind)
        asked = [row["asked"] for row in rows]
        place.plot(asked, asked, color="black", linestyle=":", linewidth=1, label="as asked")
        finish(place, f"{column} asked for", f"{column} obtained")
    figure.suptitle("Means by tenths of the values asked for")
    return figure
