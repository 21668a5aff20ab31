"""Differences between kinds of runs, the sentences that report them, and the answer of a comparison."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._core.choices import listed
from .intervals import (
    FEWEST,
    Estimate,
    adjusted,
    baseline_rows,
    mean_estimate,
    ratio_estimate,
    rmse_ratio,
    summarise,
    two_way_estimate,
)
from .metric import ItemMetric, Kind, Metric, Row

FEWEST_ITEMS = 40  # with fewer test items their intervals miss 95% (docs/results/interval_coverage.md)
FACTOR = "initial_state"


def difference(runs: Sequence[Row], a: Kind, b: Kind, metric: Metric) -> Row:
    """Compare kind `a` with kind `b`, paired by seed.

    Args:
        runs: as for `summarise`.
        a: the fields that identify the runs of the one kind, such as `{"initial_state": "context"}`.
        b: those of the other.
        metric: what to compare.

    Returns:
        `{"a", "b", "metric", "ratio" or "shift", "low", "high", "p", "detectable", "error", "freedom", "seeds"}`: the
        effect, its 95% interval, its two-sided p value, the effect that such runs find four times in five, and the
        standard error (of the logarithm of a ratio) with its degrees of freedom; `seeds` counts the seeds for which
        both kinds have the metric. All but the effect are None with fewer than 5 seeds. The effect is
        None too if there is no such seed, or if a value of a ratio is not positive.
    """
    first, second = _by_seed(runs, a, metric.key), _by_seed(runs, b, metric.key)
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        estimate = None
    elif metric.compared_by == "ratio":
        estimate = ratio_estimate([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    else:
        estimate = mean_estimate([first[seed] - second[seed] for seed in seeds])
    return _row(a, b, metric, estimate, len(seeds) >= FEWEST) | {"seeds": len(seeds)}


def difference_over_items(runs: Sequence[Row], a: Kind, b: Kind, metric: ItemMetric) -> Row:
    """Compare kind `a` with kind `b`, paired by seed and by test item, for other seeds and other items.

    The standard error is that of crossed random effects; see `intervals.two_way`. The arguments and the result are
    those of `difference`, with the number of items under the items' name. With fewer than
    40 items there is no interval.
    """
    by_seed = [{run["seed"]: run[metric.values] for run in _of(runs, kind)} for kind in (a, b)]
    seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
    first, second = (metric.factor * np.array([kind[seed] for seed in seeds], float) for kind in by_seed)
    items = first.shape[1] if seeds else 0
    estimate = None
    if seeds:
        estimate = rmse_ratio(first, second) if metric.compared_by == "ratio" else two_way_estimate(first - second)
    enough = len(seeds) >= FEWEST and items >= FEWEST_ITEMS
    return _row(a, b, metric, estimate, enough) | {"seeds": len(seeds), metric.items: items}


def _row(a: Kind, b: Kind, metric: Metric, estimate: Estimate | None, enough: bool) -> Row:
    effect = "ratio" if metric.compared_by == "ratio" else "shift"
    row: Row = {"a": label(a), "b": label(b), "metric": metric.key, effect: None, "low": None, "high": None}
    row |= {"p": None, "detectable": None, "error": None, "freedom": None}
    if estimate is None:
        return row
    interval = estimate.interval() if enough else estimate.without_interval()
    row |= {effect: interval.middle, "low": interval.low, "high": interval.high}
    if enough:
        row |= {"p": estimate.p_value(), "detectable": estimate.detectable()}
        row |= {"error": estimate.error, "freedom": estimate.freedom}
    return row


def label(kind: Kind) -> str:
    """Return the name of a kind: the values of its fields."""
    return ", ".join(str(value) for value in kind.values())


def told_apart(a: str, b: str) -> tuple[str, str]:
    """Return the names of two kinds without the values of fields, separated by commas, that both have."""
    parts = [name.split(", ") for name in (a, b)]
    if len(parts[0]) != len(parts[1]) or a == b:
        return a, b
    differ = [place for place, (one, other) in enumerate(zip(*parts, strict=True)) if one != other]
    first, second = (", ".join(several[place] for place in differ) for several in parts)
    return first, second


def found(row: Row) -> bool | None:
    """Return whether a difference is claimed; None if there is no interval.

    A primary difference is claimed if its interval excludes equality; a secondary one by its adjusted p value.
    """
    if row["low"] is None:
        return None
    if "p_adjusted" in row:
        return bool(row["p_adjusted"] < 0.05)
    equal = 1 if "ratio" in row else 0
    return not row["low"] <= equal <= row["high"]


def in_words(row: Row, metric: Metric, items: str | None = None) -> str:
    """Say a difference in one sentence, with its interval, or that none was found and which one could have been.

    Args:
        row: of `difference`, `difference_over_items` or `adjusted`.
        metric: what was compared.
        items: what the test items are called, where the claim is about other items too.
    """
    (a, b), effect = told_apart(row["a"], row["b"]), row.get("ratio", row.get("shift"))
    if effect is None and not row["seeds"]:
        return f"The {metric.name} of {a} and {b} cannot be compared, because no seed has both."
    if effect is None:
        return f"The {metric.name} of {a} and {b} cannot be compared as a ratio, because a value is not positive."
    seeds = f"{row['seeds']} seed{'s' * (row['seeds'] != 1)}"
    over = f"{row[items]} test {items} and {seeds}" if items else seeds
    if row["low"] is None:
        size = f"The {metric.name} of {a} is {_size(row, metric)} {b}, over {over}"
        few = items if items and row[items] < FEWEST_ITEMS else None
        needed = [f"{FEWEST} seeds"] * (row["seeds"] < FEWEST) + ([f"{FEWEST_ITEMS} test {few}"] if few else [])
        claim = f"at least {' and '.join(needed)} are needed to claim a difference{f' for other {few}' if few else ''}"
        return f"{size}; {claim if needed else 'no interval can be given'}."
    sign = "ratio" if "ratio" in row else "difference"
    interval = f"{sign} {effect:.3g}, 95% interval {row['low']:.3g} to {row['high']:.3g}{_adjustment(row)}, {over}"
    if not found(row):
        return f"No difference in {metric.name} was found between {a} and {b} ({interval}).{_power(row, metric)}"
    return f"The {metric.name} of {a} is {_size(row, metric)} {b} ({interval})."


def _adjustment(row: Row) -> str:
    if "p_adjusted" not in row:
        return ""
    p = f"p = {row['p_adjusted']:.2g}" if row["p_adjusted"] >= 0.001 else "p < 0.001"
    ends = f"{row['simultaneous_low']:.3g} to {row['simultaneous_high']:.3g}"
    return f", simultaneous with {row['claims']} claims {ends}, adjusted {p}" if row["claims"] > 1 else f", {p}"


def _power(row: Row, metric: Metric) -> str:
    """Return a sentence on the difference that would have been found; empty if the runs are all equal."""
    size = row["detectable"]
    if size == (1 if "ratio" in row else 0):
        return ""
    if "ratio" in row:
        amount = f"of {size - 1:.0%}" if 0.01 <= size - 1 < 1 else f"by a factor of {size:.3g}"
    else:
        amount = f"of {size:.3g}{_unit(metric)}"
    return f" These runs would find a true difference {amount} in four of five cases."


CONTROLS = ("zero", "none")  # values of a factor that leave a part of a model out


def control_of(values: Mapping[str, str]) -> str | None:
    """Return which of two variants is the control of a factor; None if neither leaves it out.

    Args:
        values: the value of the factor, by the name of the variant.
    """
    return next((name for name, value in values.items() if value in CONTROLS), None)


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to whether something matters: yes and by how much, no difference found, or too few runs.

    Args:
        subject: what may matter, such as "the initial state".
        row: of `difference` or `difference_over_items`; None where nothing was compared.
        metric: what was compared.
        items: what the test items are called, where the claim is about other items too.
        control: which of the kinds `a` and `b` is the control, such as a start from zero; None if neither is.
    """

    subject: str
    row: Row | None
    metric: Metric
    items: str | None = None
    control: str | None = None

    @property
    def matters(self) -> bool:
        """Whether a difference was found, and not in favour of the control."""
        return self.row is not None and bool(found(self.row)) and self._worse(self.row) in (self.control, None)

    def _worse(self, row: Row) -> str | None:
        """Return the worse kind of a difference that was found, if one of the kinds is the control."""
        if self.control is None:
            return None
        is_higher = row["ratio"] > 1 if "ratio" in row else row["shift"] > 0
        return str(row["a"] if is_higher != self.metric.higher_is_better else row["b"])

    def _shown(self, row: Row, name: str | None) -> str:
        """Return how sentences call a kind of a difference."""
        return dict(zip((row["a"], row["b"]), told_apart(row["a"], row["b"]), strict=True)).get(name, "")

    def in_words(self) -> str:
        """Return the question and its answer."""
        row, question = self.row, f"Does {self.subject} matter?"
        if row is None:
            return f"{question} Only one kind was trained, so there is nothing to compare."
        said = in_words(row, self.metric, self.items)
        if row["low"] is None:
            reason = "Not enough runs to tell." if row["seeds"] < FEWEST else "Undetermined."
            return f"{question} {reason} {said}"
        if not found(row):
            return f"{question} No difference was found. {said}"
        return (
            f"{question} Yes{'' if self.matters else f', but {self._shown(row, self._worse(row))} does worse'}. {said}"
        )

    def otherwise(self, rows: Sequence[Row]) -> str:
        """Return what else was found of the kind that is compared with a control, where it is not better.

        This is the first of its differences that was found; if none was, its comparison with a start from zero.

        Args:
            rows: the comparisons by the same metric, `row` among them.
        """
        main = self.row
        if main is None or found(main) is None or self.matters or self.control != main["b"]:
            return ""
        others = [row for row in rows if row["a"] == main["a"] and row is not main]
        chosen = [row for row in others if found(row)]
        chosen = chosen or [row for row in others if row["b"] == "zero" and found(row) is False]
        if not chosen:
            return ""
        said, is_found = in_words(chosen[0], self.metric, self.items), found(chosen[0])
        better = is_found and dataclasses.replace(self, row=chosen[0], control=chosen[0]["b"]).matters
        return f" But {said[0].lower()}{said[1:]}" if better else f" {said}"


