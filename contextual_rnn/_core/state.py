"""States of recurrent cores, as nested tuples of tensors.

A *state* is a tensor or a nested tuple of tensors, batch first: `(B, L, H)` for `nn.RNN` and `nn.GRU`, a pair of these
for `nn.LSTM`, `(B, H)` for cells, and any nested tuple for a core of your own. Its *shapes* are the same nested tuple
with the shape of one example in place of each tensor: `(L, H)`, `((L, H), (L, H))`, `(H,)`. A *leaf* is one of these
tensors, such as h or c.

Legend of shapes in this library: `B` batch, `T` time, `D` input features, `H` hidden units, `L` layers times
directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .tracing import shapes_are_traced

State = Any  # Tensor | tuple[State, ...]: type checkers do not follow a recursive alias
Shapes = Any  # tuple[int, ...] | tuple[Shapes, ...]

_INNER = ("_orig_mod", "_fsdp_wrapped_module")  # the names of the wrapped module in torch.compile and FSDP


def is_shape(shapes: Shapes) -> bool:
    """Return whether `shapes` is the shape of one tensor, not a nested tuple of shapes; `()` is that of a scalar."""
    return isinstance(shapes, tuple) and all(isinstance(size, int) for size in shapes)


def state_shapes(core: Any) -> Shapes:
    """Return the shapes of one example's state.

    Args:
        core: `nn.RNN`, `nn.LSTM`, `nn.GRU`, their cells; one of these inside `torch.compile`, `DataParallel` or
            `DistributedDataParallel`; any module with an attribute `state_shapes`, a nested tuple of shapes without the
            batch dimension, such as `((5,), ((5, 3), (2,)))`; or such a nested tuple itself.

    Returns:
        `(L, H)` for `nn.RNN` and `nn.GRU`; `((L, P), (L, H))` for `nn.LSTM`, where P is `proj_size` or H; `(H,)` for
        `nn.RNNCell` and `nn.GRUCell`; `((H,), (H,))` for `nn.LSTMCell`; else the attribute of the core.

    Raises:
        TypeError: the core is none of these, is a class instead of a module, or its `state_shapes` is not a nested
            tuple of sizes.
    """
    if isinstance(core, tuple):
        return _check_shapes(core)
    if isinstance(core, type):
        raise TypeError(
            f"the core is the class {core.__name__}; give an instance of it, such as {core.__name__}(input_size, "
            "hidden_size)"
        )
    core = unwrap(core)
    if isinstance(core, nn.RNNBase):
        layers = core.num_layers * (2 if core.bidirectional else 1)
        hidden: Shapes = (layers, core.hidden_size)
        return ((layers, core.proj_size or core.hidden_size), hidden) if isinstance(core, nn.LSTM) else hidden
    if isinstance(core, nn.RNNCellBase):
        hidden = (core.hidden_size,)
        return (hidden, hidden) if isinstance(core, nn.LSTMCell) else hidden
    shapes = getattr(core, "state_shapes", None)
    if shapes is None:
        raise TypeError(
            f"{type(core).__name__} is not a recurrent core: it has no attribute state_shapes, a nested tuple of the "
            "shapes of one example's state without the batch dimension, for example ((5,), (5, 3)). A core with this "
            "attribute takes and returns batch-first states: a module that wraps nn.LSTM must swap the first two "
            "dimensions of its states before and after the call, (B, L, H) and (L, B, H)"
        )
    return _check_shapes(shapes)


def unwrap(core: Any) -> Any:
    """Return the module inside `torch.compile`, `DataParallel`, DDP or FSDP; if there is none, the core itself."""
    while True:
        if isinstance(core, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            core = core.module
            continue
        inner = [core._modules[name] for name in _INNER if name in core._modules] if isinstance(core, nn.Module) else []
        if not inner:
            return core
        core = inner[0]


def weight_dtype(module: nn.Module) -> torch.dtype | None:
    """Return the dtype of the first floating-point parameter, in the order of `parameters()`; None if there is none."""
    for weight in module._parameters.values():
        if weight is not None and weight.is_floating_point():
            return weight.dtype
    for part in module._modules.values():
        dtype = None if part is None else weight_dtype(part)
        if dtype is not None:
            return dtype
    return None


def _check_shapes(shapes: Shapes) -> Shapes:
    if is_shape(shapes):
        return shapes
    if not isinstance(shapes, tuple):
        raise TypeError(f"state_shapes must be a nested tuple of sizes, for example ((5,), (5, 3)); found {shapes!r}")
    for item in shapes:
        _check_shapes(item)
    return shapes


def leaves(state: State) -> Iterator[Tensor]:
    """Yield the tensors of a state, left to right."""
    if isinstance(state, tuple):
        for item in state:
            yield from leaves(item)
    else:
        yield state


def shape_leaves(shapes: Shapes) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of a nested tuple, left to right, in the order of `leaves`."""
    if is_shape(shapes):
        yield shapes
    else:
        for item in shapes:
            yield from shape_leaves(item)


