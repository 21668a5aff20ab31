"""What a decoder is fed in training: the truth, or now and then its own predictions (scheduled sampling).

Bengio et al. 2015 (arXiv 1506.03099) toss a coin for every element: with a probability that grows with training the
decoder is fed what it predicted itself. A schedule is any function from the training step (0, 1, ...) to that
probability.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from .._core.choices import check_choice

Form = Literal["embedding", "output"]
Schedule = Callable[[int], float]
FeedingName = Literal["truth", "embedding", "output"]
FEEDINGS: tuple[FeedingName, ...] = get_args(FeedingName)


def constant(probability: float) -> Schedule:
    """Return the schedule that is always the same."""
    return lambda step: probability


def linear(start: float, end: float, steps: int) -> Schedule:
    """Return the schedule that goes from `start` to `end` in `steps` training steps, and stays there.

    Raises:
        ValueError: `steps` is less than 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1; found {steps}")
    return lambda step: start + (end - start) * min(step / steps, 1.0)


def exponential(rate: float) -> Schedule:
    """Return 1 - rate^step, rate in (0, 1)."""
    return lambda step: 1 - rate**step


def inverse_sigmoid(rate: float) -> Schedule:
    """Return 1 - rate / (rate + exp(step / rate)), rate at least 1."""
    return lambda step: 1 - rate / (rate + math.exp(min(step / rate, 700.0)))


@dataclasses.dataclass(frozen=True)
class ScheduledSampling:
    """How often, and how, a decoder is fed its own predictions in training.

    Attributes:
        schedule: from the training step to the probability of feeding an own prediction, or the probability itself.
        form: `"embedding"` draws a category from the output's distribution and embeds it, without gradient through
            the draw. `"output"` feeds the output itself: a predicted vector; of categories, the mean of their
            embeddings by their probabilities. Gradients pass through it.
        coin_seed: of the coins, one for every element of every sequence.
        sample_seed: of the draws.

    Coins and draws depend on the seeds and the training step alone, so that training resumes exactly: a decoder that is
    told the same step twice tosses the same coins. They are independent of one another, of equal seeds too.

    Raises:
        ValueError: `form` is neither, or a number given as schedule is no probability.
    """

    schedule: Schedule | float
    form: Form = "embedding"
    coin_seed: int = 0
    sample_seed: int = 1

    def __post_init__(self) -> None:
        check_choice(self.form, get_args(Form), "form")
        if not callable(self.schedule):
            self.probability(0)

    def probability(self, step: int) -> float:
        """Return the probability at a training step.

        Raises:
            ValueError: the schedule gives none in [0, 1].
        """
        found = self.schedule(step) if callable(self.schedule) else self.schedule
        if not 0 <= found <= 1:
            given = (
                f"the schedule gives {found} at step {step}" if callable(self.schedule) else f"the schedule is {found}"
            )
            raise ValueError(f"{given}, where a probability, from 0 to 1, is right")
        return found

    def coins(self, step: int, batch_size: int, length: int, device: torch.device) -> Tensor:
        """Return where own predictions are fed, (B, T); the first element, the start, never is one."""
        drawn = torch.rand(batch_size, length, generator=_generator(self.coin_seed, step, 0))
        fed = drawn < self.probability(step)
        fed[:, 0] = False
        return fed.to(device)

    def uniform(self, step: int, batch_size: int, length: int, device: torch.device) -> Tensor:
        """Return the numbers in (0, 1) that categories are drawn by, (B, T)."""
        return torch.rand(batch_size, length, generator=_generator(self.sample_seed, step, 1)).to(device)


def make_feeding(name: str, most: float, steps: int, seed: int) -> ScheduledSampling | None:
    """Make a feeding policy from its name.

    Args:
        name: one of `FEEDINGS`: `"truth"` for teacher forcing; `"embedding"` and `"output"` for `ScheduledSampling` in
            that form, whose probability grows linearly from 0.
        most: the probability at the end of training.
        steps: the number of training steps over which the probability grows.
        seed: the seed of coins and draws; different seeds share neither.

    Returns:
        The policy, or None for `"truth"`.

    Raises:
        InputError: `name` is not one of `FEEDINGS`.
    """
    check_choice(name, FEEDINGS, "feeding")
    if name == "truth":
        return None
    form: Form = "embedding" if name == "embedding" else "output"
    return ScheduledSampling(linear(0, most, steps), form, coin_seed=2 * seed, sample_seed=2 * seed + 1)


def _generator(seed: int, step: int, stream: int) -> torch.Generator:
    words = np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
