"""Whether generated series have the mean and the spread of the training series, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..._core.records import Record
from .model import SeriesGenerator
from .scale import LEAST, moments_by_step, scaled_steps

SAMPLES = 400  # generated series, with the contexts of the training series
STEPS = 300  # steps that are compared
FLOOR = 0.02  # the smallest spread of a step, relative to that of the target


def unlike_training(model: SeriesGenerator, training: Sequence[Record]) -> list[str]:
    """Return a sentence that says at which steps generated series differ from the training series, if at any.

    At a step, means differ if they are more than a standard deviation of the training series apart, and spreads if one
    is more than twice the other. Steps that fewer than 10 series reach are not compared.

    Args:
        model: generates one series for the context of every training series, or several.
        training: the training series.
    """
    contexts = torch.stack([record.context for record in training]).to(model.device)
    contexts = contexts.repeat(-(-SAMPLES // len(contexts)), 1)[: max(SAMPLES, len(contexts))]
    drawn = model.trajectories(contexts, len(contexts), min(max(map(len, training)), STEPS), seed=0)
    series = [one[:length].cpu() for one, length in zip(drawn.elements, drawn.lengths, strict=True)]
    reached = sorted(map(len, series), reverse=True)[min(LEAST, len(series)) - 1]
    steps = min(scaled_steps(training), reached, STEPS)
    mean, spread, _ = moments_by_step([record.targets for record in training], steps)
    other_mean, other_spread, _ = moments_by_step(series, steps)
    spread, other_spread = (one.maximum(FLOOR * model.target_scale.cpu().double()) for one in (spread, other_spread))
    shift, ratio = (other_mean - mean).abs() / spread, (other_spread / spread).log2().abs()
    unlike = ((shift > 1) | (ratio > 1)).any(1)
    if not bool(unlike.any()):
        return []
    step, place = divmod(int((shift + ratio).argmax()), shift.shape[1])
    of = f" of {model.settings.targets[place]!r}" if shift.shape[1] > 1 else ""
    return [
        f"Generated series differ from the training series in mean or spread at {int(unlike.sum())} of {steps} steps: "
        f"at step {step}, the values{of} are {other_mean[step, place]:.3g} +- {other_spread[step, place]:.2g}, and "
        f"those of the training series {mean[step, place]:.3g} +- {spread[step, place]:.2g}; more `epochs` may help."
    ]
