"""A field for images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from .field import Field


class Image(Field):
    """An image, (B, channels, height, width), optionally average-pooled.

    Args:
        channels: the number of channels.
        height: in pixels.
        width: in pixels.
        down: the side of the pooling window in pixels; 1 means no pooling.
        network: a module from (B, channels, height // down, width // down) to (B, features); None uses the pooled
            pixels.
        features: the width of the output of the network.
        unknown: whether it may be unknown; an unknown row contains NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.

    Raises:
        ValueError: the pooling window is larger than the image; or only one of `network` and `features` is given.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        down: int = 1,
        network: nn.Module | None = None,
        features: int | None = None,
        unknown: bool = False,
        drop: float = 0.0,
    ) -> None:
        if not 1 <= down <= min(height, width):
            raise ValueError(f"down must be at least 1 and at most the height and the width; found {down}")
        if (network is None) != (features is None):
            raise ValueError("network and features (the width of its output) must be given together, or neither")
        super().__init__(features or channels * (height // down) * (width // down), unknown, drop)
        self.shape, self.down, self.network = (channels, height, width), down, network

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the pixels (B, channels, height, width), and a mask (B,) of the unknown images."""
        return self.numbers(value, self.shape)

    def encode(self, value: Tensor) -> Tensor:
        """Return the features (B, F)."""
        coarse = avg_pool2d(value, self.down) if self.down > 1 else value
        return coarse.flatten(1) if self.network is None else self.network(coarse)
