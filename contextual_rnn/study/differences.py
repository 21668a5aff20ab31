"""Summaries of runs over seeds, differences between kinds of runs, and the sentences that report them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

FEWEST = 5  # with fewer seeds an interval would say almost nothing, and none is given
MANY_ITEMS = 10  # from this number on, differences are bootstrapped over the test items as well
FACTOR = "initial_state"

Kind = dict[str, Any]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of a run.

    Attributes:
        key: its name in files.
        name: its name for readers, such as "validation RMSE".
        unit: in words; empty where it has none.
        compared_by: "ratio" for positive values, "difference" for values that may be negative or are percentages.
    """

    key: str
    name: str
    unit: str = ""
    compared_by: Literal["ratio", "difference"] = "ratio"

    @property
    def label(self) -> str:
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


@dataclasses.dataclass(frozen=True)
class ItemMetric(Metric):
    """A metric that a run has for every test item, so that differences can be resampled over items as well.

    Attributes:
        values: the field of a run that holds a value for every item; for a ratio, a mean squared error.
        items: what an item is called, in the plural.
        factor: what values are multiplied by, such as 100 for percentages.
    """

    values: str = ""
    items: str = "items"
    factor: float = 1.0


def summarise(runs: Sequence[Row], factors: Sequence[str]) -> list[Row]:
    """Return the mean, median and 95% interval over seeds of every metric of every kind.

    Seeds without a value, such as the epoch at which an accuracy is first reached, are left out: `seeds` counts the
    seeds with a value, and `of` counts all of them. A metric that no seed of a kind has gets no row.

    Args:
        runs: `{"seed", "metrics": {key: value}}` and the factors.
        factors: the fields that distinguish kinds, such as `["initial_state"]`.
    """
    rows = []
    for kind, members in _groups(runs, factors):
        for metric in dict.fromkeys(name for run in members for name in run["metrics"]):
            values = [run["metrics"][metric] for run in members if run["metrics"].get(metric) is not None]
            if not values:
                continue
            interval = mean_interval(values)
            rows.append(
                {
                    **kind,
                    "metric": metric,
                    "mean": interval.middle,
                    "median": float(np.median(values)),
                    "low": interval.low,
                    "high": interval.high,
                    "seeds": len(values),
                    "of": len(members),
                }
            )
    return rows


def baseline_rows(factor: str, baselines: dict[str, dict[str, float]]) -> list[Row]:
    """Return summary rows for baselines, which no seed varies: `{name: {metric key: value}}`."""
    empty = {"low": None, "high": None, "seeds": 0, "of": 0}
    return [
        {factor: name, "metric": key, "mean": value, "median": value, **empty}
        for name, metrics in baselines.items()
        for key, value in metrics.items()
    ]


