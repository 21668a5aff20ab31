"""Translations of the operators of PyTorch that make, shape, join and select tensors."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch

from .translate import Graph, Size, Value, translates


@translates("sym_size")
def _size(g: Graph, x: Value, dim: int) -> Any:
    found = x.shape[dim]
    return found if isinstance(found, int) else Size(g.size_of(x, dim))


@translates("view", "reshape", "_unsafe_view")
def _view(g: Graph, x: Value, sizes: Sequence[Any]) -> str:
    return g.reshape(x.name, sizes)


@translates("flatten")
def _flatten(g: Graph, x: Value, start: int = 0, end: int = -1) -> str:
    start, end = start % max(x.rank, 1), end % max(x.rank, 1)
    if start == end:
        return x.name
    before = [_known(g, x, dim) for dim in range(start)]
    after = [_known(g, x, dim) for dim in range(end + 1, x.rank)]
    return g.reshape(x.name, [*before, _product(g, [_known(g, x, dim) for dim in range(start, end + 1)]), *after])


@translates("unflatten")
def _unflatten(g: Graph, x: Value, dim: int, sizes: Sequence[Any]) -> str:
    dim %= x.rank
    known = [_known(g, x, place) for place in range(x.rank)]
    return g.reshape(x.name, [*known[:dim], *sizes, *known[dim + 1 :]])


def _known(g: Graph, x: Value, dim: int) -> Any:
    return x.shape[dim] if isinstance(x.shape[dim], int) else Size(g.size_of(x, dim))


def _product(g: Graph, sizes: Sequence[Any]) -> Any:
    if all(isinstance(size, int) for size in sizes):
        return math.prod(sizes)
    names = [g.vector([size]) for size in sizes]
    for name in names[1:]:
        names[0] = g.builder.shared("Mul", names[0], name)
    return Size(names[0])


@translates("expand", "expand_as", "broadcast_to")
def _expand(g: Graph, x: Value, sizes: Any, implicit: bool = False) -> str:
    if isinstance(sizes, Value):
        return g.builder.node("Expand", x.name, g.builder.shared("Shape", sizes.name))
    if all(size == -1 for size in sizes):
        return x.name
    return g.builder.node("Expand", x.name, g.vector([1 if size == -1 else size for size in sizes]))


@translates("repeat")
def _repeat(g: Graph, x: Value, repeats: Sequence[Any]) -> str:
    added = len(repeats) - x.rank
    name = x.name if not added else g.builder.node("Unsqueeze", x.name, g.ints(*range(added)))
    return g.builder.node("Tile", name, g.vector(repeats))


@translates("transpose", "swapaxes")
def _transpose(g: Graph, x: Value, a: int, b: int) -> str:
    order = list(range(x.rank))
    order[a], order[b] = order[b], order[a]
    return x.name if order == sorted(order) else g.builder.node("Transpose", x.name, perm=order)


@translates("t", "numpy_T")
def _turn(g: Graph, x: Value) -> str:
    return g.builder.node("Transpose", x.name, perm=list(range(x.rank))[::-1])


@translates("permute")
def _permute(g: Graph, x: Value, order: Sequence[int]) -> str:
    return g.builder.node("Transpose", x.name, perm=[dim % x.rank for dim in order])


@translates("movedim")
def _movedim(g: Graph, x: Value, source: int, target: int) -> str:
    order = [dim for dim in range(x.rank) if dim != source % x.rank]
    order.insert(target % x.rank, source % x.rank)
    return g.builder.node("Transpose", x.name, perm=order)


@translates("unsqueeze")
def _unsqueeze(g: Graph, x: Value, dim: int) -> str:
    return g.builder.node("Unsqueeze", x.name, g.ints(dim % (x.rank + 1)))


@translates("squeeze")
def _squeeze(g: Graph, x: Value, dim: Any = None) -> str:
    dims = range(x.rank) if dim is None else [dim] if isinstance(dim, int) else dim
    ones = [one % x.rank for one in dims if x.shape[one] == 1]
    return g.builder.node("Squeeze", x.name, g.ints(*ones)) if ones else x.name


@translates("cat", "concat")
def _cat(g: Graph, parts: Sequence[Value], dim: int = 0) -> str:
    filled = [part for part in parts if part.shape[dim] != 0 and part.shape != (0,)]
    names = [g.cast(part, g.result.dtype) for part in filled or parts[:1]]
    return names[0] if len(names) == 1 else g.builder.node("Concat", *names, axis=dim % len(g.result.shape))


@translates("stack")
def _stack(g: Graph, parts: Sequence[Value], dim: int = 0) -> str:
    dim %= len(g.result.shape)
    names = [g.builder.node("Unsqueeze", g.cast(part, g.result.dtype), g.ints(dim)) for part in parts]
    return names[0] if len(names) == 1 else g.builder.node("Concat", *names, axis=dim)


@translates("split", "split_with_sizes", "chunk", "unbind")
def _split(g: Graph, x: Value, _: Any = 0, dim: int = 0) -> list[str]:
    parts = g.result
    if len(parts) and parts[0].dim() < x.rank:  # unbind, whose second argument is the dimension
        dim = _ % x.rank
        places = [g.builder.constant(place, torch.int64) for place in range(len(parts))]
        return [g.builder.node("Gather", x.name, place, axis=dim) for place in places]
    dim %= x.rank
    if len(parts) == 1:
        return [x.name]
    sizes = [part.shape[dim] for part in parts]
    return g.builder.nodes_with("Split", [x.name, g.ints(*sizes)], len(parts), axis=dim)


@translates("slice", "narrow")
def _slice(g: Graph, x: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> str:
    if (start in (None, 0)) and (end is None or end == sys.maxsize) and step == 1:
        return x.name
    start, end = 0 if start is None else start, sys.maxsize if end is None else end
    arguments = (g.vector([start]), g.vector([end]), g.ints(dim % x.rank), g.ints(step))
    return g.builder.node("Slice", x.name, *arguments)


@translates("select")
def _select(g: Graph, x: Value, dim: int, index: Any) -> str:
    place = g.cast(index, torch.int64) if isinstance(index, Size) else g.builder.constant(index, torch.int64)
    return g.builder.node("Gather", x.name, place, axis=dim % x.rank)


@translates("index_select")
def _index_select(g: Graph, x: Value, dim: int, index: Value) -> str:
    return g.builder.node("Gather", x.name, index.name, axis=dim % x.rank)


@translates("gather")
def _gather(g: Graph, x: Value, dim: int, index: Value, **_: Any) -> str:
    return g.builder.node("GatherElements", x.name, index.name, axis=dim % x.rank)


@translates("index")
def _index(g: Graph, x: Value, places: Sequence[Value | None]) -> str:
    given = [(dim, place) for dim, place in enumerate(places) if place is not None]
    if len(given) == 1:
        return g.builder.node("Gather", x.name, given[0][1].name, axis=given[0][0])
    columns = [g.builder.node("Unsqueeze", place.name, g.ints(place.rank)) for _, place in given]
    return g.builder.node("GatherND", x.name, g.builder.node("Concat", *columns, axis=-1))


@translates("embedding")
def _embedding(g: Graph, weight: Value, index: Value, *_: Any, **__: Any) -> str:
    return g.builder.node("Gather", weight.name, index.name, axis=0)


@translates("pad", "constant_pad_nd")
def _pad(g: Graph, x: Value, pads: Sequence[Any], mode: Any = "constant", value: Any = None) -> str:
    value = value if isinstance(mode, str) else mode
    before, after = [0] * x.rank, [0] * x.rank
    for place in range(len(pads) // 2):
        before[-1 - place], after[-1 - place] = pads[2 * place], pads[2 * place + 1]
    return g.builder.node("Pad", x.name, g.vector([*before, *after]), g.builder.constant(value or 0, x.dtype))


def _filled(g: Graph, sizes: Sequence[Any], value: Any) -> str:
    if not sizes:
        return g.builder.constant(value, g.result.dtype)
    return g.builder.node("Expand", g.builder.constant(value, g.result.dtype), g.vector(sizes))


def _of_sizes(value: int) -> Any:
    return lambda g, sizes, *_, **__: _filled(g, sizes, value)


def _new_of_sizes(value: int) -> Any:
    return lambda g, x, sizes, *_, **__: _filled(g, sizes, value)


for _name, _value in (("zeros", 0), ("ones", 1), ("empty", 0)):
    translates(_name)(_of_sizes(_value))
    translates(f"new_{_name}")(_new_of_sizes(_value))


@translates("full")
def _full_of(g: Graph, sizes: Sequence[Any], value: Any, **_: Any) -> str:
    return _filled(g, sizes, value)


@translates("new_full")
def _new_full(g: Graph, x: Value, sizes: Sequence[Any], value: Any, **_: Any) -> str:
    return _filled(g, sizes, value)


@translates("scalar_tensor")
def _scalar(g: Graph, value: Any, **_: Any) -> str:
    return g.builder.constant(value, g.result.dtype)


def _like(value: int) -> Any:
    def translate(g: Graph, x: Value, *_: Any, **__: Any) -> str:
        shape = g.builder.shared("Shape", x.name)
        return g.builder.node("Expand", g.builder.constant(value, g.result.dtype), shape)

    return translate


for _name, _value in (("zeros_like", 0), ("ones_like", 1), ("empty_like", 0)):
    translates(_name)(_like(_value))


@translates("full_like")
def _full_like(g: Graph, x: Value, value: Any, **_: Any) -> str:
    return _like(value)(g, x)


@translates("arange")
def _arange(g: Graph, *bounds: Any, **_: Any) -> str:
    start, end, step = ((0, bounds[0], 1), (*bounds, 1), bounds)[len(bounds) - 1]
    names = [g.cast(one, torch.int64) for one in (start, end, step)]
    found = g.builder.shared("Range", *names)
    return g.cast(Value(found, torch.int64, ()), g.result.dtype)


@translates("diag_embed")
def _diag_embed(g: Graph, x: Value, *_: Any) -> str:
    eye = g.builder.constant(torch.eye(x.shape[-1], dtype=x.dtype))
    return g.builder.node("Mul", g.builder.node("Unsqueeze", x.name, g.ints(x.rank)), eye)
