"""h0 = constant (2a)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .._core.state import Shapes, State, fill, leaves, shape_leaves
from .base import Generator, InitialState, tile


class ConstantState(InitialState):
    """Start from a constant, h0 = constant (2a).

    Args:
        core: the core, or its shapes.
        value: a number for the whole state, or the state of one example, a nested tuple of tensors of `self.shapes`.

    Raises:
        ValueError: a tensor of `value` has a shape other than that of the state.
    """

    uses_context = False

    def __init__(self, core: Any, value: float | State = 0.0) -> None:
        super().__init__(core)
        self.constant = BufferTree(self.shapes, value)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the constant for every row: (B, *shape) for every shape."""
        return tile(fill(self.shapes, self.constant.buffers()), batch_size)

    def config(self) -> dict[str, Any]:
        """Return the arguments of `__init__` to save in a file; the value is saved as buffers."""
        return {"core": self.shapes}


class BufferTree(nn.Module):
    """Store one buffer for each shape of one example's state; the buffers follow `.to()` and are saved.

    Args:
        shapes: the shapes of the state.
        value: a number for all buffers, or a state of one example.

    Raises:
        ValueError: a tensor of `value` has a shape other than that of the state.
    """

    def __init__(self, shapes: Shapes, value: float | State) -> None:
        super().__init__()
        wanted = list(shape_leaves(shapes))
        if isinstance(value, (int, float)):
            tensors = [torch.full(shape, float(value)) for shape in wanted]
        else:
            tensors = [leaf.detach().clone() for leaf in leaves(value)]
            tensors = [leaf if leaf.is_floating_point() else leaf.to(torch.get_default_dtype()) for leaf in tensors]
        found = [tuple(tensor.shape) for tensor in tensors]
        if found != wanted:
            raise ValueError(f"value has shapes {found}; expected those of the state of one example, {wanted}")
        for index, tensor in enumerate(tensors):
            self.register_buffer(str(index), tensor)
