"""h0 = g(z, context), z ~ N(mu(context), sigma(context)): a low-dimensional distribution over h0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._core.noise import next_generator
from .._core.state import State
from .base import Generator, InitialState, is_sampling
from .gaussian import GaussianState


class LatentState(InitialState):
    """Start from a function of a low-dimensional latent variable, h0 = g(z, context), z ~ N(mu, sigma).

    The units of a `GaussianState` vary independently of one another, as in (4); here they vary jointly, with z.

    Args:
        prior: p(z | context), a `GaussianState` of one leaf (K,), such as
            `GaussianState(ContextState((K,), network), scale)`.
        state: g, an initial state of the core. Its context is z (B, K), concatenated with the output of `told`.
        told: a module of the context whose output (B, F) is concatenated with z; None passes only z to g.
    """

    def __init__(self, prior: GaussianState, state: InitialState, told: nn.Module | None = None) -> None:
        super().__init__(state.shapes)
        self.prior, self.state, self.told = prior, state, told

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return g of a sample of z, or of the mean of z: (B, *shape) for every shape."""
        sampling = is_sampling(self, sample)
        z = self.prior(batch_size, context, sample=sampling, generator=generator)
        # The prior draws from the first two streams.
        return self.of(z, context, sample=sampling, generator=next_generator(next_generator(generator)))

    def of(self, z: Tensor, context: Any = None, *, sample: bool | None = None, generator: Generator = None) -> State:
        """Return the state for z (B, K); `sample` and `generator` control the noise of g, if it has any."""
        joined = z if self.told is None else torch.cat([z, self.told(context).to(z)], dim=1)
        return self.state(z.shape[0], joined, sample=sample, generator=generator)
