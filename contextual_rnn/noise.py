"""Standard normal noise for states: from a torch generator, or tied to the trajectory it belongs to."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from .state import Shapes, State, fill, shape_leaves


@dataclasses.dataclass(frozen=True)
class TrajectorySeeds:
    """Noise that depends on the seed and the trajectory's number alone, never on the batches it was drawn in.

    Row r of a draw belongs to trajectory `first + r`. Each has a counter-based stream of its own (Philox keyed by
    (seed, number)), so trajectory 7 of seed 0 is the same drawn alone, in a batch of 8, or in the second batch of 5.
    Where one initial state wraps another and both draw, each has its own `stream` of the trajectory.
    """

    seed: int
    first: int = 0
    stream: int = 0

    def draw(self, batch_size: int, size: int) -> Tensor:
        """Return (batch_size, size) standard normal numbers in float32."""
        rows = range(self.first, self.first + batch_size)
        streams = (
            np.random.Generator(np.random.Philox(key=[self.seed, row], counter=[0, 0, 0, self.stream])) for row in rows
        )
        noise = [stream.standard_normal(size, dtype=np.float32) for stream in streams]
        return torch.from_numpy(np.stack(noise)) if noise else torch.empty(0, size)


def wrapped(generator: torch.Generator | TrajectorySeeds | None) -> torch.Generator | TrajectorySeeds | None:
    """Return the generator for what is wrapped, so that its noise is independent of the wrapper's."""
    if isinstance(generator, TrajectorySeeds):
        return dataclasses.replace(generator, stream=generator.stream + 1)
    return generator


def standard_normal(
    shapes: Shapes, batch_size: int, like: Tensor, generator: torch.Generator | TrajectorySeeds | None = None
) -> State:
    """Draw a state of independent standard normal numbers.

    Args:
        shapes: the nest of shapes of one example.
        batch_size: B.
        like: a tensor whose device and dtype the noise takes.
        generator: where the numbers come from; None is torch's global generator.

    Returns:
        A state: `(B, *shape)` for every shape.
    """
    sizes = [math.prod(shape) for shape in shape_leaves(shapes)]
    if isinstance(generator, TrajectorySeeds):
        noise = generator.draw(batch_size, sum(sizes)).to(like)
    else:
        noise = torch.randn(batch_size, sum(sizes), generator=generator, device=like.device, dtype=like.dtype)
    parts = noise.split(sizes, dim=1)
    return fill(
        shapes,
        (
            part.unflatten(1, shape) if shape else part[:, 0]
            for part, shape in zip(parts, shape_leaves(shapes), strict=True)
        ),
    )