def second_of(a: str, b: str) -> str:
    """Return the second of two kinds, which is the control unless a comparison says otherwise."""
    return b


def findings(
    runs: list[Row],
    pairs: Sequence[tuple[str, str, str]],
    metrics: Sequence[Metric],
    by_item: ItemMetric,
    baselines: dict[str, dict[str, float]],
    subject: str = "the initial state",
    primary: Sequence[tuple[str, str]] = (),
    shown: Sequence[Metric] = (),
    listed_only: Sequence[Metric] = (),
    control: Callable[[str, str], str | None] = second_of,
) -> dict[str, Any]:
    """Return the fields of a `Comparison` from `answer` to `metrics`.

    Args:
        runs: `{"initial_state": name of the kind, "seed": ..., "metrics": {key: value}}`, and the values of `by_item`.
        pairs: `(a, b, statement)` for every comparison of kind `a` with kind `b`; see `kinds.comparisons`.
        metrics: what to compare over seeds, on these test items; those that the runs lack are left out.
        by_item: what to compare for other test items too, if there are 40 or more.
        baselines: the metrics of every baseline, by its name.
        subject: what the answer is about.
        primary: `(a, b)`, in order of preference: the first one that was compared gives the answer, by `by_item` where
            there are enough items, else by the first of `metrics`. By default, the first of `pairs`.
        shown: further metrics for the table, which are not compared; those that the runs lack are left out.
        listed_only: metrics that are summarised alone, within their bounds.
        control: `control(a, b)` is the kind of a pair that is the control, or None; by default, the second one.
    """
    compared: list[tuple[Row, Metric, str | None]] = []
    metrics, shown = ([one for one in several if one.key in runs[0]["metrics"]] for several in (metrics, shown))
    many = len(runs[0][by_item.values]) >= FEWEST_ITEMS
    for a, b, statement in pairs:
        of = {FACTOR: a}, {FACTOR: b}
        compared += [({**difference(runs, *of, one), "meaning": statement}, one, None) for one in metrics]
        if many:
            row = {**difference_over_items(runs, *of, by_item), "meaning": statement}
            compared.append((row, by_item, by_item.items))
    first = _primary([row for row, metric, _ in compared if metric is (by_item if many else metrics[0])], primary)
    differences = adjusted([row for row, _, _ in compared], first)
    sentences: list[str] = []
    main: Row | None = None
    for row, (_, metric, items) in zip(differences, compared, strict=True):
        heading = f"{row['meaning']} ({row['a']} against {row['b']}):"
        if heading not in sentences:
            sentences.append(heading)
        sentences.append("  " + in_words(row, metric, items))
        main = row if row["family"] == "primary" else main
    metric, items = (by_item, by_item.items) if many else (metrics[0], None)
    rows = [row for row, (_, one, _) in zip(differences, compared, strict=True) if one is metric]
    reply = Answer(subject, main, metric, items, None if main is None else control(main["a"], main["b"]))
    return {
        "answer": reply.in_words() + reply.otherwise(rows),
        "matters": reply.matters,
        "runs": runs,
        "summary": summarise(runs, [FACTOR], [*metrics, *shown, *listed_only]) + baseline_rows(FACTOR, baselines),
        "differences": differences,
        "sentences": sentences + caution(differences, by_item, len(runs[0][by_item.values])),
        "metrics": [*metrics, *shown],
    }


