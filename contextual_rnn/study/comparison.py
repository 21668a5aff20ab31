"""What the results of several runs say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .intervals import bootstrap_ratio, bootstrap_shift, mean_interval, ratio_interval


def summarise(runs: Sequence[dict[str, Any]], factors: Sequence[str]) -> list[dict[str, Any]]:
    """Return, for every metric of every kind, its mean, median and interval over the seeds that have it, of so many.

    Args:
        runs: `{"initial_state", "seed", "metrics": {name: value}}`, and other factors where the comparison has them.
        factors: the fields that tell kinds apart, such as `["initial_state"]`.
    """
    rows = []
    for kind, members in _groups(runs, factors):
        for metric in members[0]["metrics"]:
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


def difference(runs: Sequence[dict[str, Any]], a: dict[str, Any], b: dict[str, Any], metric: str) -> dict[str, Any]:
    """Return the ratio of a metric, kind `a` over kind `b`, paired by seed: `{"a", "b", "metric", "ratio", ...}`.

    Args:
        runs: as for `summarise`.
        a: the fields that the runs of the one kind have, such as `{"initial_state": "context"}`.
        b: those of the other.
        metric: its name; its values must be positive.
    """
    first, second = _by_seed(runs, a, metric), _by_seed(runs, b, metric)
    seeds = sorted(first.keys() & second.keys())
    interval = ratio_interval([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    return {
        "a": label(a),
        "b": label(b),
        "metric": metric,
        "ratio": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": len(seeds),
    }


def shift(runs: Sequence[dict[str, Any]], a: dict[str, Any], b: dict[str, Any], metric: str) -> dict[str, Any]:
    """Return by how much kind `a` exceeds kind `b` in a metric whose values may be negative, such as nats.

    Paired by seed: `{"a", "b", "metric", "shift", ...}`; the arguments are those of `difference`.
    """
    first, second = _by_seed(runs, a, metric), _by_seed(runs, b, metric)
    seeds = sorted(first.keys() & second.keys())
    interval = mean_interval([first[seed] - second[seed] for seed in seeds])
    return {
        "a": label(a),
        "b": label(b),
        "metric": metric,
        "shift": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": len(seeds),
    }


def bootstrap_nats(runs: Sequence[dict[str, Any]], a: str, b: str) -> dict[str, Any]:
    """Return the difference in nats a step over test series; series and seeds are drawn again in pairs."""
    first, second = (
        np.array([run["nats_by_series"] for run in runs if run["initial_state"] == kind]) for kind in (a, b)
    )
    interval = bootstrap_shift(first, second)
    return {
        "a": a,
        "b": b,
        "metric": "nats_per_step",
        "shift": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": len({run["seed"] for run in runs}),
        "series": first.shape[1],
    }


def bootstrap_difference(runs: Sequence[dict[str, Any]], a: str, b: str) -> dict[str, Any]:
    """Return the ratio of root mean squared errors over test series; series and seeds are drawn again in pairs."""
    first, second = (
        np.array([run["squared_error_by_series"] for run in runs if run["initial_state"] == kind]) for kind in (a, b)
    )
    interval = bootstrap_ratio(first, second)
    seeds = len({run["seed"] for run in runs})
    return {
        "a": a,
        "b": b,
        "metric": "series_rmse",
        "ratio": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": seeds,
        "series": first.shape[1],
    }


def bootstrap_shares(runs: Sequence[dict[str, Any]], a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Return by how many points kind `a` exceeds kind `b` in the share of words that are wrong.

    Args:
        runs: each with `wrong`, whether each test word is.
        a: the fields that the runs of the one kind have.
        b: those of the other; only values that differ from it name a kind. Words and seeds are drawn again in pairs.
    """
    first, second = (100 * np.array([run["wrong"] for run in _of(runs, kind)], dtype=float) for kind in (a, b))
    interval = bootstrap_shift(first, second)
    unlike = [key for key in a if a[key] != b[key]]
    return {
        "a": label({key: a[key] for key in unlike}),
        "b": label({key: b[key] for key in unlike}),
        "metric": "word_error_rate",
        "shift": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": len(first),
        "words": first.shape[1],
    }


