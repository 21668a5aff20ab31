"""A latent h0: a prior given the context, and a posterior given the sequence too.

If h0 is sampled and trained on a squared error (equation 4 of arXiv 1902.03455), nothing makes its distribution match
that of the data. Here h0 is the latent variable of a conditional variational model (Kingma and Welling, arXiv
1312.6114):

    log p(x | context) >= E_q[log p(x | h0)] - KL(q(h0 | x, context) || p(h0 | context))
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Independent, kl_divergence

from ._core.evaluation import evaluation_mode
from ._core.noise import TrajectorySeeds
from ._core.state import State, leaves, map_state
from ._core.tracing import shapes_are_traced, values_are_known
from .initial_state import GaussianState, LatentState
from .posterior import Posterior
from .recurrent import check_lengths
from .sequence_model import Samples, SequenceModel, number_of_sequences, select_batch

Feed = Literal["own", "truth"]


class LatentModel(nn.Module):
    """A sequence model whose h0 is a latent variable, trained on the evidence lower bound.

    Calling the model returns its loss, so that it can be wrapped by `torch.compile`, `DistributedDataParallel` or a
    LightningModule.

    Args:
        model: a `SequenceModel` of vectors with a learned start and no end, whose head is a distribution. Its initial
            state is a `GaussianState`, the prior p(h0 | context), or a `LatentState`, whose z is then the latent
            variable instead of h0.
        posterior: q(h0 | x, context), for training and for likelihoods; made for the shapes of the prior.
        feed: `"own"` feeds the mean of each element to the next step, so that only h0 distinguishes one sequence from
            another. `"truth"` feeds the true element, which gives the network the information that h0 would give: the
            posterior then tends to the prior, and samples differ mainly by the draws of the head.

    Raises:
        ValueError: the model or the posterior is not as described, or `feed` is not one of these.
    """

    def __init__(self, model: SequenceModel, posterior: Posterior, feed: Feed = "own") -> None:
        super().__init__()
        if feed not in get_args(Feed):
            raise ValueError(f"feed must be one of {', '.join(get_args(Feed))}; found {feed!r}")
        start = model.rnn.initial_state
        if not isinstance(start, (GaussianState, LatentState)):
            raise ValueError(
                f"the initial state must be a GaussianState, the prior, or a LatentState; found {type(start).__name__}"
            )
        if model.start is None or model.end is not None or model.head.is_category:
            raise ValueError("the model must predict vectors, with a learned start and no end")
        self.model, self.posterior, self.feed = model, posterior, feed
        prior = self._prior()
        made_for = prior.shapes, model.head.size
        if isinstance(posterior, Posterior) and (posterior.shapes, posterior.features) != made_for:
            raise ValueError(
                f"the posterior was made for shapes {posterior.shapes} and {posterior.features} features; expected "
                f"{prior.shapes}, those of the prior, and {model.head.size} features, those of an element"
            )

    def forward(
        self,
        x: Tensor,
        context: Any = None,
        lengths: Tensor | None = None,
        *,
        kl_weight: float = 1.0,
        prior_weight: float = 0.0,
    ) -> Tensor:
        """Return the loss that training minimises; see `loss`."""
        return self.loss(x, context, lengths, kl_weight=kl_weight, prior_weight=prior_weight)

    def loss(
        self,
        x: Tensor,
        context: Any = None,
        lengths: Tensor | None = None,
        *,
        kl_weight: float = 1.0,
        prior_weight: float = 0.0,
    ) -> Tensor:
        """Return the negative evidence lower bound, a mean over elements, in nats.

        Args:
            x: (B, T, D).
            context: the context of each sequence, B rows.
            lengths: (B,) the number of elements of each sequence; None is T.
            kl_weight: see `bound`.
            prior_weight: the weight of the published loss (arXiv 1902.03455, equation 4): the loss of every element but
                the first, where h0 is drawn from the prior and the true elements are fed. With it, the model
                predicts one step as well as a network that is trained on this loss only.

        Raises:
            ValueError: the batch has no element; or no second element, if `prior_weight` is not 0.
        """
        count = x.shape[0] * x.shape[1] if lengths is None else torch.as_tensor(lengths).sum()
        if values_are_known() and not count:
            raise ValueError("the batch has no element to predict: every sequence is empty")
        loss = -self.bound(x, context, lengths, kl_weight=kl_weight).sum() / count
        if prior_weight:
            x, inside = _masked(x, lengths)
            if values_are_known() and not inside[:, 1:].any():
                raise ValueError("prior_weight needs a sequence of at least two elements; the batch has none")
            hidden, last = self.model.teacher_forced(x, context)
            later = self.model.head.loss(hidden[:, 1:], x[:, 1:], last[:, 1:])
            loss = loss + prior_weight * later[inside[:, 1:]].mean()
        return loss

    def bound(self, x: Tensor, context: Any = None, lengths: Tensor | None = None, *, kl_weight: float = 1.0) -> Tensor:
        """Return the evidence lower bound of every sequence's log likelihood (B,) in nats, from one draw of h0.

        Args:
            x: (B, T, D).
            context: the context of each sequence, B rows.
            lengths: (B,) the number of elements of each sequence; None is T.
            kl_weight: the weight of the divergence. With less than 1 the result is no longer a bound; training can
                start with such a weight to fit the data first.
        """
        x, inside = _masked(x, lengths)
        prior, posterior = self._distributions(x, inside, context)
        latent = map_state(_draw, posterior)
        divergence = sum(leaves(map_state(kl_divergence, posterior, prior)))
        return -self._losses(x, inside, latent, context).sum(1) - kl_weight * divergence

    @torch.no_grad()
    def log_likelihood_bound(
        self, x: Tensor, context: Any = None, lengths: Tensor | None = None, *, samples: int = 100
    ) -> Tensor:
        """Return the importance-weighted lower bound of every sequence's log likelihood (B,) in nats.

            log (1 / K) sum_k p(x | h_k) p(h_k | context) / q(h_k | x, context),  h_k ~ q

        (Burda et al., arXiv 1509.00519.) The bound increases with K and converges to the log likelihood; report K with
        it.

        Args:
            x: (B, T, D).
            context: the context of each sequence, B rows.
            lengths: (B,) the number of elements of each sequence; None is T.
            samples: K, the number of draws of h0.
        """
        x, inside = _masked(x, lengths)
        prior, posterior = self._distributions(x, inside, context)
        weights = []
        for _ in range(samples):
            latent = map_state(_draw, posterior)
            ratio = sum(leaves(map_state(lambda p, q, h: p.log_prob(h) - q.log_prob(h), prior, posterior, latent)))
            weights.append(ratio - self._losses(x, inside, latent, context).sum(1))
        return torch.stack(weights).logsumexp(0) - math.log(samples)

    def sample(self, context: Any = None, n: int | None = None, steps: int = 100, **options: Any) -> Samples:
        """Generate sequences; the arguments are those of `samples`, which returns them batch by batch."""
        return Samples(*map(torch.cat, zip(*self.samples(context, n, steps, **options), strict=True)))

    @torch.no_grad()
    def samples(
        self,
        context: Any = None,
        n: int | None = None,
        steps: int = 100,
        *,
        temperature: float = 1.0,
        seed: int = 0,
        batch_size: int = 4000,
    ) -> Iterator[Samples]:
        """Generate sequences from the prior, `batch_size` at a time; the arguments are those of `SequenceModel`'s."""
        if self.feed == "truth":
            options: dict[str, Any] = {"temperature": temperature, "seed": seed, "batch_size": batch_size}
            yield from self.model.samples(context, n, steps, **options)
            return
        count = number_of_sequences(context, None) if n is None else n
        for at in range(0, count, batch_size):
            size, seeds = min(batch_size, count - at), TrajectorySeeds(seed, at)
            known = select_batch(context, at, size, count)
            with evaluation_mode(self):
                batch = self._generate(known, size, steps, temperature, seeds)
            yield batch

    def _generate(self, context: Any, size: int, steps: int, temperature: float, seeds: TrajectorySeeds) -> Samples:
        h0 = self.model.rnn.start(size, context, sample=temperature > 0, generator=seeds)
        hidden, last = self._run_on_means(h0, context, steps)
        elements = [
            self.model.head.sample(hidden[:, t], last[:, t], self.model.uniform(seeds, t, size)[:, 1:], temperature)
            for t in range(steps)
        ]
        found = torch.stack(elements, dim=1)
        return Samples(found, torch.full((size,), steps, device=found.device))

    def _prior(self) -> GaussianState:
        start = self.model.rnn.initial_state
        prior = start.prior if isinstance(start, LatentState) else start
        assert isinstance(prior, GaussianState)
        return prior

    def _distributions(self, x: Tensor, inside: Tensor, context: Any) -> tuple[Any, Any]:
        prior = self._prior().distribution(x.shape[0], context)
        return prior, self.posterior(x, inside, prior)

    def _losses(self, x: Tensor, inside: Tensor, latent: State, context: Any) -> Tensor:
        """Return -log p(x_t | latent) of every element, (B, T), in nats; 0 past the end of a sequence."""
        if self.feed == "own" and shapes_are_traced():
            x = torch.stack(x.unbind(1), dim=1)  # a trace then fails at another length, where it could broadcast
        start = self.model.rnn.initial_state
        h0 = latent
        if isinstance(start, LatentState):
            assert isinstance(latent, Tensor)
            h0 = start.of(latent, context)
        if self.feed == "own":
            hidden, last = self._run_on_means(h0, context, x.shape[1])
        else:
            hidden, last = self.model.teacher_forced(x, context, state=h0)
        return torch.where(inside, self.model.head.loss(hidden, x, last), 0)

    def _run_on_means(self, h0: State, context: Any, steps: int) -> tuple[Tensor, Tensor]:
        """Run the core from h0 and feed it the mean of each predicted element.

        Returns:
            The outputs (B, T, H), and the mean of the element before each (B, T, D).
        """
        model, size = self.model, next(leaves(h0)).shape[0]
        assert model.start is not None
        step, control = model.rnn.stepper(h0, keep_outputs=True), model.control(context)
        inputs, last = model.start.expand(size, -1), model.start.new_zeros(size, model.head.size)
        outputs, before = [], []
        for _ in range(steps):
            outputs.append(step(inputs if control is None else torch.cat([inputs, control], dim=1)))
            before.append(last)
            last = model.head(outputs[-1], last).mean
            inputs = model.inputs(last)
        return torch.stack(outputs, dim=1), torch.stack(before, dim=1)


def _draw(one: Independent) -> Tensor:
    """Return a sample of independent normals, reparameterised; `rsample` cannot be vectorised by `torch.func.vmap`."""
    mean, deviation = one.base_dist.loc, one.base_dist.scale
    return mean + torch.randn(mean.shape, dtype=mean.dtype, device=mean.device) * deviation


def _masked(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the sequences with 0 past their ends, and a mask (B, T) that is true up to the end of each sequence."""
    steps = torch.arange(x.shape[1], device=x.device)
    inside = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if lengths is not None:
        inside = steps < check_lengths(lengths, x.shape[0], x.shape[1], x.device).unsqueeze(1)
    return torch.where(inside.unsqueeze(2), x, 0), inside
