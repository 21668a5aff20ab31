"""`Metric`, which says what a number of a run is, and the dicts that hold the numbers of runs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

Kind = dict[str, Any]  # the fields that identify the runs of a kind, such as {"initial_state": "context"}
Bounds = tuple[float, float]  # that no value of a metric is below or above
SHARE: Bounds = (0.0, 100.0)  # of a share in per cent
RATE: Bounds = (0.0, math.inf)  # of a rate of errors, which may exceed 100%
CORRELATION: Bounds = (-1.0, 1.0)
Row = dict[str, Any]  # of a table: a run with its metrics, a mean over runs, or a difference


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of a run.

    Attributes:
        key: its name in files.
        name: its name for readers, such as "validation RMSE".
        unit: in words; empty where it has none.
        compared_by: "ratio" for positive values, "difference" for values that may be negative or are percentages.
        of_targets: whether its unit is that of the targets, which differs between data.
        higher_is_better: whether a higher value is better, as of an accuracy.
        bounds: the least and the largest value that is possible, which intervals of a mean over seeds respect; None
            leaves these intervals symmetric.
    """

    key: str
    name: str
    unit: str = ""
    compared_by: Literal["ratio", "difference"] = "ratio"
    of_targets: bool = dataclasses.field(default=False, kw_only=True)
    higher_is_better: bool = dataclasses.field(default=False, kw_only=True)
    bounds: Bounds | None = dataclasses.field(default=None, kw_only=True)


@dataclasses.dataclass(frozen=True)
class ItemMetric(Metric):
    """A metric that a run has for every test item, so that a claim can be about other items too.

    Attributes:
        values: the field of a run that holds a value for every item; for a ratio, a mean squared error.
        items: what items are called.
        item: what one of them is called.
        factor: what values are multiplied by, such as 100 for percentages.
    """

    values: str = ""
    items: str = "items"
    item: str = "item"
    factor: float = 1.0
