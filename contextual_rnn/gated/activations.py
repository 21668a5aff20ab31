"""Sigmoid and tanh of `Lanes`, each from one exponential, accurate to the last digits of float32 and float64.

    exp(x) - 1 = 2^n (exp(f) - 1) + (2^n - 1),  n = round(x / log 2),  f = x - n log 2
    sigmoid(x) = 1 / (2 + (exp(-x) - 1)),  tanh(x) = e / (2 + e) where e = exp(2 x) - 1

exp(f) - 1 is its Taylor polynomial: |f| is at most 0.35, where degree 7 is exact in float32 and degree 13 in float64.

Each function generates the instructions of its equation at the place of the call; `Value` translates the operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llvmlite import ir
from numba.extending import intrinsic

from .lanes import Lanes, fma_of


class _Precision(NamedTuple):
    """The constants of a type.

    Attributes:
        degree: the degree of the polynomial.
        log2: log 2, split into a number with so few bits that its small multiples are exact, and the remainder.
        ends: the largest arguments of the exponential in sigmoid and in tanh. The first does not overflow; beyond the
            second, tanh is 1.
        mantissa: the number of bits of a mantissa.
    """

    degree: int
    log2: tuple[float, float]
    ends: tuple[float, float]
    mantissa: int


PRECISIONS = {
    32: _Precision(7, (0.693359375, math.log(2) - 0.693359375), (86.0, 20.0), 23),
    64: _Precision(13, (0.6931471803691238, 1.9082149292705877e-10), (700.0, 40.0), 52),
}


class Value:
    """Lanes in generated code. Operators and methods generate instructions; numbers are copied to all lanes."""

    def __init__(self, builder: Any, lanes: Lanes, value: Any) -> None:
        self.builder, self.lanes, self.value = builder, lanes, value

    def _operand(self, other: Value | float) -> Any:
        return other.value if isinstance(other, Value) else ir.Constant(self.value.type, [other] * self.lanes.count)

    def _of(self, value: Any) -> Value:
        return Value(self.builder, self.lanes, value)

    def __add__(self, other: Value | float) -> Value:
        return self._of(self.builder.fadd(self.value, self._operand(other)))

    def __sub__(self, other: Value | float) -> Value:
        return self._of(self.builder.fsub(self.value, self._operand(other)))

    def __mul__(self, other: Value | float) -> Value:
        return self._of(self.builder.fmul(self.value, self._operand(other)))

    def __truediv__(self, other: Value) -> Value:
        return self._of(self.builder.fdiv(self.value, other.value))

    def fma(self, factor: Value | float, term: Value | float) -> Value:
        """Return self factor + term."""
        return self._of(fma_of(self.builder, self.lanes, self.value, self._operand(factor), self._operand(term)))

    def within(self, end: float) -> Value:
        """Clamp to -end to end; NaN stays NaN."""
        value = self.value
        for beyond, bound in ((">", end), ("<", -end)):
            limit = self._operand(bound)
            value = self.builder.select(self.builder.fcmp_ordered(beyond, value, limit), limit, value)
        return self._of(value)

    def split_power(self) -> tuple[Value, Value]:
        """Return the nearest integer n, as a number, and 2^n; both are meaningless for NaN."""
        builder, bits, shift = self.builder, self.lanes.dtype.bitwidth, PRECISIONS[self.lanes.dtype.bitwidth].mantissa
        integers = ir.VectorType(ir.IntType(bits), self.lanes.count)
        sum_ = self + 1.5 * 2.0**shift  # its lowest bits are n
        exponent = builder.shl(builder.bitcast(sum_.value, integers), ir.Constant(integers, [shift] * self.lanes.count))
        bias = ((1 << (bits - 2 - shift)) - 1) << shift
        power = builder.add(exponent, ir.Constant(integers, [bias] * self.lanes.count))
        return sum_ - 1.5 * 2.0**shift, self._of(builder.bitcast(power, self.value.type))


def _expm1(x: Value, precision: _Precision) -> Value:
    n, power = (x * (1 / math.log(2))).split_power()
    high, low = precision.log2
    f = n.fma(-low, n.fma(-high, x))
    series = _polynomial(f, [1 / math.factorial(order) for order in range(2, precision.degree + 1)])
    return (f * f).fma(series, f).fma(power, power - 1.0)


def _polynomial(x: Value, coefficients: Sequence[Value | float]) -> Any:
    """Return the sum of coefficients[i] x^i, in pairs, which depend less on each other than the terms of one sum."""
    if len(coefficients) == 1:
        return coefficients[0]
    pairs = [x.fma(high, low) for low, high in zip(coefficients[::2], coefficients[1::2], strict=False)]
    return _polynomial(x * x, [*pairs, *coefficients[2 * len(pairs) :]])


def _sigmoid(x: Value, precision: _Precision) -> Value:
    one = Value(x.builder, x.lanes, x._operand(1.0))
    return one / (_expm1((x * -1.0).within(precision.ends[0]), precision) + 2.0)


def _tanh(x: Value, precision: _Precision) -> Value:
    e = _expm1((x * 2.0).within(precision.ends[1]), precision)
    return e / (e + 2.0)


def _apply(function: Callable[[Value, _Precision], Value], lanes: Lanes) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return function(Value(builder, lanes, args[0]), PRECISIONS[lanes.dtype.bitwidth]).value

    return lanes(lanes), generate


@intrinsic
def sigmoid(_: Any, x: Any) -> Any:
    """Return the sigmoid of x."""
    return _apply(_sigmoid, x)


@intrinsic
def tanh(_: Any, x: Any) -> Any:
    """Return the hyperbolic tangent of x."""
    return _apply(_tanh, x)


@intrinsic
def relu(_: Any, x: Any) -> Any:
    """Return x where it is positive or NaN, and 0 elsewhere."""
    return x(x), _select_positive


@intrinsic
def through_relu(_: Any, y: Any, x: Any) -> Any:
    """Return x where y is positive or NaN, and 0 elsewhere."""
    return x(y, x), _select_positive


def _select_positive(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    zero = ir.Constant(args[0].type, None)
    return builder.select(builder.fcmp_unordered(">", args[0], zero), args[-1], zero)
