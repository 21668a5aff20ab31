"""Heads: modules that predict the next element of a sequence from a hidden state.

A head is called as `head(hidden, last) -> prediction`; the prediction is an element or a distribution. `loss(hidden,
target, last)` is the loss of each step. `sample(hidden, last, uniform, temperature)` draws the next element with
uniform random numbers that the caller provides, so that trajectories are reproducible; `draws` is the number of these
per element.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, MultivariateNormal, Normal
from torch.nn.functional import cross_entropy, softplus

from ._core.categorical import at_least_single, draw_category
from .errors import InputError


class Head(nn.Module):
    """The base class of heads.

    Attributes:
        size: D, the size of an element; or the number of categories.
        draws: the number of uniform random numbers needed to draw an element.
        is_category: whether elements are integers.
        hidden_features: H, the width of the hidden state that the head reads; None if it is not known.
    """

    size: int
    draws: int = 0
    is_category: bool = False
    hidden_features: int | None = None

    def loss(self, hidden: Tensor, target: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the loss of every step, (...).

        Args:
            hidden: (..., H).
            target: the elements to predict, (..., D), or (...) of categories.
            last: the element before each, in the shape of `target`; needed by heads that predict the change from it.
        """
        raise NotImplementedError

    def tensors(self, hidden: Tensor, last: Tensor | None = None) -> dict[str, Tensor]:
        """Return the prediction as tensors by name, which an exported graph returns.

        Args:
            hidden: (..., H).
            last: (..., D), the element before each.
        """
        found = self(hidden, last)
        if not isinstance(found, Tensor):
            raise InputError(f"a {type(self).__name__} cannot be exported: it has no method `tensors`")
        return {"prediction": found}

    def sample(self, hidden: Tensor, last: Tensor | None, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the next elements, (N, D), or (N,) of categories.

        Args:
            hidden: (N, H).
            last: (N, D), the element before each.
            uniform: (N, draws) numbers in (0, 1).
            temperature: 1 for a draw from the distribution, 0 for its mode.
        """
        raise NotImplementedError


class ChangeHead(Head):
    """Predict the change from the last element, with a squared error (arXiv 1902.03455, section 2.2.2).

    The range of the changes in training is scaled to [-1, 1]. A predicted change is clipped to this range.

    Args:
        hidden: H.
        low: the smallest change of each of the D features in training, in its unit.
        high: the largest change of each feature.

    Raises:
        ValueError: `low` and `high` differ in length, or a smallest change is not less than the largest.
    """

    low: Tensor
    range: Tensor

    def __init__(self, hidden: int, low: list[float], high: list[float]) -> None:
        super().__init__()
        if len(low) != len(high) or not all(a < b for a, b in zip(low, high, strict=True)):
            raise ValueError(f"low and high must be lists of equal length, with low < high; found {low} and {high}")
        self.size = len(low)
        self.hidden_features = hidden
        self.linear = nn.Linear(hidden, self.size)
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("range", torch.tensor(high) - torch.tensor(low), persistent=False)

    def forward(self, hidden: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the next element, (..., D)."""
        share = (self.linear(hidden).clamp(-1, 1) + 1) / 2
        return _required(last) + self.low + share * self.range

    def loss(self, hidden: Tensor, target: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the squared error of the scaled change, averaged over the D features, (...)."""
        scaled = 2 * (target - _required(last) - self.low) / self.range - 1
        return (self.linear(hidden) - scaled).square().mean(-1)

    def sample(self, hidden: Tensor, last: Tensor | None, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the prediction, since this head is not a distribution."""
        return self(hidden, last)


class MixtureHead(Head):
    """A mixture of Gaussians with full covariances; its loss is the negative log likelihood in nats.

        p(x) = sum_k pi_k N(x; mu_k, L_k L_k^T),  L_k lower triangular

    Args:
        hidden: H.
        size: D.
        components: K.
        change: whether this is the distribution of the change from the last element.
        floor: the smallest diagonal entry of L, in the unit of the elements.

    Raises:
        ValueError: `size`, `components` or `floor` is not positive.
    """

    def __init__(self, hidden: int, size: int, components: int = 10, change: bool = False, floor: float = 1e-3) -> None:
        super().__init__()
        if size < 1 or components < 1 or floor <= 0:
            raise ValueError(f"size, components and floor must be positive; found {size}, {components} and {floor}")
        self.hidden, self.size, self.components, self.change, self.floor = hidden, size, components, change, floor
        self.hidden_features = hidden
        self.draws = 1 + size + size % 2
        below = size * (size - 1) // 2
        self.widths = [components, components * size, components * size, components * below]
        self.linear = nn.Linear(hidden, sum(self.widths))

    def forward(self, hidden: Tensor, last: Tensor | None = None) -> MixtureSameFamily:
        """Return the distribution of the next element: batch (...), event (D,)."""
        logits, mean, scale = self._components_of(hidden, last)
        return MixtureSameFamily(
            Categorical(logits=logits, validate_args=False),
            MultivariateNormal(mean, scale_tril=scale, validate_args=False),
            validate_args=False,
        )

    def loss(self, hidden: Tensor, target: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the negative log likelihood in nats, (...)."""
        return -self(hidden, last).log_prob(at_least_single(target))

    def sample(self, hidden: Tensor, last: Tensor | None, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """Draw the next element.

        The logits are divided by the temperature and the covariances multiplied by it. At 0 the result is the mean of
        the most likely component.
        """
        logits, mean, scale = self._components_of(hidden, last)
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        if not temperature:
            return mean[rows, logits.argmax(1)].to(hidden)
        chosen = draw_category(logits / temperature, uniform[:, 0])
        noise = _normal(uniform[:, 1:], temperature)[:, : self.size]
        return (mean[rows, chosen] + (scale[rows, chosen] @ noise.unsqueeze(2)).squeeze(2)).to(hidden)

    def tensors(self, hidden: Tensor, last: Tensor | None = None) -> dict[str, Tensor]:
        """Return logits (..., K), means (..., K, D) and Cholesky factors (..., K, D, D)."""
        logits, mean, diagonal, below = self.linear(hidden).split(self.widths, dim=-1)
        mean = mean.unflatten(-1, (self.components, self.size))
        if self.change:
            mean = mean + _required(last).unsqueeze(-2)
        factors = torch.diag_embed(softplus(diagonal).unflatten(-1, (self.components, self.size)) + self.floor)
        if self.size > 1:
            pairs = [(row, column) for row in range(self.size) for column in range(row)]  # as torch.tril_indices
            cells = list(itertools.product(range(self.size), repeat=2))
            places = torch.tensor([[float(cell == pair) for cell in cells] for pair in pairs])
            flat = below.unflatten(-1, (self.components, len(pairs))) @ places.to(below)
            factors = factors + flat.unflatten(-1, (self.size, self.size))
        return {"logits": logits, "means": mean, "factors": factors}

    def _components_of(self, hidden: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (..., K), means (..., K, D) and Cholesky factors (..., K, D, D)."""
        # Half precision has no solver of triangular systems, and is too inexact for log densities.
        logits, mean, diagonal, below = at_least_single(self.linear(hidden)).split(self.widths, dim=-1)
        mean = mean.unflatten(-1, (self.components, self.size))
        if self.change:
            mean = mean + _required(last).unsqueeze(-2)
        scale = torch.diag_embed(softplus(diagonal).unflatten(-1, (self.components, self.size)) + self.floor)
        if below.shape[-1]:
            row, column = torch.tril_indices(self.size, self.size, -1, device=hidden.device)
            scale[..., row, column] = below.unflatten(-1, (self.components, -1))
        return logits, mean, scale


class GaussianHead(MixtureHead):
    """A Gaussian with full covariance: a mixture of one component.

    Args:
        hidden: H.
        size: D.
        change: whether this is the distribution of the change from the last element.
        floor: the smallest diagonal entry of the Cholesky factor, in the unit of the elements.
    """

    def __init__(self, hidden: int, size: int, change: bool = False, floor: float = 1e-3) -> None:
        super().__init__(hidden, size, 1, change, floor)


class FixedGaussianHead(Head):
    """A Gaussian of fixed standard deviation around a prediction: a squared error as a likelihood, in nats.

        p(x) = N(x; mu, scale^2 I)

    In a `LatentModel`, a small deviation forces h0 to carry the information that is missing from the previous elements,
    since the head cannot treat it as noise.

    Args:
        hidden: H.
        size: D.
        scale: the standard deviation, in the unit of the elements.
        change: whether mu is the change from the last element.

    Raises:
        ValueError: `size` or `scale` is not positive.
    """

    def __init__(self, hidden: int, size: int, scale: float, change: bool = False) -> None:
        super().__init__()
        if size < 1 or scale <= 0:
            raise ValueError(f"size and scale must be positive; found {size} and {scale}")
        self.hidden, self.size, self.scale, self.change = hidden, size, scale, change
        self.hidden_features = hidden
        self.draws = size + size % 2
        self.linear = nn.Linear(hidden, size)

    def forward(self, hidden: Tensor, last: Tensor | None = None) -> Distribution:
        """Return the distribution of the next element: batch (...), event (D,)."""
        mean = self.linear(hidden) + (_required(last) if self.change else 0)
        return Independent(Normal(mean, self.scale, validate_args=False), 1, validate_args=False)

    def loss(self, hidden: Tensor, target: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the negative log likelihood in nats, (...)."""
        return -self(hidden, last).log_prob(target)

    def tensors(self, hidden: Tensor, last: Tensor | None = None) -> dict[str, Tensor]:
        """Return the mean (..., D)."""
        return {"mean": self.linear(hidden) + (_required(last) if self.change else 0)}

    def sample(self, hidden: Tensor, last: Tensor | None, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """Draw the next element; the variance is multiplied by the temperature. At 0 the result is the mean."""
        return (self(hidden, last).mean + self.scale * _normal(uniform, temperature)[:, : self.size]).to(hidden)


class CategoryHead(Head):
    """One of K categories; its loss is the negative log likelihood in nats.

    Args:
        hidden: H.
        size: K.
    """

    draws = 1
    is_category = True

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.hidden, self.size, self.hidden_features = hidden, size, hidden
        self.linear = nn.Linear(hidden, size)

    def forward(self, hidden: Tensor, last: Tensor | None = None) -> Distribution:
        """Return the distribution of the next category, batch (...)."""
        return Categorical(logits=self.linear(hidden), validate_args=False)

    def loss(self, hidden: Tensor, target: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the negative log likelihood in nats, (...)."""
        logits = self.linear(hidden)
        return cross_entropy(logits.movedim(logits.dim() - 1, 1), target, reduction="none")  # ONNX refuses -1

    def tensors(self, hidden: Tensor, last: Tensor | None = None) -> dict[str, Tensor]:
        """Return the logits (..., K)."""
        return {"logits": self.linear(hidden)}

    def sample(self, hidden: Tensor, last: Tensor | None, uniform: Tensor, temperature: float = 1.0) -> Tensor:
        """Draw the next category; the logits are divided by the temperature. At 0 it is the most likely category."""
        logits = self.linear(hidden)
        return draw_category(logits / temperature, uniform[:, 0]) if temperature else logits.argmax(1)


def _normal(uniform: Tensor, variance: float) -> Tensor:
    """Convert pairs of uniform random numbers (N, 2 n) to as many normal ones (Box and Muller 1958)."""
    pairs = uniform.unflatten(1, (-1, 2))
    radius, angle = (-2 * variance * pairs[..., 0].log()).sqrt(), 2 * math.pi * pairs[..., 1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 2).flatten(1)


def _required(last: Tensor | None) -> Tensor:
    if last is None:
        raise ValueError("this head predicts the change from the last element: give last=")
    return last
