"""A field for images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from .field import Field


class Image(Field):
    """An image, (B, channels, height, width), which may be reduced by means over squares of pixels.

    Args:
        channels: the number of channels.
        height: in pixels.
        width: in pixels.
        down: the side of the squares; 1 keeps every pixel.
        network: a module from (B, channels, height // down, width // down) to (B, features); None takes the
            pixels.
        features: the width of what the network returns.
        unknown: whether it may be unknown; an unknown row holds NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.

    Raises:
        ValueError: the squares are larger than the image; or of `network` and `features`, one is
            given without the other.
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
            raise ValueError(f"down must be at least 1 and no more than the image's sides; found {down}")
        if (network is None) != (features is None):
            raise ValueError("features is the width of what the network returns: give both or neither")
        super().__init__(features or channels * (height // down) * (width // down), unknown, drop)
        self.shape, self.down, self.network = (channels, height, width), down, network

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the pixels (B, channels, height, width), and which images are unknown."""
        return self.numbers(value, self.shape)

    def encode(self, value: Tensor) -> Tensor:
        """Return the features (B, F)."""
        coarse = avg_pool2d(value, self.down) if self.down > 1 else value
        return coarse.flatten(1) if self.network is None else self.network(coarse)
