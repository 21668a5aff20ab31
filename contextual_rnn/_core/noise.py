"""Standard normal noise for states, from a torch generator or from the seed of each trajectory."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .state import Shapes, State, fill, shape_leaves


@dataclasses.dataclass(frozen=True)
class TrajectorySeeds:
    """Draw noise that depends on the seed and the index of the trajectory, but not on the batch.

    Row r of a draw belongs to trajectory `first + r`. The numbers come from a counter-based generator (Philox) with the
    key (seed, stream), whose counter increases from trajectory to trajectory. So trajectory 7 of seed 0 is the same
    whether it is drawn alone, in a batch of 8, or in the second batch of 5.

    Every call that is given the same object draws the same noise. In a training loop, give a `torch.Generator`, or
    `seeds.next_stream(step)`.

    Attributes:
        seed: the seed.
        first: the index of the trajectory in row 0.
        stream: the stream of random numbers, which separates independent draws for the same trajectory. If an initial
            state contains another and both draw, each uses its own stream.
        groups: the number of groups of a batch, one after the other, that have the same random numbers.
    """

    seed: int
    first: int = 0
    stream: int = 0
    groups: int = 1

    def draw(self, batch_size: int, size: int) -> Tensor:
        """Return (batch_size, size) standard normal numbers in float32.

        Two uniform random numbers u and v give two normal numbers: sqrt(-2 ln u) times the cosine and the sine of
        2 pi v (Box and Muller 1958).
        """
        uniform = self.uniform(batch_size, size + size % 2).unflatten(1, (-1, 2))
        radius, angle = uniform[..., 0].log().mul_(-2).sqrt_(), uniform[..., 1].mul(2 * math.pi)
        normal = torch.empty_like(uniform)
        torch.mul(angle.cos(), radius, out=normal[..., 0])
        torch.mul(angle.sin(), radius, out=normal[..., 1])
        return normal.flatten(1)[:, :size]

    def uniform(self, batch_size: int, size: int) -> Tensor:
        """Return (batch_size, size) numbers in float32, uniform in the open interval (0, 1)."""
        if self.groups > 1:
            return dataclasses.replace(self, groups=1).uniform(batch_size // self.groups, size).repeat(self.groups, 1)
        blocks = -(-size // 8)  # the generator makes blocks of 256 bits, eight numbers each
        bits = np.random.Philox(key=[self.seed, self.stream], counter=self.first * blocks)
        words = bits.random_raw(batch_size * blocks * 4).view(np.uint32).reshape(batch_size, blocks * 8)
        # The upper 23 bits plus 0.5 are exact in float32, so no number is 0 or 1.
        whole = torch.from_numpy((words[:, :size] >> 9).astype(np.float32))
        return whole.add_(0.5).mul_(2.0**-23)

    def next_stream(self, steps: int = 1) -> TrajectorySeeds:
        """Return seeds that draw other, independent numbers for the same trajectories."""
        return dataclasses.replace(self, stream=self.stream + steps)


def next_generator(generator: torch.Generator | TrajectorySeeds | None) -> torch.Generator | TrajectorySeeds | None:
    """Return a generator for an initial state inside another, so that the noise of the two is independent."""
    if isinstance(generator, TrajectorySeeds):
        return generator.next_stream()
    return generator


def standard_normal(
    shapes: Shapes, batch_size: int, like: Tensor, generator: torch.Generator | TrajectorySeeds | None = None
) -> State:
    """Draw a state of independent standard normal numbers.

    Args:
        shapes: the shapes of one example's state.
        batch_size: B.
        like: a tensor with the device and dtype of the noise.
        generator: a `torch.Generator` or `TrajectorySeeds`; None means the global generator of PyTorch.

    Returns:
        A state, `(B, *shape)` for every shape.
    """
    sizes = [math.prod(shape) for shape in shape_leaves(shapes)]
    if not (generator is None or isinstance(generator, (torch.Generator, TrajectorySeeds))):
        seeds = f"TrajectorySeeds({generator})" if isinstance(generator, int) else "TrajectorySeeds(seed)"
        raise TypeError(f"`generator` must be a torch.Generator or {seeds}; found {generator!r}")
    if isinstance(generator, TrajectorySeeds):
        noise = generator.draw(batch_size, sum(sizes)).to(like)
    else:
        # Even generator=None is refused where the batch size is symbolic, as in torch.export.
        options: dict[str, Any] = {} if generator is None else {"generator": generator}
        noise = torch.randn(batch_size, sum(sizes), device=like.device, dtype=like.dtype, **options)
    parts = noise.split(sizes, dim=1)
    return fill(
        shapes,
        (
            part.unflatten(1, shape) if shape else part[:, 0]
            for part, shape in zip(parts, shape_leaves(shapes), strict=True)
        ),
    )
