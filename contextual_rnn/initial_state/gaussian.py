"""h0 ~ N(base, softplus(sigma)) (4)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.distributions import Independent, Normal
from torch.nn.functional import softplus

from .._core.noise import next_generator, standard_normal
from .._core.state import State, fill, leaves, map_state, shape_leaves
from .._core.tracing import values_are_known
from .base import Generator, InitialState, check_base, is_sampling, tile
from .context_network import out_features, read_context
from .leaf_maps import LeafMaps


class GaussianState(InitialState):
    """Start from a normal distribution, h0 ~ N(base, softplus(sigma)) (4), reparameterised.

    h0 = base + softplus(sigma) * noise. In training mode it draws a sample; in evaluation mode it returns the mode of
    the distribution, which is the state of the base, unless it is called with `sample=True`.

    Args:
        base: the initial state that gives the mean.
        scale: a number, the initial standard deviation softplus(sigma), where sigma is one parameter per unit of the
            state (as in the paper); or a network, whose output is mapped linearly to sigma, so that the standard
            deviation depends on the context (its initial value is about 0.25).
        features: the width of the output of that network, as for `ContextState`.

    Raises:
        ValueError: `scale` is not positive, or the base is no initial state.
    """

    def __init__(self, base: InitialState, scale: float | nn.Module = 0.25, features: int | None = None) -> None:
        check_base("GaussianState", base)
        super().__init__(base.shapes)
        self.base = base
        self.network = scale if isinstance(scale, nn.Module) else None
        start = 0.25 if isinstance(scale, nn.Module) else scale
        if start <= 0:
            raise ValueError(f"scale is a standard deviation and must be positive; found {start}")
        sigma = start + math.log(-math.expm1(-start))  # softplus(sigma) = start
        if self.network is None:
            self.sigma = nn.ParameterList(torch.full(shape, sigma) for shape in shape_leaves(self.shapes))
        else:
            self.features = features or out_features(self.network)
            self.maps = LeafMaps(self.shapes, self.features, bias=sigma)
        self.uses_context = getattr(base, "uses_context", True) or self.network is not None

    def distribution(self, batch_size: int, context: Any = None) -> Any:
        """Return the distribution of h0: a nested tuple like the state, of `Independent(Normal)` with batch shape (B,).

        The mean is the mode of the base, without the noise of the base itself.
        """
        mean = self.base(batch_size, context, sample=False)
        check = None if values_are_known() else False

        def normal(mean: torch.Tensor, scale: torch.Tensor) -> Independent:
            return Independent(Normal(mean, scale, validate_args=check), mean.dim() - 1, validate_args=check)

        return map_state(normal, mean, self._scale(batch_size, context))

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return a sample, or the mode: (B, *shape) for every shape."""
        sampling = is_sampling(self, sample)
        mean = self.base(batch_size, context, sample=sampling, generator=next_generator(generator))
        if not sampling:
            return mean
        noise = standard_normal(self.shapes, batch_size, next(leaves(mean)), generator)
        scale = self._scale(batch_size, context)
        return map_state(torch.addcmul, mean, scale, noise)

    def _scale(self, batch_size: int, context: Any) -> State:
        if self.network is None:
            return tile(map_state(softplus, fill(self.shapes, iter(self.sigma))), batch_size)
        features = read_context(self.network, context, batch_size, self.features, self.maps)
        return map_state(softplus, self.maps(features))
