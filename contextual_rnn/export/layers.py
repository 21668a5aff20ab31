"""Translations of the operators of PyTorch that multiply matrices, convolve, normalise and reduce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .builder import TYPES
from .translate import Graph, Value, translates


@translates("linear")
def _linear(g: Graph, x: Value, weight: Value, bias: Value | None = None) -> str:
    if x.rank == 2:
        return g.builder.node("Gemm", x.name, weight.name, *([] if bias is None else [bias.name]), transB=1)
    product = g.builder.node("MatMul", x.name, g.builder.shared("Transpose", weight.name, perm=(1, 0)))
    return product if bias is None else g.builder.node("Add", product, bias.name)


@translates("matmul", "mm", "bmm", "mv", "dot")
def _matmul(g: Graph, a: Value, b: Value) -> str:
    return g.builder.node("MatMul", a.name, b.name)


@translates("addmm", "baddbmm")
def _addmm(g: Graph, bias: Value, a: Value, b: Value, **_: Any) -> str:
    return g.builder.node("Add", g.builder.node("MatMul", a.name, b.name), bias.name)


@translates("softmax", "_softmax")
def _softmax(g: Graph, x: Value, dim: int, *_: Any, **__: Any) -> str:
    return g.builder.node("Softmax", g.cast(x, g.result.dtype), axis=dim % x.rank)


@translates("log_softmax", "_log_softmax")
def _log_softmax(g: Graph, x: Value, dim: int, *_: Any, **__: Any) -> str:
    return g.builder.node("LogSoftmax", g.cast(x, g.result.dtype), axis=dim % x.rank)


def _axes(x: Value, dims: Any) -> list[int]:
    chosen = range(x.rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    return [dim % x.rank for dim in chosen]


def _reduce(operator: str) -> Any:
    def translate(g: Graph, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> str:
        axes = g.ints(*_axes(x, dims))
        return g.builder.node(operator, g.cast(x, g.result.dtype), axes, keepdims=int(keepdim))

    return translate


for _name, _operator in (("sum", "ReduceSum"), ("mean", "ReduceMean"), ("logsumexp", "ReduceLogSumExp")):
    translates(_name)(_reduce(_operator))


def _extreme(operator: str) -> Any:
    def translate(g: Graph, x: Value, dims: Any = None, keepdim: bool = False) -> str:
        return g.builder.node(operator, x.name, g.ints(*_axes(x, dims)), keepdims=int(keepdim))

    return translate


translates("amax")(_extreme("ReduceMax"))
translates("amin")(_extreme("ReduceMin"))


@translates("argmax")
def _argmax(g: Graph, x: Value, dim: int, keepdim: bool = False) -> str:
    return g.builder.node("ArgMax", x.name, axis=dim % x.rank, keepdims=int(keepdim))


@translates("any")
def _any(g: Graph, x: Value, dims: Any = None, keepdim: bool = False) -> str:
    whole = g.cast(x, torch.int64)
    most = g.builder.node("ReduceMax", whole, g.ints(*_axes(x, dims)), keepdims=int(keepdim))
    return g.builder.node("Cast", most, to=TYPES[torch.bool])


@translates("nansum")
def _nansum(g: Graph, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> str:
    return _sum_known(g, x, dims, keepdim)


def _sum_known(g: Graph, x: Value, dims: Any, keepdim: bool) -> str:
    zero = g.builder.constant(0, x.dtype)
    known = g.builder.node("Where", g.builder.shared("IsNaN", x.name), zero, x.name)
    return g.builder.node("ReduceSum", known, g.ints(*_axes(x, dims)), keepdims=int(keepdim))


@translates("nanmean")
def _nanmean(g: Graph, x: Value, dims: Any = None, keepdim: bool = False, **_: Any) -> str:
    one, zero = (g.builder.constant(value, x.dtype) for value in (1, 0))
    counted = g.builder.node("Where", g.builder.shared("IsNaN", x.name), zero, one)
    count = g.builder.node("ReduceSum", counted, g.ints(*_axes(x, dims)), keepdims=int(keepdim))
    return g.builder.node("Div", _sum_known(g, x, dims, keepdim), count)


def _variance(g: Graph, x: Value, dims: Any, correction: float) -> tuple[str, str]:
    """Return the variance and the mean, with the reduced dimensions kept.

    Both are those of the differences from the first element, so that the variance of equal values is exactly 0, as it
    is in PyTorch.
    """
    places = _axes(x, dims)
    axes, zeros, ones = g.ints(*places), g.ints(*[0] * len(places)), g.ints(*[1] * len(places))
    first = g.builder.node("Slice", x.name, zeros, ones, axes)
    differences = g.builder.node("Sub", x.name, first)
    average = g.builder.node("ReduceMean", differences, axes, keepdims=1)
    mean, away = g.builder.node("Add", first, average), g.builder.node("Sub", differences, average)
    squares = g.builder.node("Mul", away, away)
    if not correction:
        return g.builder.node("ReduceMean", squares, axes, keepdims=1), mean
    sizes = [Value(g.size_of(x, axis), torch.int64, (1,)) for axis in _axes(x, dims)]
    count = g.cast(sizes[0], x.dtype)
    for size in sizes[1:]:
        count = g.builder.node("Mul", count, g.cast(size, x.dtype))
    count = g.builder.node("Sub", count, g.builder.constant([float(correction)], x.dtype))
    return g.builder.node("Div", g.builder.node("ReduceSum", squares, axes, keepdims=1), count), mean


def _kept(g: Graph, name: str, x: Value, dims: Any, keepdim: bool) -> str:
    return name if keepdim else g.builder.node("Squeeze", name, g.ints(*_axes(x, dims)))


@translates("var_mean")
def _var_mean(g: Graph, x: Value, dims: Any = None, correction: float = 1, keepdim: bool = False) -> list[str]:
    return [_kept(g, one, x, dims, keepdim) for one in _variance(g, x, dims, correction)]


@translates("std_mean")
def _std_mean(g: Graph, x: Value, dims: Any = None, correction: float = 1, keepdim: bool = False) -> list[str]:
    variance, mean = _variance(g, x, dims, correction)
    return [_kept(g, one, x, dims, keepdim) for one in (g.builder.node("Sqrt", variance), mean)]


@translates("var")
def _var(g: Graph, x: Value, dims: Any = None, correction: float = 1, keepdim: bool = False) -> str:
    return _kept(g, _variance(g, x, dims, correction)[0], x, dims, keepdim)


@translates("std")
def _std(g: Graph, x: Value, dims: Any = None, correction: float = 1, keepdim: bool = False) -> str:
    return _kept(g, g.builder.node("Sqrt", _variance(g, x, dims, correction)[0]), x, dims, keepdim)


@translates("cumsum")
def _cumsum(g: Graph, x: Value, dim: int, **_: Any) -> str:
    return g.builder.node("CumSum", g.cast(x, g.result.dtype), g.builder.constant(dim, torch.int64))


@translates("layer_norm", "native_layer_norm")
def _layer_norm(
    g: Graph, x: Value, shape: Sequence[int], weight: Value | None = None, bias: Value | None = None,
    epsilon: float = 1e-5, *_: Any,
) -> str:  # fmt: skip
    gain = weight.name if weight is not None else g.builder.constant(torch.ones(list(shape), dtype=x.dtype))
    names = [x.name, gain, *([] if bias is None else [bias.name])]
    return g.builder.node("LayerNormalization", *names, axis=-len(shape), epsilon=float(epsilon))


@translates("batch_norm")
def _batch_norm(
    g: Graph, x: Value, weight: Value, bias: Value, mean: Value, variance: Value, training: bool, momentum: float,
    epsilon: float, *_: Any,
) -> str:  # fmt: skip
    names = [one.name for one in (x, weight, bias, mean, variance)]
    return g.builder.node("BatchNormalization", *names, epsilon=float(epsilon))


@translates("conv1d", "conv2d", "conv3d")
def _conv(
    g: Graph, x: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> str:  # fmt: skip
    size = x.rank - 2
    attributes: dict[str, Any] = {"strides": _each(stride, size), "dilations": _each(dilation, size), "group": groups}
    if isinstance(padding, str):
        attributes["auto_pad"] = {"same": "SAME_UPPER", "valid": "VALID"}[padding]
    else:
        attributes["pads"] = _each(padding, size) * 2
    return g.builder.node("Conv", x.name, weight.name, *([] if bias is None else [bias.name]), **attributes)


def _each(value: Any, size: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * size if len(values) == 1 else values


@translates("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(g: Graph, x: Value, kernel: Any, stride: Any = (), padding: Any = 0, *_: Any) -> str:
    size = x.rank - 2
    shape = _each(kernel, size)
    strides, pads = _each(stride, size) if stride else shape, _each(padding, size) * 2
    return g.builder.node("AveragePool", x.name, kernel_shape=shape, strides=strides, pads=pads, count_include_pad=1)


@translates("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(g: Graph, x: Value, kernel: Any, stride: Any = (), padding: Any = 0, *_: Any) -> str:
    size = x.rank - 2
    shape = _each(kernel, size)
    strides, pads = _each(stride, size) if stride else shape, _each(padding, size) * 2
    return g.builder.node("MaxPool", x.name, kernel_shape=shape, strides=strides, pads=pads)


@translates("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _global_pool(g: Graph, x: Value, sizes: Any) -> str:
    if any(size != 1 for size in _each(sizes, x.rank - 2)):
        raise NotImplementedError
    return g.builder.node("GlobalAveragePool", x.name)