def table(summary: Sequence[dict[str, Any]], metrics: Sequence[str], kind_of: str = "h0") -> str:
    """Return the medians and means, with intervals, as a table for the terminal: a row a kind, best median first."""
    kinds = list(dict.fromkeys(row["initial_state"] for row in summary))
    cells = {(row["initial_state"], row["metric"]): row for row in summary}
    kinds.sort(key=lambda kind: cells[kind, metrics[0]]["median"])
    rows = [[kind_of, *(f"{metric}: median, mean [95 %]" for metric in metrics)]]
    rows += [[kind, *(_cell(cells[kind, metric]) for metric in metrics)] for kind in kinds]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cell(row: dict[str, Any]) -> str:
    if not row["seeds"]:
        return f"{row['median']:.4g}"
    interval = "" if row["low"] is None else f" [{row['low']:.4g}, {row['high']:.4g}]"
    return f"{row['median']:.4g}, {row['mean']:.4g}{interval}"


def label(kind: dict[str, Any]) -> str:
    """Return the name of a kind: the values that tell it apart."""
    return ", ".join(str(value) for value in kind.values())


def in_words(difference: dict[str, Any]) -> str:
    """Say a difference of an error as a sentence, with its interval, or that none was found."""
    if "shift" in difference:
        return _shift_in_words(difference)
    a, b, metric, seeds = (difference[key] for key in ("a", "b", "metric", "seeds"))
    if difference["ratio"] is None:
        return f"The {metric} of {a} and {b} cannot be compared as a ratio: one of them is 0."
    if difference["low"] is None:
        times = f"{difference['ratio']:.3g} times that of {b} over {seeds} seed{'s' * (seeds != 1)}"
        return f"The {metric} of {a} is {times}, too few to claim a difference."
    low, high, ratio = difference["low"], difference["high"], difference["ratio"]
    interval = _interval_in_words(difference)
    if low <= 1 <= high:
        return f"No difference was found in {metric} between {a} and {b} (ratio {ratio:.3g}, {interval})."
    word = "lower" if ratio < 1 else "higher"
    return f"The {metric} of {a} is {abs(1 - ratio):.0%} {word} than that of {b} (ratio {ratio:.3g}, {interval})."


def _shift_in_words(shift: dict[str, Any]) -> str:
    a, b, metric, by = (shift[key] for key in ("a", "b", "metric", "shift"))
    if shift["low"] is None:
        seeds = f"{shift['seeds']} seed{'s' * (shift['seeds'] != 1)}"
        return f"The {metric} of {a} less that of {b} is {by:.3g} over {seeds}, too few to claim a difference."
    if shift["low"] <= 0 <= shift["high"]:
        interval = f"{by:.3g}, {_interval_in_words(shift)}"
        return f"No difference was found in {metric} between {a} and {b} ({interval})."
    word = "lower" if by < 0 else "higher"
    points = " points" * metric.endswith("rate")  # rates are in %
    return (
        f"The {metric} of {a} is {abs(by):.3g}{points} {word} than that of {b} ({by:.3g}, {_interval_in_words(shift)})."
    )


def _interval_in_words(difference: dict[str, Any]) -> str:
    drawn = [f"{difference[of]} test {of}" for of in ("series", "words") if of in difference]
    count = drawn[0] if drawn else f"{difference['seeds']} seeds"
    return f"95 % interval {difference['low']:.3g} to {difference['high']:.3g} over {count}"


def _groups(
    runs: Sequence[dict[str, Any]], factors: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    kinds = list(dict.fromkeys(tuple(run[factor] for factor in factors) for run in runs))
    for kind in kinds:
        fields = dict(zip(factors, kind, strict=True))
        yield fields, [run for run in runs if all(run[key] == value for key, value in fields.items())]


def _by_seed(runs: Sequence[dict[str, Any]], kind: dict[str, Any], metric: str) -> dict[int, float]:
    return {run["seed"]: run["metrics"][metric] for run in _of(runs, kind)}


def _of(runs: Sequence[dict[str, Any]], kind: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for run in runs if all(run[key] == value for key, value in kind.items())]
