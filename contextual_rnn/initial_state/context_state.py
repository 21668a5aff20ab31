"""h0 = g(context) (2c)."""

from __future__ import annotations

from typing import Any

from torch import nn

from .._core.state import State, map_state
from .base import Generator, InitialState
from .context_network import context_network, out_features, read_context
from .leaf_maps import LeafMaps


class ContextState(InitialState):
    """Start from a function of context, h0 = g(context) (2c).

    Every leaf and layer of the state has its own linear map: h_l = activation(W_l f(context) + b_l), where f is
    `network`. So h and c are not forced to be equal.

    Args:
        core: the core, or its shapes.
        network: f, any module from a context of B rows to (B, F); a field of a context, such as `Label(10)`; or a
            number of classes n, for `Label(n)`.
        features: F, the width of the output of f; None means `network.out_features` (`MLP`, fields and `Context` have
            it), the width of an `nn.Embedding`, or the width of the last layer of an `nn.Sequential` that has one.
        activation: an element-wise module applied after the maps; None leaves them linear.

    Attributes:
        maps: the linear maps W_l. They start at random, so h0 is not zero before training. With all of their parameters
            set to zero, h0 starts at activation(0), as a core that was trained from zero expects.

    Raises:
        ValueError: `network` is none of these, or its width is not known; or, when called, there is no context, or the
            output of f is not (B, F).
    """

    def __init__(
        self, core: Any, network: nn.Module | int, features: int | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__(core)
        self.network = context_network(network)
        self.features = features or out_features(self.network)
        self.activation = activation
        self.maps = LeafMaps(self.shapes, self.features)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return g(context), mapped to the state: (B, *shape) for every shape."""
        state = self.maps(read_context(self.network, context, batch_size, self.features, self.maps))
        return state if self.activation is None else map_state(self.activation, state)
