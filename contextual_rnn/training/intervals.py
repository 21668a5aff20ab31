"""Intervals over seeds: of a mean, and of the ratio of two kinds run with the same seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

FEWEST = 5  # under five seeds an interval says next to nothing, and none is given


@dataclasses.dataclass(frozen=True)
class Interval:
    """A middle and its 95 % interval; None for both ends where there are too few values."""

    middle: float
    low: float | None
    high: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean and its 95 % t interval, which describes the noise of training only."""
    mean = float(np.mean(values))
    half = _half_width(values)
    return Interval(mean, None, None) if half is None else Interval(mean, mean - half, mean + half)


def ratio_interval(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return the ratio a / b by the paired mean of the log-ratio over seeds, with its 95 % t interval.

    Raises:
        ValueError: a value is not positive, or the two are not of one length.
    """
    if len(a) != len(b) or min(*a, *b) <= 0:
        raise ValueError("a ratio needs pairs of positive values")
    logs = [math.log(x / y) for x, y in zip(a, b, strict=True)]
    interval = mean_interval(logs)
    ends = [None if end is None else math.exp(end) for end in (interval.low, interval.high)]
    return Interval(math.exp(interval.middle), *ends)


def bootstrap_ratio(a: np.ndarray, b: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the ratio of root mean squares over test sequences, with its 95 % percentile bootstrap interval.

    Args:
        a: (N,) mean squared error of each of N sequences; sequences are drawn again in pairs.
        b: (N,) the same of the other kind.
        draws: how many resamples.
        seed: of the resampling.
    """
    rows = np.random.default_rng(seed).integers(len(a), size=(draws, len(a)))
    ratios = np.sqrt(a[rows].mean(axis=1) / b[rows].mean(axis=1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(np.sqrt(a.mean() / b.mean())), float(low), float(high))


def _half_width(values: Sequence[float]) -> float | None:
    if len(values) < FEWEST:
        return None
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