def map_state(function: Callable[..., Any], state: State, *others: State) -> State:
    """Apply `function` to every tensor of `state` and to the tensors of `others` in the same place."""
    if isinstance(state, tuple):
        items = (map_state(function, *parts) for parts in zip(state, *others, strict=True))
        return rebuild(state, items)
    return function(state, *others)


def fill(shapes: Shapes, values: Iterator[Any]) -> State:
    """Return the `values` in a nested tuple like `shapes`, in the order of `leaves`."""
    if is_shape(shapes):
        return next(values)
    return rebuild(shapes, (fill(item, values) for item in shapes))


def rebuild(like: tuple, items: Iterator[Any]) -> tuple:
    """Return a tuple of the items, or a named tuple of the class of `like` if `like` is one."""
    return type(like)(*items) if hasattr(like, "_fields") else tuple(items)


def select_rows(state: State, index: Tensor | Sequence[int] | slice) -> State:
    """Select rows of the batch from every tensor of a state.

    Args:
        state: batch first, (B, ...).
        index: (N,) row numbers, (B,) booleans, or a slice.

    Returns:
        The state of these rows, (N, ...).

    Example:
        >>> import torch
        >>> from contextual_rnn import select_rows
        >>> h, c = select_rows((torch.zeros(4, 1, 8), torch.zeros(4, 1, 8)), [0, 2])
        >>> h.shape
        torch.Size([2, 1, 8])
    """
    return map_state(lambda leaf: leaf[index], state)


def where_rows(mask: Tensor, state: State, other: State) -> State:
    """Return the rows of `state` where `mask` (B,) is true and those of `other` where it is false."""
    return map_state(lambda a, b: torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b), state, other)


def detach(state: State) -> State:
    """Return the state, detached from its graph; None, as before the first chunk of a sequence, stays None.

    For truncated back-propagation through time, continue from `detach(state)`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import ContextualRNN, FreeState, detach
        >>> core = nn.GRU(1, 8, batch_first=True)
        >>> rnn = ContextualRNN(core, FreeState(core))
        >>> output, state = rnn(torch.zeros(4, 25, 1))
        >>> output, state = rnn(torch.zeros(4, 25, 1), state=detach(state))
    """
    return None if state is None else map_state(Tensor.detach, state)


def move(state: State, *args: Any, **kwargs: Any) -> State:
    """Return the state with every tensor moved by `.to(*args, **kwargs)`."""
    return map_state(lambda leaf: leaf.to(*args, **kwargs), state)


def swap_batch_and_layers(state: State) -> State:
    """Swap the first two dimensions of every tensor: (B, L, H) to the (L, B, H) of `nn.LSTM`, or the other way."""
    return map_state(lambda leaf: leaf.transpose(0, 1).contiguous(), state)


def torch_layout(state: State) -> State:
    """Convert a batch-first state (B, L, H) to the layout (L, B, H) that `nn.RNN`, `nn.GRU` and `nn.LSTM` expect.

    States are batch first everywhere in this library. Convert them before you call a PyTorch module directly: if
    B = L, `nn.LSTM` accepts a batch-first state and returns wrong values without an error. Cells, such as
    `nn.LSTMCell`, expect batch-first states (B, H), which need no conversion.

    Args:
        state: a tensor (B, L, H) or a nested tuple of them.

    Raises:
        ValueError: a tensor does not have three dimensions.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import FreeState, torch_layout
        >>> core = nn.LSTM(1, 8, num_layers=2, batch_first=True)
        >>> output, state = core(torch.zeros(4, 25, 1), torch_layout(FreeState(core)(4)))
    """
    for leaf in leaves(state):
        if not isinstance(leaf, Tensor) or leaf.dim() != 3:
            found = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf).__name__
            raise ValueError(f"torch_layout expects a state of tensors (batch, layers, units); found {found}")
    return swap_batch_and_layers(state)


def check_state(
    state: State, shapes: Shapes, batch_size: int, dtype: torch.dtype | None = None, name: str = "the state"
) -> None:
    """Check the nesting, the shapes and the dtype of a batch-first state.

    Args:
        state: the state to check.
        shapes: the shapes of one example's state.
        batch_size: B.
        dtype: the dtype that floating-point tensors must have; None allows any.
        name: the name of the state in error messages.

    Raises:
        ValueError: the state is not a nested tuple like `shapes` of tensors `(B, *shape)`, or has another dtype.
    """
    if shapes_are_traced():
        return
    found = _describe(state)
    wanted = _with_batch(shapes, batch_size)
    if found != wanted:
        raise ValueError(
            f"{name} has shape {_show(found)}; expected {_show(wanted)} (batch first: the batch is the first dimension "
            "of every state in this library, even for nn.LSTM)"
        )
    for leaf in leaves(state) if dtype is not None else ():
        if leaf.is_floating_point() and leaf.dtype != dtype:
            raise ValueError(f"{name} has dtype {leaf.dtype}; expected {dtype}, the dtype of the core's weights")


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
        return "(" + ", ".join(map(_show, shapes)) + ("," if len(shapes) == 1 else "") + ")"
    return str(shapes)
