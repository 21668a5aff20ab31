"""Translations of the operators of PyTorch that act on every element of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .translate import Graph, Size, Value, translates

_SAME = {
    **{"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "abs": "Abs"},
    **{"neg": "Neg", "sin": "Sin", "cos": "Cos", "floor": "Floor", "ceil": "Ceil", "erf": "Erf", "sign": "Sign"},
    **{"softplus": "Softplus", "reciprocal": "Reciprocal", "round": "Round", "isnan": "IsNaN"},
    **{"logical_not": "Not", "bitwise_not": "Not"},
}
_ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Max", "minimum": "Min", "pow": "Pow"}
_ARITHMETIC["remainder"] = "Mod"  # of integers
_COMPARISONS = {"eq": "Equal", "gt": "Greater", "ge": "GreaterOrEqual", "lt": "Less", "le": "LessOrEqual"}
_LOGIC = {
    **{"logical_and": "And", "bitwise_and": "And", "__and__": "And", "logical_or": "Or", "bitwise_or": "Or"},
    **{"__or__": "Or", "logical_xor": "Xor"},
}


def _register_tables() -> None:
    for name, operator in _SAME.items():
        translates(name, f"{name}_")(lambda g, x, *_, operator=operator: g.builder.node(operator, x.name))
    for name, operator in _ARITHMETIC.items():
        translates(name, f"{name}_")(_binary(operator))
        translates(f"operator.{name}")(_on_sizes(operator))
    translates("operator.floordiv")(_on_sizes("Div"))
    translates("operator.truediv")(_on_sizes("Div"))
    for name, operator in _COMPARISONS.items():
        translates(name)(_comparison(operator))
    for name, operator in _LOGIC.items():
        translates(name, f"{name}_")(lambda g, a, b, operator=operator: g.builder.node(operator, a.name, b.name))


def _binary(operator: str) -> Any:
    def translate(g: Graph, a: Any, b: Any, alpha: float = 1, rounding_mode: str | None = None) -> str:
        dtype = g.result.dtype
        second = g.cast(b, dtype)
        if alpha != 1:
            second = g.builder.node("Mul", second, g.builder.constant(alpha, dtype))
        found = g.builder.node(operator, g.cast(a, dtype), second)
        return g.builder.node("Floor", found) if rounding_mode == "floor" and dtype.is_floating_point else found

    return translate


def _on_sizes(operator: str) -> Any:
    return lambda g, a, b: g.builder.shared(operator, g.vector([a]), g.vector([b]))


def _comparison(operator: str) -> Any:
    return lambda g, a, b: g.builder.node(operator, *_alike(g, [a, b]))


def _alike(g: Graph, values: Sequence[Any]) -> list[str]:
    """Return the names of two tensors or numbers in their common type."""
    found: list[Any] = [
        torch.empty((1,) * bool(one.rank), dtype=one.dtype) if isinstance(one, Value) else one for one in values
    ]
    first, second = (0 if isinstance(one, Size) else one for one in found)
    dtype = torch.result_type(first, second)
    return [g.cast(value, dtype) for value in values]


def _stand_in(value: Any) -> Any:
    """Return a tensor or number that PyTorch treats as a value in its type promotion."""
    if isinstance(value, Value):
        return torch.empty((1,) * bool(value.rank), dtype=value.dtype)
    return 0 if isinstance(value, Size) else value


_register_tables()


@translates("ne")
def _not_equal(g: Graph, a: Value, b: Any) -> str:
    return g.builder.node("Not", g.builder.node("Equal", *_alike(g, [a, b])))


@translates("rsub")
def _reverse_subtract(g: Graph, a: Value, b: Any, alpha: float = 1) -> str:
    return g.builder.node("Sub", g.cast(b, g.result.dtype), g.cast(a, g.result.dtype))


@translates("addcmul")
def _add_product(g: Graph, x: Value, a: Value, b: Value, value: float = 1) -> str:
    product = g.builder.node("Mul", a.name, b.name)
    if value != 1:
        product = g.builder.node("Mul", product, g.builder.constant(value, g.result.dtype))
    return g.builder.node("Add", x.name, product)


@translates("square")
def _square(g: Graph, x: Value) -> str:
    return g.builder.node("Mul", x.name, x.name)


@translates("rsqrt")
def _inverse_root(g: Graph, x: Value) -> str:
    return g.builder.node("Reciprocal", g.builder.node("Sqrt", x.name))


@translates("silu", "silu_")
def _silu(g: Graph, x: Value) -> str:
    return g.builder.node("Mul", x.name, g.builder.node("Sigmoid", x.name))


@translates("gelu")
def _gelu(g: Graph, x: Value, approximate: str = "none") -> str:
    def number(value: float) -> str:
        return g.builder.constant(value, x.dtype)

    if approximate == "tanh":
        cube = g.builder.node("Mul", g.builder.node("Mul", x.name, x.name), x.name)
        inner = g.builder.node("Add", x.name, g.builder.node("Mul", cube, number(0.044715)))
        curve = g.builder.node("Tanh", g.builder.node("Mul", inner, number(math.sqrt(2 / math.pi))))
    else:
        curve = g.builder.node("Erf", g.builder.node("Mul", x.name, number(math.sqrt(0.5))))
    half = g.builder.node("Mul", x.name, number(0.5))
    return g.builder.node("Mul", half, g.builder.node("Add", curve, number(1.0)))


@translates("leaky_relu", "leaky_relu_")
def _leaky_relu(g: Graph, x: Value, slope: float = 0.01) -> str:
    return g.builder.node("LeakyRelu", x.name, alpha=float(slope))


@translates("elu", "elu_")
def _elu(g: Graph, x: Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> str:
    return g.builder.node("Elu", x.name, alpha=float(alpha))


@translates("hardtanh", "hardtanh_", "clamp", "clamp_", "clip")
def _clamp(g: Graph, x: Value, min: Any = None, max: Any = None, **_: Any) -> str:
    found = g.cast(x, g.result.dtype)
    for operator, bound in (("Max", min), ("Min", max)):
        if bound is not None:
            found = g.builder.node(operator, found, g.cast(bound, g.result.dtype))
    return found


@translates("clamp_min")
def _clamp_min(g: Graph, x: Value, min: Any) -> str:
    return _clamp(g, x, min)


@translates("where")
def _where(g: Graph, condition: Value, a: Any, b: Any) -> str:
    return g.builder.node("Where", condition.name, g.cast(a, g.result.dtype), g.cast(b, g.result.dtype))


@translates("masked_fill", "masked_fill_")
def _masked_fill(g: Graph, x: Value, mask: Value, value: Any) -> str:
    return g.builder.node("Where", mask.name, g.cast(value, x.dtype), x.name)


@translates("nan_to_num")
def _nan_to_num(g: Graph, x: Value, nan: float | None = None, **_: Any) -> str:
    return g.builder.node("Where", g.builder.node("IsNaN", x.name), g.builder.constant(nan or 0.0, x.dtype), x.name)


@translates("to", "_to_copy", "type_as")
def _cast(g: Graph, x: Value, *_: Any, **__: Any) -> str:
    return g.cast(x, g.result.dtype)


@translates(
    *("clone", "contiguous", "detach", "alias", "lift_fresh_copy", "dropout", "dropout_", "feature_dropout"),
    *("detach_", "positive", "requires_grad_"),
)
def _same(g: Graph, x: Value, *_: Any, **__: Any) -> str:
    return x.name
