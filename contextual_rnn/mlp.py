"""A multilayer perceptron: the usual context network g."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

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
        hidden: the width of each layer, at least one; the last is `out_features`.
        activation: one of relu, tanh, sigmoid, gelu, silu.

    Raises:
        ValueError: no layer, or an activation that is not one of these.
    """

    def __init__(self, in_features: int, hidden: Sequence[int], activation: str = "relu") -> None:
        if not hidden:
            raise ValueError("hidden must name at least one width, for example MLP(2, [50])")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; found {activation!r}")
        widths = [in_features, *hidden]
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            layers += [nn.Linear(wide, narrow), ACTIVATIONS[activation]()]
        super().__init__(*layers)
        self.in_features, self.hidden, self.activation = in_features, list(hidden), activation

    def forward(self, input: Tensor) -> Tensor:
        """Return (B, out_features).

        Raises:
            ValueError: `input` is no tensor (B, in_features) of real numbers.
        """
        wanted = f"a tensor of real numbers (batch, {self.in_features}) is right"
        if not isinstance(input, Tensor):
            raise ValueError(f"the context is of type {type(input).__name__} where {wanted}")
        if input.dim() < 1 or input.shape[-1] != self.in_features or not input.is_floating_point():
            kind = str(input.dtype).removeprefix("torch.")
            raise ValueError(f"the context is a tensor of {kind} of shape {tuple(input.shape)} where {wanted}")
        return super().forward(input)

    @property
    def out_features(self) -> int:
        """The width of what comes out."""
        return self.hidden[-1]
