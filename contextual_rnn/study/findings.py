"""What the runs of a comparison show: their differences, in rows and in words, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..kinds import possible_kinds
from .comparison import Rows
from .differences import (
    ItemMetric,
    Metric,
    Row,
    answer,
    baseline_rows,
    difference,
    difference_over_items,
    in_words,
    summarise,
)
from .settings import nearest

MANY_ITEMS = 10  # from this number on, differences are bootstrapped over the test items as well
FACTOR = "initial_state"


def kinds_to_compare(
    names: Sequence[str] | None, allowed: Sequence[str], window: int, context: Sequence[str]
) -> list[str]:
    """Return the names of the kinds to compare, each once.

    Args:
        names: those that were asked for; None or an empty list takes all that the window and the context allow.
        allowed: the names that the job knows.
        window: the number of known steps at the start of a series.
        context: the context columns.

    Raises:
        InputError: a name is not allowed.
    """
    if names is None or not len(names):
        return possible_kinds(window, context)
    for name in names:
        if name not in allowed:
            raise InputError(
                f"`initial_states` must be among {', '.join(allowed)}; found {name!r}{nearest(name, allowed)}"
            )
    return list(dict.fromkeys(names))


def findings(
    runs: list[Row],
    pairs: Sequence[tuple[str, str, str]],
    metrics: Sequence[Metric],
    by_item: ItemMetric,
    baselines: dict[str, dict[str, float]],
    subject: str = "the initial state",
) -> dict[str, Any]:
    """Return the fields `answer`, `runs`, `summary`, `differences`, `sentences`, `metrics` of a `Comparison`.

    Args:
        runs: `{"initial_state": name of the kind, "seed": ..., "metrics": {key: value}}`, and the values of `by_item`.
        pairs: `(a, b, statement)` for every comparison of kind `a` with kind `b`; see `kinds.comparisons`.
        metrics: what to compare; the first gives the answer.
        by_item: what to resample over test items, if there are many.
        baselines: the metrics of every baseline, by its name.
        subject: what the answer is about.
    """
    differences, sentences = [], []
    for a, b, statement in pairs:
        sentences.append(f"{statement} ({a} against {b}):")
        of = {FACTOR: a}, {FACTOR: b}
        rows: list[tuple[Row, Metric, str | None]] = [(difference(runs, *of, one), one, None) for one in metrics]
        if len(runs[0][by_item.values]) >= MANY_ITEMS:
            rows.append((difference_over_items(runs, *of, by_item), by_item, by_item.items))
        for row, metric, items in rows:
            differences.append({**row, "meaning": statement})
            sentences.append("  " + in_words(row, metric, items))
    return {
        "answer": answer(subject, _primary(differences, metrics[0]), metrics[0]),
        "runs": Rows(runs),
        "summary": Rows(summarise(runs, [FACTOR]) + baseline_rows(FACTOR, baselines)),
        "differences": Rows(differences),
        "sentences": sentences + _caution(differences, by_item.items),
        "metrics": metrics,
    }


def _primary(differences: list[Row], metric: Metric) -> Row | None:
    """Return the comparison that answers the question: of h0 = g(context) with zero, else the first."""
    rows = [row for row in differences if row["metric"] == metric.key]
    return next((row for row in rows if (row["a"], row["b"]) == ("context", "zero")), rows[0] if rows else None)


def _caution(differences: list[Row], items: str) -> list[str]:
    """Return a sentence about what the intervals do not say; nothing where there are no intervals."""
    claims = sum(row["low"] is not None for row in differences)
    if not claims:
        return []
    return [
        f"Intervals over seeds hold for other seeds on these test {items}, not for other {items}. The {claims} "
        "intervals are not corrected for their number: of twenty comparisons without a true difference, about one "
        "shows one."
    ]
