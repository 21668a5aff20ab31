"""Schedules: functions from the training step (0, 1, ...) to the probability of scheduled sampling.

They are the schedules of Bengio et al. 2015 (arXiv 1506.03099), section 2.4. There, the probability of feeding the true
element decays; here, the probability of feeding a prediction grows. Any function from an int to a float can be used as
a schedule. The schedules below are frozen dataclasses: they can be pickled, and equal settings compare equal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

Schedule = Callable[[int], float]
MOST = 700.0  # exp of more than 709 overflows


@dataclasses.dataclass(frozen=True)
class ConstantSchedule:
    """The schedule that always gives `probability`."""

    probability: float

    def __call__(self, step: int) -> float:
        """Return the probability at a training step."""
        return self.probability


@dataclasses.dataclass(frozen=True)
class LinearSchedule:
    """The schedule that goes linearly from `start` to `end` in `steps` training steps and then stays at `end`.

    Raises:
        ValueError: `steps` is less than 1.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1; found {self.steps}")

    def __call__(self, step: int) -> float:
        """Return the probability at a training step."""
        return self.start + (self.end - self.start) * min(step / self.steps, 1.0)


@dataclasses.dataclass(frozen=True)
class ExponentialSchedule:
    """The schedule 1 - rate^step.

    Raises:
        ValueError: `rate` is not between 0 and 1.
    """

    rate: float

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate must be greater than 0 and less than 1; found {self.rate}")

    def __call__(self, step: int) -> float:
        """Return the probability at a training step."""
        return 1 - self.rate**step


@dataclasses.dataclass(frozen=True)
class InverseSigmoidSchedule:
    """The schedule 1 - rate / (rate + exp(step / rate)).

    Raises:
        ValueError: `rate` is less than 1.
    """

    rate: float

    def __post_init__(self) -> None:
        if not self.rate >= 1:
            raise ValueError(f"rate must be at least 1; found {self.rate}")

    def __call__(self, step: int) -> float:
        """Return the probability at a training step."""
        return 1 - self.rate / (self.rate + math.exp(min(step / self.rate, MOST)))


def constant(probability: float) -> ConstantSchedule:
    """Return the schedule that always gives `probability`."""
    return ConstantSchedule(probability)


def linear(start: float, end: float, steps: int) -> LinearSchedule:
    """Return the schedule that goes linearly from `start` to `end` in `steps` training steps and then stays at `end`.

    Raises:
        ValueError: `steps` is less than 1.
    """
    return LinearSchedule(start, end, steps)


def exponential(rate: float) -> ExponentialSchedule:
    """Return the schedule 1 - rate^step.

    Raises:
        ValueError: `rate` is not between 0 and 1.
    """
    return ExponentialSchedule(rate)


def inverse_sigmoid(rate: float) -> InverseSigmoidSchedule:
    """Return the schedule 1 - rate / (rate + exp(step / rate)).

    Raises:
        ValueError: `rate` is less than 1.
    """
    return InverseSigmoidSchedule(rate)
