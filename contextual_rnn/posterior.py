"""The posterior of h0: what a whole sequence says of the state that it started from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.nn.functional import softplus

from ._core.state import leaves, map_state, shape_leaves, state_shapes
from .initial_state import LeafMaps

_ONE = math.log(math.expm1(1.0))  # softplus of it is 1


class Posterior(nn.Module):
    """q(h0 | x, context): independent normals about those of the prior, from a GRU that reads the sequence backwards.

        q = N(m + s a, s softplus(b)),  (a, b) = maps([GRU(x); m]),  with m and s the prior's mean and deviation

    The maps read m because what the context led the prior to expect must be taken back where the sequence says
    otherwise; without it the prior cannot make use of a context that is noisy. Where the sequence says all that the
    context does, they need not.

    Args:
        core: the core whose initial state this is, or the nest of its state's shapes.
        features: D, the numbers of an element.
        hidden: units of the GRU.
        reads_prior: whether the maps read m.
    """

    def __init__(self, core: Any, features: int, hidden: int = 64, reads_prior: bool = True) -> None:
        super().__init__()
        self.shapes, self.features, self.hidden = state_shapes(core), features, hidden
        self.encoder = nn.GRU(features + 1, hidden, batch_first=True)
        self.reads_prior = reads_prior
        width = hidden + reads_prior * sum(math.prod(shape) for shape in shape_leaves(self.shapes))
        self.shift = LeafMaps(self.shapes, width, bias=0.0)
        self.spread = LeafMaps(self.shapes, width, bias=_ONE)

    def forward(self, x: Tensor, inside: Tensor, prior: Any) -> Any:
        """Return the posterior, a nest of `Independent` normals as the prior is.

        Args:
            x: sequences (B, T, D), 0 past their ends.
            inside: (B, T) which elements there are.
            prior: p(h0 | context), as `GaussianState.distribution` returns it.
        """
        there = torch.cat([x, inside.unsqueeze(2).to(x)], dim=2)
        read = self.encoder(there.flip(1))[0][:, -1]  # backwards: the padding comes first, and is then forgotten
        expected = leaves(map_state(lambda one: one.base_dist.loc, prior)) if self.reads_prior else ()
        features = torch.cat([read, *(leaf.flatten(1) for leaf in expected)], dim=1)

        def about(prior: Independent, shift: Tensor, spread: Tensor) -> Independent:
            mean, deviation = prior.base_dist.loc, prior.base_dist.scale
            return Independent(Normal(mean + deviation * shift, deviation * softplus(spread)), shift.dim() - 1)

        return map_state(about, prior, self.shift(features), self.spread(features))