def difference(runs: Sequence[Row], a: Kind, b: Kind, metric: Metric) -> Row:
    """Compare kind `a` with kind `b`, paired by seed.

    Args:
        runs: as for `summarise`.
        a: the fields that identify the runs of the one kind, such as `{"initial_state": "context"}`.
        b: those of the other.
        metric: what to compare.

    Returns:
        `{"a", "b", "metric", "ratio" or "shift", "low", "high", "seeds"}`, where `seeds` counts the seeds for which
        both kinds have the metric. The ends of the interval are None with fewer than 5 seeds. The effect is None
        too if there is no such seed, or if a value of a ratio is not positive.
    """
    first, second = _by_seed(runs, a, metric.key), _by_seed(runs, b, metric.key)
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        interval = Interval(None, None, None)
    elif metric.compared_by == "ratio":
        interval = ratio_interval([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    else:
        interval = mean_interval([first[seed] - second[seed] for seed in seeds])
    return _row(a, b, metric, interval) | {"seeds": len(seeds)}


def difference_over_items(runs: Sequence[Row], a: Kind, b: Kind, metric: ItemMetric) -> Row:
    """Compare kind `a` with kind `b` by a bootstrap over test items and seeds, both resampled in pairs.

    The arguments and the result are those of `difference`, with the number of items under the items' name.
    """
    first, second = (
        metric.factor * np.array([run[metric.values] for run in _of(runs, kind)], float) for kind in (a, b)
    )
    bootstrap: Callable[..., Interval] = bootstrap_ratio if metric.compared_by == "ratio" else bootstrap_shift
    interval = bootstrap(first, second)
    return _row(a, b, metric, interval) | {"seeds": len(first), metric.items: first.shape[1]}


def _row(a: Kind, b: Kind, metric: Metric, interval: Interval) -> Row:
    effect = "ratio" if metric.compared_by == "ratio" else "shift"
    ends = {"low": interval.low, "high": interval.high}
    return {"a": label(a), "b": label(b), "metric": metric.key, effect: interval.middle, **ends}


def label(kind: Kind) -> str:
    """Return the name of a kind: the values of its fields."""
    return ", ".join(str(value) for value in kind.values())


def found(row: Row) -> bool | None:
    """Return whether the interval of a difference excludes equality; None if there is no interval."""
    if row["low"] is None:
        return None
    equal = 1 if "ratio" in row else 0
    return not row["low"] <= equal <= row["high"]


def in_words(row: Row, metric: Metric, items: str | None = None) -> str:
    """Say a difference in one sentence, with its interval, or that none was found.

    Args:
        row: of `difference` or `difference_over_items`.
        metric: what was compared.
        items: what the test items are called, where they were resampled.
    """
    a, b, effect = row["a"], row["b"], row.get("ratio", row.get("shift"))
    if effect is None and not row["seeds"]:
        return f"The {metric.name} of {a} and {b} cannot be compared, because no seed has both."
    if effect is None:
        return f"The {metric.name} of {a} and {b} cannot be compared as a ratio, because a value is not positive."
    seeds = f"{row['seeds']} seed{'s' * (row['seeds'] != 1)}"
    if row["low"] is None:
        size = f"The {metric.name} of {a} is {_size(row, metric)} {b}, over {seeds}"
        if row["seeds"] < FEWEST:
            return f"{size}; at least {FEWEST} seeds are needed to claim a difference."
        return f"{size}; no interval can be given, because too many of the resampled values are 0."
    over = f"{row[items]} test {items} and {seeds}" if items else seeds
    sign = "ratio" if "ratio" in row else "difference"
    interval = f"{sign} {effect:.3g}, 95% interval {row['low']:.3g} to {row['high']:.3g}, {over}"
    if not found(row):
        return f"No difference in {metric.name} was found between {a} and {b} ({interval})."
    return f"The {metric.name} of {a} is {_size(row, metric)} {b} ({interval})."


def answer(subject: str, row: Row | None, metric: Metric, items: str | None = None) -> str:
    """Return a short answer to whether something matters: yes and by how much, no difference found, or too few runs.

    Args:
        subject: what may matter, such as "the initial state".
        row: of `difference` or `difference_over_items`; None where nothing was compared.
        metric: what was compared.
        items: what the test items are called, where they were resampled.
    """
    if row is None:
        return f"Does {subject} matter? Only one kind was trained, so there is nothing to compare."
    if row["low"] is None:
        reason = "Not enough runs to tell." if row["seeds"] < FEWEST else "Undetermined."
        return f"Does {subject} matter? {reason} {in_words(row, metric, items)}"
    if not found(row):
        return f"Does {subject} matter? No difference was found. {in_words(row, metric, items)}"
    return f"Does {subject} matter? Yes. {in_words(row, metric, items)}"


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
    differences: list[Row] = []
    sentences = []
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
        "runs": runs,
        "summary": summarise(runs, [FACTOR]) + baseline_rows(FACTOR, baselines),
        "differences": differences,
        "sentences": sentences + _caution(differences, by_item.items),
        "metrics": metrics,
    }


def _primary(differences: list[Row], metric: Metric) -> Row | None:
    """Return the comparison that gives the answer: that of context with zero, else the first."""
    rows = [row for row in differences if row["metric"] == metric.key]
    return next((row for row in rows if (row["a"], row["b"]) == ("context", "zero")), rows[0] if rows else None)


def _caution(differences: list[Row], items: str) -> list[str]:
    """Return a sentence on the limits of the intervals; an empty list if there are none."""
    claims = sum(row["low"] is not None for row in differences)
    if not claims:
        return []
    return [
        f"Intervals over seeds hold for other seeds on these test {items}, not for other {items}. The {claims} "
        "intervals are not corrected for their number: if there are no true differences, about one interval in "
        "twenty still excludes equality."
    ]


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
    points = " percentage points" if metric.unit == "%" else f" {metric.unit}" if metric.unit else ""
    return f"{abs(row['shift']):.3g}{points} {'lower' if row['shift'] < 0 else 'higher'} than that of"


def _groups(runs: Sequence[Row], factors: Sequence[str]) -> Iterator[tuple[Kind, list[Row]]]:
    kinds = list(dict.fromkeys(tuple(run[factor] for factor in factors) for run in runs))
    for kind in kinds:
        fields = dict(zip(factors, kind, strict=True))
        yield fields, _of(runs, fields)


def _by_seed(runs: Sequence[Row], kind: Kind, metric: str) -> dict[int, float]:
    values = {run["seed"]: run["metrics"].get(metric) for run in _of(runs, kind)}
    return {seed: value for seed, value in values.items() if value is not None}


def _of(runs: Sequence[Row], kind: Kind) -> list[Row]:
    return [run for run in runs if all(run[key] == value for key, value in kind.items())]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval, whose ends are None if no interval can be given.

    Everything is None for a ratio of values that are not positive.
    """

    middle: float | None
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean and its 95% t interval, which describes the variation between training runs only."""
    mean = float(np.mean(values))
    half = _half_width(values)
    return Interval(mean, None, None) if half is None else Interval(mean, mean - half, mean + half)


def ratio_interval(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return the ratio a / b, the exponential of the mean paired log-ratio over seeds, with its 95% t interval.

    Everything is None if a value is not positive.
    """
    if min(*a, *b) <= 0:
        return Interval(None, None, None)
    logs = [math.log(x / y) for x, y in zip(a, b, strict=True)]
    interval = mean_interval(logs)
    return Interval(*(None if end is None else math.exp(end) for end in (interval.middle, interval.low, interval.high)))


def bootstrap_ratio(a: np.ndarray, b: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the ratio of root mean squared errors, a / b, with its 95% percentile bootstrap interval.

    Seeds and items are both resampled, in pairs. A percentile bootstrap of few things is too narrow: in simulations
    of five seeds the intervals covered the truth in 87% of cases where seeds cause the variation, in 90% with ten
    items, and in 93 to 95% where forty or more items cause most of it (`python -m benchmarks interval_coverage`).

    Args:
        a: (S, N) mean squared error of each of N test items after training with each of S seeds.
        b: (S, N) the same of the other kind.
        draws: the number of resamples.
        seed: of the resampling.

    Returns:
        The interval. Its ends are None with fewer than 5 seeds, and where many resamples have an error of 0; everything
        is None if the mean error of a kind is 0.
    """
    if min(a.mean(), b.mean()) <= 0:
        return Interval(None, None, None)
    middle = float(np.sqrt(a.mean() / b.mean()))
    if len(a) < FEWEST:
        return Interval(middle, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.sqrt(a[rows].mean() / b[rows].mean()) for rows in _resamples(a.shape, draws, seed)]
        low, high = _central(ratios)
    finite = math.isfinite(low) and math.isfinite(high)
    return Interval(middle, low, high) if finite else Interval(middle, None, None)


def bootstrap_mean(values: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the mean of (S, N) values of N test items after training with S seeds, with its 95% bootstrap interval.

    Seeds and items are both resampled; with one seed, only items are.
    """
    means = [values[rows].mean() for rows in _resamples(values.shape, draws, seed)]
    return Interval(float(values.mean()), *_central(means))


def bootstrap_means(values: np.ndarray, draws: int = 2000, seed: int = 0) -> list[Interval]:
    """Return the intervals of `bootstrap_mean` for each of K quantities (K, S, N), all from the same resamples."""
    rows = _resamples(values.shape[1:], draws, seed)
    means = np.array([values[:, seeds, items].mean(axis=(1, 2)) for seeds, items in rows])
    return [Interval(float(one.mean()), *_central(drawn)) for one, drawn in zip(values, means.T, strict=True)]


def bootstrap_shift(a: np.ndarray, b: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the difference of means, a - b, with its 95% percentile bootstrap interval.

    The arguments are those of `bootstrap_ratio`, with values that may be negative.
    """
    middle = float(a.mean() - b.mean())
    if len(a) < FEWEST:
        return Interval(middle, None, None)
    shifts = [(a[rows] - b[rows]).mean() for rows in _resamples(a.shape, draws, seed)]
    return Interval(middle, *_central(shifts))


def _resamples(shape: tuple[int, ...], draws: int, seed: int) -> Iterator[Any]:
    """Yield the indices of resampled seeds and items."""
    random = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.ix_(*(random.integers(size, size=size) for size in shape))


def _central(values: Any) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _half_width(values: Sequence[float]) -> float | None:
    if len(values) < FEWEST:
        return None
    from scipy import stats

    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
