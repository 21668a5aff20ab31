"""Sigmoid and tanh of `Lanes`, both by one exponential, to the last places of float32 and float64.

    exp(x) - 1 = 2^n (exp(f) - 1) + (2^n - 1),  n = round(x / log 2),  f = x - n log 2
    sigmoid(x) = 1 / (2 + (exp(-x) - 1)),  tanh(x) = e / (2 + e) where e = exp(2 x) - 1

exp(f) - 1 is its Taylor polynomial: |f| is at most 0.35, where degree 7 is exact in float32 and degree 13 in float64.
The functions return denominators too, so that two quotients can share one division, the slowest instruction here.
"""

from __future__ import annotations

import math
from typing import Any

from numba.extending import overload

from .lanes import at_least, at_most, fma, split_power
from .product import compiled

PER_LOG = 1 / math.log(2)
# log 2 as a number so short that its small multiples are exact, and the rest of it.
SINGLE = (0.693359375, math.log(2) - 0.693359375)
DOUBLE = (0.6931471803691238, 1.9082149292705877e-10)
C = [1 / math.factorial(power) for power in range(14)]
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = C[2:]


def expm1(x: Any) -> Any:
    """Return exp(x) - 1 of lanes, for |x| at most 80 in float32 and 700 in float64; NaN stays NaN."""
    raise NotImplementedError("for compiled code")


@overload(expm1)
def _expm1(x: Any) -> Any:
    single = x.dtype.bitwidth == 32
    high, low = SINGLE if single else DOUBLE

    def by_degree_7(x: Any) -> Any:
        n, power = split_power(x * PER_LOG)
        f = fma(n, -low, fma(n, -high, x))
        p = fma(fma(fma(fma(fma(f, C7, C6), f, C5), f, C4), f, C3), f, C2)
        return fma(fma(f * f, p, f), power, power - 1.0)

    def by_degree_13(x: Any) -> Any:
        n, power = split_power(x * PER_LOG)
        f = fma(n, -low, fma(n, -high, x))
        p = fma(fma(fma(fma(fma(fma(f, C13, C12), f, C11), f, C10), f, C9), f, C8), f, C7)
        p = fma(fma(fma(fma(fma(p, f, C6), f, C5), f, C4), f, C3), f, C2)
        return fma(fma(f * f, p, f), power, power - 1.0)

    return by_degree_7 if single else by_degree_13


def ends(x: Any) -> Any:
    """Return the largest arguments of the exponential in sigmoid and in tanh: both together must not overflow."""
    raise NotImplementedError("for compiled code")


@overload(ends)
def _ends(x: Any) -> Any:
    limits = (60.0, 18.0) if x.dtype.bitwidth == 32 else (600.0, 40.0)

    def limits_of_type(x: Any) -> Any:
        return limits

    return limits_of_type


@compiled
def sigmoid_denominator(x):
    """Return 1 / sigmoid(x), at most exp(60) in float32: below -60, sigmoid is 9e-27 instead of less."""
    end, _ = ends(x)
    return expm1(at_least(at_most(x * -1.0, end), -end)) + 2.0


@compiled
def tanh_quotient(x):
    """Return the numerator and the denominator of tanh(x), both at most exp(18) in float32."""
    _, end = ends(x)
    e = expm1(at_least(at_most(x * 2.0, end), -end))
    return e, e + 2.0


@compiled
def sigmoid(x):
    """Return sigmoid(x)."""
    return 1.0 / sigmoid_denominator(x)


@compiled
def tanh(x):
    """Return tanh(x)."""
    above, below = tanh_quotient(x)
    return above / below
