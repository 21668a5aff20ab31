"""The inputs of a decoder in training: the true elements, or some of its own predictions (scheduled sampling).

In scheduled sampling (Bengio et al. 2015, arXiv 1506.03099), each true element is replaced by the decoder's own
prediction at random, with a probability that grows during training.
"""

from __future__ import annotations

import dataclasses
import numbers
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from .._core.choices import check_choice
from .._core.group import draw_rows
from ..errors import InputError
from .schedules import Schedule, linear

Form = Literal["embedding", "output"]
FeedingName = Literal["truth", "embedding", "output"]
FEEDINGS: tuple[FeedingName, ...] = get_args(FeedingName)


@dataclasses.dataclass(frozen=True)
class ScheduledSampling:
    """Define how often, and in which form, a decoder is fed its own predictions in training.

    It is used wherever it is given, also by a model in evaluation mode: for a validation loss, leave `feeding` out.

    The random choices (where predictions are fed) and draws (of categories) depend on the seeds and the training step
    only, so that resumed training repeats them exactly. They are independent of each other, even if the two seeds are
    equal.

    Attributes:
        schedule: the probability of feeding a prediction, as a function of the training step or as one number.
        form: `"embedding"` draws a category from the predicted distribution and feeds its embedding; no gradient passes
            through the draw. `"output"` feeds the prediction itself: a predicted vector or, for categories, the mean of
            the embeddings weighted by the predicted probabilities; gradients pass through it.
        coin_seed: the seed of the random choice, for every element of every sequence, whether to feed the prediction.
        sample_seed: the seed of the draws.

    Raises:
        InputError: `form` is not one of these, or `schedule` is neither callable nor a probability.
    """

    schedule: Schedule | float
    form: Form = "embedding"
    coin_seed: int = 0
    sample_seed: int = 1

    def __post_init__(self) -> None:
        check_choice(self.form, get_args(Form), "form")
        if not callable(self.schedule):
            if not isinstance(self.schedule, numbers.Real):
                raise InputError(f"schedule must be a probability or a function of the step; found {self.schedule!r}")
            self.probability(0)

    def probability(self, step: int) -> float:
        """Return the probability at a training step.

        Raises:
            InputError: the schedule returns a number that is not from 0 to 1.
        """
        found = self.schedule(step) if callable(self.schedule) else self.schedule
        if not 0 <= found <= 1:
            source = f" at step {step}" if callable(self.schedule) else ""
            raise InputError(f"the schedule must be a probability from 0 to 1; found {found}{source}")
        return found

    def coins(self, step: int, batch_size: int, length: int, device: torch.device) -> Tensor:
        """Return a mask (B, T), true where predictions are fed; never at the first element, which is the start."""
        generator = _generator(self.coin_seed, step, 0)
        drawn = draw_rows(lambda size: torch.rand(size, length, generator=generator), batch_size)
        fed = drawn < self.probability(step)
        fed[:, 0] = False
        return fed.to(device)

    def uniform(self, step: int, batch_size: int, length: int, device: torch.device) -> Tensor:
        """Return the uniform random numbers (B, T) in (0, 1) that select the categories drawn."""
        generator = _generator(self.sample_seed, step, 1)
        return draw_rows(lambda size: torch.rand(size, length, generator=generator), batch_size).to(device)


def check_feeding(feeding: object) -> None:
    """Raise InputError unless `feeding` is a `ScheduledSampling` or None."""
    if feeding is not None and not isinstance(feeding, ScheduledSampling):
        raise InputError(
            f"feeding must be a ScheduledSampling or None, such as ScheduledSampling(0.25); found {feeding!r}"
        )


def make_feeding(name: str, most: float, steps: int, seed: int) -> ScheduledSampling | None:
    """Make a feeding policy from its name.

    Args:
        name: one of `FEEDINGS`: `"truth"` for teacher forcing; `"embedding"` and `"output"` for `ScheduledSampling` of
            that form, with a probability that grows linearly from 0.
        most: the probability at the end of training.
        steps: the number of training steps over which the probability grows.
        seed: the seed from which the seeds of the random choices and of the draws are derived.

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
