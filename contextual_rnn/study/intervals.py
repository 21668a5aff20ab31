"""Intervals over seeds: of a mean, and of the ratio or the difference of two kinds run with the same seeds.

A percentile bootstrap of few things drawn again is too narrow. In simulations of five seeds the 95 % intervals below
held the truth in 87 % of cases where it was the seeds that varied, in 90 % where there were ten sequences, and in 93
to 95 % where most of the noise was that of forty sequences or more (`python -m benchmarks interval_coverage`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

FEWEST = 5  # under five seeds an interval says next to nothing, and none is given


@dataclasses.dataclass(frozen=True)
class Interval:
    """A middle and its 95 % interval; None for both ends where there are too few values, and for a ratio to zero."""

    middle: float | None
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean and its 95 % t interval, which describes the noise of training only."""
    mean = float(np.mean(values))
    half = _half_width(values)
    return Interval(mean, None, None) if half is None else Interval(mean, mean - half, mean + half)


def ratio_interval(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return the ratio a / b by the paired mean of the log-ratio over seeds, with its 95 % t interval.

    It is undefined, all None, where a value is zero.
    """
    if min(*a, *b) <= 0:
        return Interval(None, None, None)
    logs = [math.log(x / y) for x, y in zip(a, b, strict=True)]
    interval = mean_interval(logs)
    return Interval(*(None if end is None else math.exp(end) for end in (interval.middle, interval.low, interval.high)))


def bootstrap_ratio(a: np.ndarray, b: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the ratio of root mean squares over test sequences, with its 95 % percentile bootstrap interval.

    Seeds and sequences are both drawn again, in pairs; there is no interval where the seeds are too few, and all is
    None where an error is zero.

    Args:
        a: (S, N) mean squared error of each of N sequences after training with each of S seeds.
        b: (S, N) the same of the other kind.
        draws: how many resamples.
        seed: of the resampling.
    """
    if min(a.mean(), b.mean()) <= 0:
        return Interval(None, None, None)
    middle = float(np.sqrt(a.mean() / b.mean()))
    if len(a) < FEWEST:
        return Interval(middle, None, None)
    random = np.random.default_rng(seed)
    ratios = []
    for _ in range(draws):
        chosen = np.ix_(*(random.integers(size, size=size) for size in a.shape))
        ratios.append(np.sqrt(a[chosen].mean() / b[chosen].mean()))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(middle, float(low), float(high))


def bootstrap_mean(values: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the mean of (S, N) values of N sequences after training with S seeds, with its 95 % bootstrap interval.

    Seeds and sequences are both drawn again; of one seed, sequences alone.
    """
    random = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        chosen = np.ix_(*(random.integers(size, size=size) for size in values.shape))
        means.append(values[chosen].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def bootstrap_shift(a: np.ndarray, b: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the difference of means over test sequences, a less b, with its 95 % percentile bootstrap interval.

    As `bootstrap_ratio`, of (S, N) losses that may be negative, such as nats.
    """
    middle = float(a.mean() - b.mean())
    if len(a) < FEWEST:
        return Interval(middle, None, None)
    random = np.random.default_rng(seed)
    shifts = []
    for _ in range(draws):
        chosen = np.ix_(*(random.integers(size, size=size) for size in a.shape))
        shifts.append((a[chosen] - b[chosen]).mean())
    low, high = np.quantile(shifts, [0.025, 0.975])
    return Interval(middle, float(low), float(high))


def _half_width(values: Sequence[float]) -> float | None:
    if len(values) < FEWEST:
        return None
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
