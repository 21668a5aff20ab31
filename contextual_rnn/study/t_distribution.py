"""Student's t distribution: tail probabilities and quantiles, which SciPy takes a second to import for."""

from __future__ import annotations

import math

SMALLEST = 1e-300  # in place of a zero in a continued fraction
STEPS = 500


def survival(t: float, freedom: float) -> float:
    """Return the probability that a value of the t distribution exceeds t.

    For t >= 0 it is I_x(freedom / 2, 1 / 2) / 2, where x = freedom / (freedom + t^2) and I is the regularised
    incomplete beta function (Abramowitz and Stegun 26.7.1).

    Args:
        t: any number.
        freedom: degrees of freedom, greater than 0; need not be an integer.
    """
    square = t * t
    tail = _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + square), square / (freedom + square)) / 2
    return tail if t >= 0 else 1 - tail


def quantile(share: float, freedom: float) -> float:
    """Return the value that a share of the t distribution lies below, by bisection.

    Args:
        share: between 0 and 1, both excluded.
        freedom: degrees of freedom, greater than 0; need not be an integer.
    """
    tail = min(share, 1 - share)
    low, high = 0.0, 1.0
    while survival(high, freedom) > tail:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if survival(middle, freedom) > tail else (low, middle)
    return math.copysign(high, share - 0.5) if share != 0.5 else 0.0


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), where rest = 1 - x is given without rounding."""
    if x <= 0 or rest <= 0:
        return float(x > 0)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(x) + b * math.log(rest) - log_beta)
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(a, b, x) / a
    return 1 - front * _continued_fraction(b, a, rest) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _not_zero(1 + step * d), _not_zero(1 + step / c)
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > SMALLEST else SMALLEST
