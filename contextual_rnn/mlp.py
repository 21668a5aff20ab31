"""A multilayer perceptron: the usual context network g."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from ._core.arrays import linear_input

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class MLP(nn.Sequential):
    """Dense layers with an activation after each: (B, in_features) -> (B, out_features).

    Args:
        in_features: D, the width of the context.
        hidden: the width of each layer, one or more; the last is `out_features`. A number means one layer.
        activation: one of relu, tanh, sigmoid, gelu, silu.

    Raises:
        ValueError: there is no layer, a width is not a positive integer, or the activation is not one of these.
    """

    def __init__(self, in_features: int, hidden: int | Sequence[int], activation: str = "relu") -> None:
        widths = list(hidden) if isinstance(hidden, Iterable) else [hidden]
        if not widths:
            raise ValueError("hidden must contain at least one width, for example MLP(2, [50])")
        if not all(_is_width(width) for width in [in_features, *widths]):
            raise ValueError(f"the widths must be positive integers; found {in_features!r} and {hidden!r}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; found {activation!r}")
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise([in_features, *widths]):
            layers += [nn.Linear(wide, narrow), ACTIVATIONS[activation]()]
        super().__init__(*layers)
        self.in_features, self.hidden, self.activation = in_features, widths, activation

    def forward(self, input: Any) -> Tensor:
        """Return (B, out_features), in the dtype and on the device of the weights.

        Args:
            input: real numbers (B, in_features): a tensor, a NumPy array, or a frame or series of pandas or polars.

        Raises:
            ValueError: `input` is of another type or shape.
        """
        return super().forward(linear_input(input, self.in_features, next(self.parameters(), None)))

    @property
    def out_features(self) -> int:
        """The width of the output."""
        return self.hidden[-1]


def _is_width(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1
