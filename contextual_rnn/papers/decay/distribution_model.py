"""Cosine decay whose true distribution is known: a model of whole sequences given the period and what is told of x(0).

The context is the period and, of x(0) ~ U(2, 4), nothing; x(0) with normal noise of deviation .3; or x(0) itself. The
network starts from h0 and an input that is learned, and predicts x(0) too, so that h0 must tell what x(0) may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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
from .model import CONTEXT_HIDDEN, HIDDEN, TRAINING_PERIODS, Sequences

TOLD = ("period", "noisy start", "start")
OBJECTIVES = ("published", "bound")
NOISE = 0.3  # deviation of a noisy x(0), in the unit of x
SCALE = 0.01  # of the head, in the unit of x, so much less than x(0) varies that h0 must carry it
PRIOR_WEIGHT = 0.1  # of the published objective beside the bound
LATENT = 2  # dimensions of z
UNIT = 2.0  # x in [0, 4] is (x - 2) / 2 to the network

Batch = tuple[Tensor, dict[str, Tensor]]


@register
class DecayDistribution(nn.Module):
    """An LSTM of 128 units whose h0 is a distribution, trained as published or on the evidence lower bound.

    As published every unit of h0 has its own noise; for the bound h0 is a function of `LATENT` normal numbers, whose
    distribution the context tells, and of the context.

    Args:
        told: one of `TOLD`, beside the period.
        objective: one of `OBJECTIVES`. `published` draws h0 and minimises the squared error given the true values
            before; `bound` is `LatentModel`'s.
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
        drawn = GaussianState(ContextState(shapes, base, CONTEXT_HIDDEN), spread, CONTEXT_HIDDEN)
        h0: InitialState = drawn
        if latent:
            reads = MLP(LATENT + len(fields), [CONTEXT_HIDDEN])
            h0 = LatentState(drawn, ContextState(core, reads), Context(**fields))
        head = FixedGaussianHead(HIDDEN, 1, SCALE / UNIT, change=True)
        posterior = Posterior(shapes, 1, reads_prior=latent)  # as published there is none to train
        self.latent = LatentModel(SequenceModel(ContextualRNN(core, h0), head), posterior, feed="truth")

    @property
    def sequences(self) -> SequenceModel:
        """Return the model of sequences, x scaled."""
        return self.latent.model

    def loss(self, x: Tensor, context: dict[str, Tensor]) -> Tensor:
        """Return what training minimises, of x (B, T) in its own unit."""
        scaled = (x.unsqueeze(2) - UNIT) / UNIT
        if self.objective == "published":
            return self.sequences.loss(scaled, context)
        return self.latent.loss(scaled, context, prior_weight=PRIOR_WEIGHT)

    @torch.no_grad()
    def one_step(self, x: Tensor, context: dict[str, Tensor]) -> Tensor:
        """Return the error of every value but x(0) given those before it (B, T - 1), in the unit of x; h0 its mode."""
        scaled = (x.unsqueeze(2) - UNIT) / UNIT
        hidden, last = self.sequences.teacher_forced(scaled, context)
        return UNIT * (self.sequences.head(hidden, last).mean - scaled)[:, 1:, 0]

    @torch.no_grad()
    def free_run(self, x: Tensor, context: dict[str, Tensor]) -> Tensor:
        """Return the error of every value but x(0), which is fed, the model's own fed from then on; as `one_step`."""
        model, (size, steps) = self.sequences, x.shape
        step = CoreSteps(model.rnn.core, model.rnn.start(size, context, sample=False))
        assert model.start is not None
        step(model.start.expand(size, -1))
        last, found = (x[:, :1] - UNIT) / UNIT, []
        for _ in range(steps - 1):
            last = model.head(step(last), last).mean
            found.append(last)
        return UNIT * torch.cat(found, dim=1) + UNIT - x[:, 1:]

    def sample(self, context: dict[str, Tensor], each: int, steps: int, seed: int) -> Tensor:
        """Return `each` trajectories for every row of the context (B, each, steps), in the unit of x.

        The head's small noise is drawn too, whichever the objective: the published one is its likelihood as well.
        """
        rows = {name: value.repeat_interleave(each) for name, value in context.items()}
        found = self.sequences.sample(rows, steps=steps, seed=seed).elements
        return UNIT * found[:, :, 0].unflatten(0, (-1, each)) + UNIT

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"told": self.told, "objective": self.objective}


def told_of(sequences: Sequences, told: str, seed: int) -> dict[str, Tensor]:
    """Return the context of sequences; the noise of a noisy start is drawn once, from the seed."""
    context = {"period": sequences.period}
    start = sequences.x[:, 0]
    if told == "noisy start":
        # Not by torch's generator: of one seed, its normal numbers are made of the uniform ones that x(0) is drawn by.
        noise = np.random.default_rng([seed, 1]).standard_normal(len(start))
        start = start + NOISE * torch.from_numpy(noise).to(start)
    return context if told == "period" else {**context, "start": start}


def shuffled(sequences: Sequences, context: dict[str, Tensor], size: int = 128) -> Callable[[], Iterator[Batch]]:
    """Return what gives an epoch's batches, the sequences shuffled."""

    def batches() -> Iterator[Batch]:
        for rows in torch.randperm(len(sequences.x)).split(size):
            yield sequences.x[rows], {name: value[rows] for name, value in context.items()}

    return batches


def loss(model: DecayDistribution, batch: Batch) -> Tensor:
    """Return what training minimises."""
    return model.loss(*batch)
