"""Intervals over the texts that models wrote, where seeds are too few, or too equal, for intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from ...study.intervals import correlation_interval, share_interval
from ...study.metric import Row
from .obtained import NEW, VALID, VALID_TEXTS, correlation_of, count_of, within_of

IN_WORDS = (
    "Intervals of shares and correlations are over texts: they hold for other texts of these models, not for models of "
    "other seeds."
)


def with_intervals_over_texts(summary: list[Row], runs: Sequence[Row], texts: int, columns: Sequence[str]) -> bool:
    """Give the rows of shares and correlations an interval over the texts of all seeds; return whether any got one.

    It is Wilson's or Fisher's, and the row then says `"over": "texts"`. The share of distinct texts gets none, because
    whether a text is distinct depends on the other ones.

    Args:
        summary: of `summarise`; its rows are changed.
        runs: as of `summarise`, with the numbers of valid texts.
        texts: the number of texts that each model wrote.
        columns: those that are checked.
    """
    counts = {VALID.key: "", NEW.key: VALID_TEXTS}  # the metric that is the number of texts; all texts for ""
    counts |= {of(column).key: count_of(column) for column in columns for of in (correlation_of, within_of)}
    correlations = {correlation_of(column).key for column in columns}
    changed = False
    for row in summary:
        key = row["metric"]
        of_kind = [run["metrics"] for run in runs if run["initial_state"] == row["initial_state"]]
        having = [metrics for metrics in of_kind if metrics.get(key) is not None]
        if key not in counts or not having or (row["low"] is not None and row["low"] < row["high"]):
            continue
        numbers = [metrics.get(counts[key], texts) for metrics in having]
        if key in correlations:
            found = correlation_interval(row["mean"], sum(number - 3 for number in numbers))
        else:
            found = share_interval(row["mean"], sum(numbers))
        row |= {"low": found.low, "high": found.high, "over": "texts"}
        changed = True
    return changed
