"""A model of whole sequences of linear cosine decay, given the period and what is known of x(0).

The context is the period and, of x(0) ~ U(2, 4), nothing, x(0) with normal noise of deviation 0.3, or x(0) itself. The
network predicts x(0) too, from h0 and a learned first input, so h0 must represent what x(0) may be.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.stepping import CoreSteps
from ...context import Context, Quantity
from ...heads import FixedGaussianHead
from ...initial_state import ContextState, GaussianState, InitialState, LatentState
from ...latent import LatentModel
from ...mlp import MLP
from ...posterior import Posterior
from ...recurrent import ContextualRNN
from ...sequence_model import SequenceModel
from .data import TRAINING_PERIODS, Sequences
from .model import CONTEXT_HIDDEN, HIDDEN

CONTEXTS = ("period", "noisy start", "start")  # the period is always known
OBJECTIVES = ("published", "bound")
NOISE = 0.3  # deviation of a noisy x(0), in the unit of x
SCALE = 0.01  # deviation of the head, in the unit of x: x(0) varies so much more that h0 must carry it
PRIOR_WEIGHT = 0.1  # of the published objective beside the bound
LATENT = 2  # dimensions of z
UNIT = 2.0  # the network reads (x - 2) / 2 for x in [0, 4]


@register
class DecayDistribution(nn.Module):
    """An LSTM of 128 units whose h0 is a distribution, trained as published or on the evidence lower bound.

    As published, every unit of h0 has noise of its own. For the bound, h0 is a function of the context and of
    `LATENT` normal numbers, whose distribution is a function of the context.

    Args:
        told: what is known: one of `CONTEXTS`.
        objective: one of `OBJECTIVES`. "published" samples h0 and minimises the squared error of each value given the
            true values before it; "bound" is the loss of `LatentModel`.
    """

    def __init__(self, told: str, objective: str) -> None:
        super().__init__()
        self.told, self.objective = told, objective
        fields = {"period": Quantity(min(TRAINING_PERIODS), max(TRAINING_PERIODS))}
        if told != "period":
            fields["start"] = Quantity(2, 4, extrapolate=True)
        core = nn.LSTM(1, HIDDEN, batch_first=True)
        nn.init.ones_(dict(core.named_parameters())["bias_ih_l0"][HIDDEN : 2 * HIDDEN])
        base, spread = (nn.Sequential(Context(**fields), MLP(len(fields), [CONTEXT_HIDDEN])) for _ in range(2))
        latent = objective == "bound"
        shapes = (LATENT,) if latent else core
        sampled = GaussianState(ContextState(shapes, base, CONTEXT_HIDDEN), spread, CONTEXT_HIDDEN)
        h0: InitialState = sampled
        if latent:
            network = MLP(LATENT + len(fields), [CONTEXT_HIDDEN])
            h0 = LatentState(sampled, ContextState(core, network), Context(**fields))
        head = FixedGaussianHead(HIDDEN, 1, SCALE / UNIT, change=True)
        posterior = Posterior(shapes, 1, reads_prior=latent)  # not trained with the published objective
        self.latent = LatentModel(SequenceModel(ContextualRNN(core, h0), head), posterior, feed="truth")

    @property
    def sequences(self) -> SequenceModel:
        """The model of sequences of scaled x."""
        return self.latent.model

    def loss(self, x: Tensor, context: dict[str, Tensor]) -> Tensor:
        """Return the loss of sequences x (B, T), in their own unit."""
        scaled = (x.unsqueeze(2) - UNIT) / UNIT
        if self.objective == "published":
            return self.sequences.loss(scaled, context)
        return self.latent.loss(scaled, context, prior_weight=PRIOR_WEIGHT)

    @torch.no_grad()
    def one_step(self, x: Tensor, context: dict[str, Tensor]) -> Tensor:
        """Return the error (B, T - 1) of every value after x(0), given the true values before it.

        It is in the unit of x; h0 is the mode of its distribution.
        """
        scaled = (x.unsqueeze(2) - UNIT) / UNIT
        hidden, last = self.sequences.teacher_forced(scaled, context)
        return UNIT * (self.sequences.head(hidden, last).mean - scaled)[:, 1:, 0]

    @torch.no_grad()
    def free_run(self, x: Tensor, context: dict[str, Tensor]) -> Tensor:
        """Return the error (B, T - 1) of every value after x(0), given x(0) and the model's own values after it.

        It is in the unit of x; h0 is the mode of its distribution.
        """
        model, (size, steps) = self.sequences, x.shape
        step = CoreSteps(model.rnn.core, model.rnn.start(size, context, sample=False))
        assert model.start is not None
        step(model.start.expand(size, -1))
        last, predicted = (x[:, :1] - UNIT) / UNIT, []
        for _ in range(steps - 1):
            last = model.head(step(last), last).mean
            predicted.append(last)
        return UNIT * torch.cat(predicted, dim=1) + UNIT - x[:, 1:]

    def sample(self, context: dict[str, Tensor], count: int, steps: int, seed: int) -> Tensor:
        """Return `count` trajectories for every row of the context (B, count, steps), in the unit of x.

        The small noise of the head is sampled too, with either objective: both are likelihoods with that noise.
        """
        rows = {name: value.repeat_interleave(count) for name, value in context.items()}
        elements = self.sequences.sample(rows, steps=steps, seed=seed).elements
        return UNIT * elements[:, :, 0].unflatten(0, (-1, count)) + UNIT


def context_of(sequences: Sequences, told: str, seed: int) -> dict[str, Tensor]:
    """Return the context of sequences; the noise of a noisy start is drawn once, from the seed."""
    context = {"period": sequences.period}
    start = sequences.x[:, 0]
    if told == "noisy start":
        # torch's generator makes normal numbers from the uniform ones of the same seed, and x(0) is drawn from these.
        noise = np.random.default_rng([seed, 1]).standard_normal(len(start))
        start = start + NOISE * torch.from_numpy(noise).to(start)
    return context if told == "period" else {**context, "start": start}


def loss(model: DecayDistribution, batch: tuple[Tensor, dict[str, Tensor]]) -> Tensor:
    """Return the loss of a minibatch of sequences (B, T) and their context."""
    return model.loss(*batch)