def _primary(rows: list[Row], preferred: Sequence[tuple[str, str]]) -> Row | None:
    """Return the comparison that gives the answer: the first that is preferred, else the first of all."""
    for pair in preferred:
        for row in rows:
            if (row["a"], row["b"]) == pair:
                return row
    return rows[0] if rows else None


def worse_than_baselines(
    subject: str, error: float, baselines: dict[str, dict[str, float]], metric: Metric
) -> list[str]:
    """Return a sentence that names the baselines with a lower error than a model's; none if no baseline has one.

    Args:
        subject: the model, as the sentence begins, such as "On the test table, the model".
        error: the model's value of a metric that is to be low.
        baselines: the metrics of every baseline, by its name.
        metric: to compare by.
    """
    lower = [name for name, values in baselines.items() if values[metric.key] < error]
    return [f"{subject} has a higher {metric.name} than {listed(lower)}."] if lower else []


def kinds_worse_than_baselines(
    runs: Sequence[Row], baselines: dict[str, dict[str, float]], metrics: Sequence[Metric]
) -> list[str]:
    """Return a sentence for the kinds whose means over seeds are higher than the same baselines' values.

    Args:
        runs: as of `findings`.
        baselines: the metrics of every baseline, by its name.
        metrics: to compare by, which are to be low; those that the runs lack are left out.
    """
    means, sentences = summarise(runs, [FACTOR]), []
    for metric in metrics:
        behind: dict[tuple[str, ...], list[str]] = {}
        for row in means:
            if row["metric"] == metric.key:
                lower = tuple(name for name, one in baselines.items() if one.get(metric.key, math.inf) < row["mean"])
                behind.setdefault(lower, []).append(row[FACTOR])
        sentences += [
            f"{listed(kinds)} {'has' if len(kinds) == 1 else 'have'} a higher {metric.name} than {listed(lower)}."
            for lower, kinds in behind.items()
            if lower
        ]
    return sentences


