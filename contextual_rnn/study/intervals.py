"""Estimates over training seeds and test items: standard errors, 95% intervals, p values, power, families of claims."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .t_distribution import quantile, survival

FEWEST = 5  # with fewer seeds an interval would say almost nothing, and none is given

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval, whose ends are None if no interval can be given.

    Everything is None for a ratio of values that are not positive.
    """

    middle: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate that is approximately normal on its scale, with its standard error.

    Attributes:
        value: the mean; the logarithm of the ratio where `is_log`.
        error: its standard error; NaN if it cannot be estimated.
        freedom: degrees of freedom of the standard error.
        is_log: whether the value is the logarithm of a ratio.
    """

    value: float
    error: float
    freedom: float
    is_log: bool = False

    def interval(self, alpha: float = 0.05) -> Interval:
        """Return the t interval of level 1 - alpha."""
        half = quantile(1 - alpha / 2, self.freedom) * self.error
        ends = (self.value, self.value - half, self.value + half)
        return Interval(*(self._on_scale(end) for end in ends)) if math.isfinite(half) else self.without_interval()

    def without_interval(self) -> Interval:
        """Return the estimate alone."""
        return Interval(self._on_scale(self.value), None, None)

    def p_value(self) -> float:
        """Return the two-sided p value of the t test that the value is 0, or the ratio 1."""
        if self.error == 0:
            return float(self.value == 0)
        return 2 * survival(abs(self.value) / self.error, self.freedom)

    def detectable(self, alpha: float = 0.05, power: float = 0.8) -> float:
        """Return the smallest effect that a test of level alpha finds with this power, as a difference or a ratio > 1.

        It is the sum of the two t quantiles, times the standard error.
        """
        quantiles = quantile(1 - alpha / 2, self.freedom) + quantile(power, self.freedom)
        return self._on_scale(quantiles * self.error)

    def _on_scale(self, value: float) -> float:
        return math.exp(min(value, 700)) if self.is_log else value


def two_way(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of crossed random effects, its standard error and its degrees of freedom.

    `values[s, n] = mean + seed effect + item effect + noise`. With the mean squares of seeds, items and noise,

        variance of the mean = max(MS_seeds + MS_items - MS_noise, MS_seeds, MS_items) / (S N),

    and Satterthwaite's degrees of freedom of that sum (Satterthwaite 1946; Brennan 2001, Generalizability Theory,
    chapter 6). With one seed or one item, the other alone varies, and this is the usual standard error of a mean; a
    single value has none, and NaN is returned for it.

    Args:
        values: (..., S, N) value of each of N test items after training with each of S seeds.

    Returns:
        Three arrays of shape (...).
    """
    seeds, items = values.shape[-2:]
    mean = values.mean(axis=(-2, -1))
    by_seed, by_item = values.mean(axis=-1), values.mean(axis=-2)
    number = max(seeds, items)
    if number == 1:
        return mean, np.full_like(mean, math.nan), np.ones_like(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        if min(seeds, items) == 1:
            one = by_seed if items == 1 else by_item
            return mean, one.std(axis=-1, ddof=1) / math.sqrt(number), np.full_like(mean, number - 1)
        of_seeds = items * by_seed.var(axis=-1, ddof=1)
        of_items = seeds * by_item.var(axis=-1, ddof=1)
        degrees = (seeds - 1) * (items - 1)
        total = seeds * items * values.var(axis=(-2, -1))
        of_noise = np.maximum(total - (seeds - 1) * of_seeds - (items - 1) * of_items, 0) / degrees
        variance = np.maximum(of_seeds + of_items - of_noise, np.maximum(of_seeds, of_items))
        spread = of_seeds**2 / (seeds - 1) + of_items**2 / (items - 1) + of_noise**2 / degrees
        freedom = np.clip(variance**2 / spread, min(seeds, items) - 1, degrees)
    return mean, np.sqrt(variance / (seeds * items)), np.where(np.isfinite(freedom), freedom, seeds - 1)


def two_way_estimate(values: np.ndarray) -> Estimate:
    """Return the mean of (S, N) values of N test items after training with S seeds; see `two_way`."""
    mean, error, freedom = two_way(values)
    return Estimate(float(mean), float(error), float(freedom))


def two_way_ratio(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the logarithm of the ratio of means, its standard error (delta method) and its degrees of freedom.

    Args:
        a: (..., S, N) positive values of each of N test items after training with each of S seeds.
        b: (..., S, N) the same of the other kind, with the same seeds and items.
    """
    means = [one.mean(axis=(-2, -1), keepdims=True) for one in (a, b)]
    _, error, freedom = two_way(a / means[0] - b / means[1])
    return np.log(means[0] / means[1])[..., 0, 0], error, freedom


def rmse_ratio(a: np.ndarray, b: np.ndarray) -> Estimate | None:
    """Return the ratio of root mean squared errors, from squared errors; None if the mean error of a kind is 0.

    The arguments are those of `two_way_ratio`.
    """
    if min(a.mean(), b.mean()) <= 0:
        return None
    value, error, freedom = two_way_ratio(a, b)
    return Estimate(float(value) / 2, float(error) / 2, float(freedom), is_log=True)


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean over seeds, which describes the variation between training runs only."""
    return two_way_estimate(np.asarray(values, float)[:, None])


def ratio_estimate(a: Sequence[float], b: Sequence[float]) -> Estimate | None:
    """Return the ratio a / b, from the mean paired log-ratio over seeds; None if a value is not positive."""
    if min(*a, *b) <= 0:
        return None
    logs = mean_estimate([math.log(x / y) for x, y in zip(a, b, strict=True)])
    return dataclasses.replace(logs, is_log=True)


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean over seeds and its 95% t interval, whose ends are None with fewer than 5 seeds."""
    estimate = mean_estimate(values)
    return estimate.interval() if len(values) >= FEWEST else estimate.without_interval()


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


def _groups(runs: Sequence[Row], factors: Sequence[str]) -> Iterator[tuple[Row, list[Row]]]:
    kinds = list(dict.fromkeys(tuple(run[factor] for factor in factors) for run in runs))
    for kind in kinds:
        fields = dict(zip(factors, kind, strict=True))
        yield fields, [run for run in runs if all(run[name] == value for name, value in fields.items())]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979), in the same order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


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
