"""h0 = variable (2b)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .._core.noise import standard_normal
from .._core.state import State, fill, leaves, map_state, shape_leaves
from .base import Generator, InitialState, is_sampling, tile


class FreeState(InitialState):
    """Start from a learned state that is the same for every sequence, h0 = variable (2b), with optional noise.

    Args:
        core: the core, or its shapes.
        noise: the standard deviation of the normal noise that is added to the state, independently for each row.

    Attributes:
        variable: the learned state, one parameter for each shape in `self.shapes`, initialised to zero.

    Raises:
        ValueError: `noise` is negative, or a tensor.
    """

    uses_context = False

    def __init__(self, core: Any, noise: float = 0.0) -> None:
        super().__init__(core)
        if isinstance(noise, torch.Tensor):
            raise ValueError("noise is a standard deviation, one number for all units; found a tensor")
        if noise < 0:
            raise ValueError(f"noise is a standard deviation and cannot be negative; found {noise}")
        self.noise = noise
        self.variable = nn.ParameterList(torch.zeros(shape) for shape in shape_leaves(self.shapes))

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the variable for every row, with noise when sampling: (B, *shape) for every shape."""
        state = tile(fill(self.shapes, iter(self.variable)), batch_size)
        if not self.noise or not is_sampling(self, sample):
            return state
        noise = standard_normal(self.shapes, batch_size, next(leaves(state)), generator)
        return map_state(lambda mean, unit: mean + self.noise * unit, state, noise)
