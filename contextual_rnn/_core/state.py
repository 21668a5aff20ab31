"""State trees: what a recurrent core carries from one step to the next.

A *state* is a tensor or a nested tuple of tensors, batch first: `(B, L, H)` for `nn.RNN` and `nn.GRU`, a pair of them
for `nn.LSTM`, `(B, H)` for cells, anything for a user's own core. Its *shapes* are the same nest with the shape of one
example in place of each tensor: `(L, H)`, `((L, H), (L, H))`, `(H,)`.

Legend of shapes, here and everywhere: `B` batch, `T` time, `D` input features, `H` hidden units, `L` layers times
directions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

State = Any  # Tensor | tuple[State, ...]; a recursive alias that type checkers and readers both follow is not to be had
Shapes = Any  # tuple[int, ...] | tuple[Shapes, ...]


def is_shape(shapes: Shapes) -> bool:
    """Whether `shapes` is a leaf, the shape of one tensor, and no nest of them; `()` is the shape of a scalar."""
    return isinstance(shapes, tuple) and all(isinstance(size, int) for size in shapes)


@functools.singledispatch
def state_shapes(core: Any) -> Shapes:
    """Return the nest of shapes of one example's state.

    Args:
        core: `nn.RNN`, `nn.LSTM`, `nn.GRU`, their cells, any module with an attribute `state_shapes` (a nest of shapes
            without the batch, such as `((5,), ((5, 3), (2,)))`), or such a nest itself.

    Returns:
        `(L, H)` for `nn.RNN` and `nn.GRU`; `((L, P), (L, H))` for `nn.LSTM`, where P is `proj_size` or H; `(H,)` for
        `nn.RNNCell` and `nn.GRUCell`; `((H,), (H,))` for `nn.LSTMCell`; else the core's own.

    Raises:
        TypeError: the core is none of these, or its `state_shapes` is not a nest of tuples of sizes.
    """
    if isinstance(core, tuple):
        return _checked(core)
    shapes = getattr(core, "state_shapes", None)
    if shapes is None:
        raise TypeError(
            f"{type(core).__name__} is no recurrent core: it needs an attribute state_shapes, a nested tuple of the "
            "shapes of one example's state without the batch, for example ((5,), (5, 3))"
        )
    return _checked(shapes)


@state_shapes.register
def _(core: nn.RNNBase) -> Shapes:
    layers = core.num_layers * (2 if core.bidirectional else 1)
    hidden = (layers, core.hidden_size)
    if isinstance(core, nn.LSTM):
        return (layers, core.proj_size or core.hidden_size), hidden
    return hidden


@state_shapes.register
def _(core: nn.RNNCellBase) -> Shapes:
    hidden = (core.hidden_size,)
    return (hidden, hidden) if isinstance(core, nn.LSTMCell) else hidden


def _checked(shapes: Shapes) -> Shapes:
    if is_shape(shapes):
        return shapes
    if not isinstance(shapes, tuple):
        raise TypeError(f"state_shapes must be a nested tuple of sizes, for example ((5,), (5, 3)); found {shapes!r}")
    for item in shapes:
        _checked(item)
    return shapes


def leaves(state: State) -> Iterator[Tensor]:
    """Yield the tensors of a state, left to right."""
    if isinstance(state, tuple):
        for item in state:
            yield from leaves(item)
    else:
        yield state


def shape_leaves(shapes: Shapes) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of a nest, left to right, in the order of `leaves`."""
    if is_shape(shapes):
        yield shapes
    else:
        for item in shapes:
            yield from shape_leaves(item)


def map_state(function: Callable[..., Any], state: State, *others: State) -> State:
    """Apply `function` to every tensor of `state`, and to those of `others` in the same place; keep the nest."""
    if isinstance(state, tuple):
        items = (map_state(function, *parts) for parts in zip(state, *others, strict=True))
        return _rebuild(state, items)
    return function(state, *others)


def fill(shapes: Shapes, values: Iterator[Any]) -> State:
    """Put `values`, in the order of `leaves`, into a nest like `shapes`."""
    if is_shape(shapes):
        return next(values)
    return _rebuild(shapes, (fill(item, values) for item in shapes))


def _rebuild(like: tuple, items: Iterator[Any]) -> tuple:
    return type(like)(*items) if hasattr(like, "_fields") else tuple(items)  # a named tuple stays one


def select_rows(state: State, index: Tensor) -> State:
    """Take rows of the batch: `index` (N,) of integers, or (B,) of booleans."""
    return map_state(lambda leaf: leaf[index], state)


def where_rows(mask: Tensor, state: State, other: State) -> State:
    """Take a row from `state` where `mask` (B,) is true, from `other` where it is false."""
    return map_state(lambda a, b: torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b), state, other)


def detach(state: State) -> State:
    """Cut the graph: for truncated back-propagation, carry on from `detach(state)`."""
    return map_state(Tensor.detach, state)


def move(state: State, *args: Any, **kwargs: Any) -> State:
    """Every tensor `.to(*args, **kwargs)`: another device or dtype."""
    return map_state(lambda leaf: leaf.to(*args, **kwargs), state)


def check_state(state: State, shapes: Shapes, batch_size: int) -> None:
    """Raise ValueError, naming both shapes, unless `state` is a nest like `shapes` with `batch_size` rows."""
    found = _describe(state)
    wanted = _with_batch(shapes, batch_size)
    if found != wanted:
        raise ValueError(
            f"the state has shape {_show(found)} where {_show(wanted)} is right (batch first: a state has its batch in "
            "its first dimension here, even where nn.LSTM has it in the second)"
        )


def _describe(state: State) -> Any:
    if isinstance(state, tuple):
        return tuple(_describe(item) for item in state)
    return tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__


def _with_batch(shapes: Shapes, batch_size: int) -> Any:
    if is_shape(shapes):
        return (batch_size, *shapes)
    return tuple(_with_batch(item, batch_size) for item in shapes)


def _show(shapes: Any) -> str:
    if isinstance(shapes, tuple) and not is_shape(shapes):
        return "(" + ", ".join(map(_show, shapes)) + ")"
    return str(shapes)
