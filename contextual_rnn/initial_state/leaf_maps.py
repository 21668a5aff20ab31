"""Linear maps from one vector to a whole state."""

from __future__ import annotations

import math

from torch import Tensor, nn

from .._core.state import Shapes, State, fill, shape_leaves


class LeafMaps(nn.ModuleList):
    """Map a vector to a state with one linear map per leaf: (B, F) -> (B, *shape) for every shape.

    The output of a map is reshaped to the leaf, such as (L, H), so that every layer has its own weights.

    Args:
        shapes: the shapes of the state.
        features: F.
        bias: the initial value of every bias; None keeps the initialisation of `nn.Linear`.
    """

    def __init__(self, shapes: Shapes, features: int, bias: float | None = None) -> None:
        super().__init__(nn.Linear(features, math.prod(shape)) for shape in shape_leaves(shapes))
        self.shapes = shapes
        if bias is not None:
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    nn.init.constant_(parameter, bias)

    def forward(self, features: Tensor) -> State:
        """Return the state: (B, *shape) for every shape."""
        rows = features.shape[0]
        sized = zip(self, shape_leaves(self.shapes), strict=True)
        return fill(self.shapes, (linear(features).reshape(rows, *shape) for linear, shape in sized))
