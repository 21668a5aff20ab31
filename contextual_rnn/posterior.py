"""The posterior of h0: a distribution over the initial state, given the sequence that started from it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.nn.functional import softplus

from ._core.state import leaves, map_state, shape_leaves, state_shapes
from ._core.tracing import values_are_known
from .gated import GRU
from .initial_state import LeafMaps

_SOFTPLUS_INVERSE_OF_1 = math.log(math.expm1(1.0))


class Posterior(nn.Module):
    """Compute q(h0 | x, context): independent normals around those of the prior, from a GRU over the reversed sequence.

        q = N(m + s a, s softplus(b)),  (a, b) = maps([GRU(x); m]),  with m and s the prior's mean and deviation

    The maps read m, so that the posterior can correct the prior of a noisy context. If the sequence determines the
    context, they need not read it.

    Args:
        core: the core whose initial state this is, or the nested tuple of its state's shapes.
        features: D, the size of an element.
        hidden: the number of units of the GRU.
        reads_prior: whether the maps read m.
    """

    def __init__(self, core: Any, features: int, hidden: int = 64, reads_prior: bool = True) -> None:
        super().__init__()
        self.shapes, self.features, self.hidden = state_shapes(core), features, hidden
        self.encoder = GRU(features + 1, hidden, batch_first=True)
        self.reads_prior = reads_prior
        width = hidden + reads_prior * sum(math.prod(shape) for shape in shape_leaves(self.shapes))
        self.shift = LeafMaps(self.shapes, width, bias=0.0)
        self.spread = LeafMaps(self.shapes, width, bias=_SOFTPLUS_INVERSE_OF_1)

    def forward(self, x: Tensor, inside: Tensor, prior: Any) -> Any:
        """Return the posterior, `Independent` normals nested like those of the prior.

        Args:
            x: sequences (B, T, D), 0 past their ends.
            inside: (B, T) true up to the end of each sequence.
            prior: p(h0 | context), as `GaussianState.distribution` returns it.
        """
        encoded = self._encode(torch.cat([x, inside.unsqueeze(2).to(x)], dim=2), inside)
        expected = leaves(map_state(lambda one: one.base_dist.loc, prior)) if self.reads_prior else ()
        features = torch.cat([encoded, *(leaf.flatten(1) for leaf in expected)], dim=1)

        check = None if values_are_known() else False

        def around(prior: Independent, shift: Tensor, spread: Tensor) -> Independent:
            mean, deviation = prior.base_dist.loc, prior.base_dist.scale
            normal = Normal(mean + deviation * shift, deviation * softplus(spread), validate_args=check)
            return Independent(normal, shift.dim() - 1, validate_args=check)

        return map_state(around, prior, self.shift(features), self.spread(features))

    def _encode(self, steps: Tensor, inside: Tensor) -> Tensor:
        """Return the output of the GRU (B, H) after reading each sequence from its end to its start; 0 if it is empty.

        The GRU reads the padding last, after the first element, and these outputs are not used.
        """
        lengths = inside.sum(1)
        time = torch.arange(steps.shape[1], device=steps.device)
        reverse = (lengths.unsqueeze(1) - 1 - time).clamp(min=0)
        reversed_steps = steps.gather(1, reverse.unsqueeze(2).expand(-1, -1, steps.shape[2]))
        zero = steps.new_zeros(1, steps.shape[0], self.hidden)  # vmap needs it; it is what nn.GRU starts from
        output, _ = self.encoder(reversed_steps, zero)
        last = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, output.shape[2])
        return torch.where(lengths.unsqueeze(1) > 0, output.gather(1, last).squeeze(1), 0)
