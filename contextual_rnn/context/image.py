"""An image, as it is or made coarse."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from .field import Field, numbers


class Image(Field):
    """An image, (B, channels, height, width); made coarse, if asked to, by means over squares of pixels.

    Args:
        channels: how many.
        height: in pixels.
        width: in pixels.
        down: the side of the squares; 1 leaves the image as it is.
        network: a module from (B, channels, height // down, width // down) to (B, features); None takes the pixels.
        features: the width of what the network makes.
        unknown: whether it may be not known; see `Field`. A row that is not holds NaN.
        drop: see `Field`.

    Raises:
        ValueError: the squares are larger than the image; or `features` is not given with the network alone.
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
            raise ValueError("features is the width of what the network makes: give both or neither")
        super().__init__(features or channels * (height // down) * (width // down), unknown, drop)
        self.shape, self.down, self.network = (channels, height, width), down, network

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return the pixels (B, channels, height, width), and which images are not known."""
        return numbers(value, self.shape)

    def encode(self, value: Tensor) -> Tensor:
        """Return the features (B, F)."""
        coarse = avg_pool2d(value, self.down) if self.down > 1 else value
        return coarse.flatten(1) if self.network is None else self.network(coarse)
