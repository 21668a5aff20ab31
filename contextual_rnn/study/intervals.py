"""Estimates over training seeds and test items: standard errors, 95% intervals, p values, power, families of claims."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from .metric import Bounds, Metric, Row
from .t_distribution import quantile, survival

NORMAL = 1.959964  # the 97.5% quantile of the standard normal distribution
FEWEST = 5  # with fewer seeds an interval would say almost nothing, and none is given


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


def mean_interval(values: Sequence[float], bounds: Bounds | None = None) -> Interval:
    """Return the mean over seeds and its 95% t interval, whose ends are None with fewer than 5 seeds.

    Args:
        values: of every seed.
        bounds: the least and the largest value that is possible; the interval is inside. See `bounded_interval`.
    """
    estimate = mean_estimate(values)
    if len(values) < FEWEST:
        return estimate.without_interval()
    return estimate.interval() if bounds is None else bounded_interval(estimate, bounds)


def bounded_interval(estimate: Estimate, bounds: Bounds, alpha: float = 0.05) -> Interval:
    """Return a t interval of a mean m that stays between the bounds a and b, by a transformation g (delta method).

        g^{-1}( g(m) +- t g'(m) SE ),   g(x) = log((x - a) / (b - x)),  or  log(x - a) if b is infinite

    For a share, g is the logit (Agresti 2013, Categorical Data Analysis, section 1.4); for a correlation, it is twice
    Fisher's z. A mean on a bound, where all values are equal, has an interval of that value alone.
    """
    low, high = bounds
    mean = estimate.value
    if not low < mean < high:
        return Interval(mean, mean, mean)
    slope = 1 / (mean - low) + (0 if math.isinf(high) else 1 / (high - mean))
    factor = math.exp(min(quantile(1 - alpha / 2, estimate.freedom) * estimate.error * slope, 700))
    if math.isinf(high):
        return Interval(mean, low + (mean - low) / factor, low + (mean - low) * factor)
    ends = [((mean - low) * high * odds + (high - mean) * low) / ((mean - low) * odds + high - mean)
            for odds in (1 / factor, factor)]  # fmt: skip
    return Interval(mean, *ends)


def share_interval(share: float, number: int) -> Interval:
    """Return a share of `number` items in per cent and its 95% score interval (Wilson 1927).

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    """
    p, square = share / 100, NORMAL**2
    half = NORMAL * math.sqrt(p * (1 - p) / number + square / (4 * number**2))
    ends = [(p + square / (2 * number) + sign * half) / (1 + square / number) for sign in (-1, 1)]
    return Interval(share, 100 * max(ends[0], 0.0), 100 * min(ends[1], 1.0))


def correlation_interval(correlation: float, freedom: int) -> Interval:
    """Return a correlation and its 95% interval by Fisher's z, whose standard error is 1 / sqrt(freedom).

    Args:
        correlation: of n pairs, or the mean of several correlations.
        freedom: n - 3, or the sum of these.
    """
    z, half = math.atanh(max(min(correlation, 1 - 1e-12), -1 + 1e-12)), NORMAL / math.sqrt(freedom)
    return Interval(correlation, math.tanh(z - half), math.tanh(z + half))


def summarise(runs: Sequence[Row], factors: Sequence[str], metrics: Sequence[Metric] = ()) -> list[Row]:
    """Return the mean, median and 95% interval over seeds of every metric of every kind.

    Seeds without a value, such as the epoch at which an accuracy is first reached, are left out: `seeds` counts the
    seeds with a value, and `of` counts all of them. A metric that no seed of a kind has gets no row.

    Args:
        runs: `{"seed", "metrics": {key: value}}` and the factors.
        factors: the fields that distinguish kinds, such as `["initial_state"]`.
        metrics: those whose bounds intervals respect.
    """
    bounds, rows = {metric.key: metric.bounds for metric in metrics}, []
    for kind, members in _groups(runs, factors):
        for metric in dict.fromkeys(name for run in members for name in run["metrics"]):
            values = [run["metrics"][metric] for run in members if run["metrics"].get(metric) is not None]
            if not values:
                continue
            interval = mean_interval(values, bounds.get(metric))
            row = {**kind, "metric": metric, "mean": interval.middle, "median": float(np.median(values))}
            row |= {"low": interval.low, "high": interval.high, "seeds": len(values), "of": len(members)}
            rows.append(row)
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
