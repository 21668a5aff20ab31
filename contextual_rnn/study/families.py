"""Families of claims: one primary comparison, and secondary ones that are adjusted for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .intervals import Estimate, holm

Row = dict[str, Any]


def adjusted(rows: Sequence[Row], primary: Row | None) -> list[Row]:
    """Return differences with what is claimed of each: `family` "primary" or "secondary", and adjustments.

    The primary one keeps its 95% interval. Each secondary one also gets `p_adjusted` (Holm 1979), and
    `simultaneous_low` and `simultaneous_high`, the ends of intervals that all hold together in 95% of cases
    (Bonferroni); its `detectable` effect is that of the adjusted level. A row without an interval stays as it is.

    Args:
        rows: of `difference` or `difference_over_items`.
        primary: the one among them that was chosen before the runs; None if all are secondary.
    """
    secondary = [row for row in rows if row is not primary and row["p"] is not None]
    p_values = dict(zip(map(id, secondary), holm([row["p"] for row in secondary]), strict=True))
    found = []
    for row in rows:
        kept = {**row, "family": "primary" if row is primary else "secondary"}
        if id(row) in p_values:
            alpha, estimate = 0.05 / len(secondary), _estimate(row)
            wide = estimate.interval(alpha)
            kept |= {
                "p_adjusted": p_values[id(row)],
                "claims": len(secondary),
                "detectable": estimate.detectable(alpha),
            }
            kept |= {"simultaneous_low": wide.low, "simultaneous_high": wide.high}
        found.append(kept)
    return found


def _estimate(row: Row) -> Estimate:
    """Return the estimate that a row with an interval was made from."""
    is_log = "ratio" in row
    return Estimate(math.log(row["ratio"]) if is_log else row["shift"], row["error"], row["freedom"], is_log)