def caution(differences: list[Row], by_item: ItemMetric, number: int) -> list[str]:
    """Return sentences on what the intervals hold for; an empty list if there are none.

    Args:
        differences: of `adjusted`.
        by_item: the metric of an item.
        number: of the test items.
    """
    items = by_item.items
    if all(row["low"] is None for row in differences):
        return []
    sentences = []
    if any(items not in row for row in differences):
        these = f"this test {by_item.item}" if number == 1 else f"these {number} test {items}"
        sentences.append(f"Intervals over seeds hold for other seeds on {these}, not for other {items}.")
    if 1 < number < FEWEST_ITEMS:
        sentences.append(f"A claim about other {items} takes at least {FEWEST_ITEMS} test {items}.")
    if any(row.get("claims", 0) > 1 for row in differences):
        sentences.append(
            "The answer's comparison was fixed before the runs. The others are claimed by p values that are adjusted "
            "for their number (Holm); the simultaneous intervals hold all together in 95% of cases (Bonferroni)."
        )
    return sentences


def _size(row: Row, metric: Metric) -> str:
    """Return by how much `a` is lower or higher, in words that end before the name of `b`."""
    if row.get("ratio") == 1 or row.get("shift") == 0:
        return "the same as that of"
    if "ratio" in row:
        ratio, change = row["ratio"], abs(1 - row["ratio"])
        if ratio >= 10:
            return f"{ratio:.3g} times that of"
        percent = f"{change:.0%}" if change >= 0.01 else f"{100 * change:.1g}%"
        return f"{percent} {'lower' if ratio < 1 else 'higher'} than that of"
    return f"{abs(row['shift']):.3g}{_unit(metric)} {'lower' if row['shift'] < 0 else 'higher'} than that of"


def _unit(metric: Metric) -> str:
    return " percentage points" if metric.unit == "%" else f" {metric.unit}" if metric.unit else ""


def _by_seed(runs: Sequence[Row], kind: Kind, metric: str) -> dict[int, float]:
    values = {run["seed"]: run["metrics"].get(metric) for run in _of(runs, kind)}
    return {seed: value for seed, value in values.items() if value is not None}


def _of(runs: Sequence[Row], kind: Kind) -> list[Row]:
    return [run for run in runs if all(run[key] == value for key, value in kind.items())]
