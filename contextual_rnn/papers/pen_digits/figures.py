"""Figures of pen digits."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..._core.state import leaves
from ...study.comparison import with_unit
from ...study.figures import Figure, dots, end_at_hundred, finish, plane, strokes, styled, subplots
from ...study.metric import Metric, Row
from ..experiment import values_of
from .data import DIGITS, PenDigits
from .model import PenModel


@styled
def digits(models: dict[str, PenModel], training: PenDigits, each: int = 5) -> Figure:
    """Draw `each` digits of every label as the pen went: real ones beside those of every model."""
    figure, axes = subplots(1, 1 + len(models), width=1.0 * each, height=1.0 * DIGITS)
    digit = torch.arange(DIGITS).repeat_interleave(each)
    first = torch.cat([(training.digit == label).nonzero()[:each, 0] for label in range(DIGITS)])
    points = {"real": training.points[first]}
    points |= {f"label {label}": model.generate(digit, seed=1).points for label, model in models.items()}
    for place, (name, lines) in zip(axes[0], points.items(), strict=True):
        strokes(place, lines.numpy(), each)
        place.set_title(name)
    return figure


@styled
def scores(runs: list[Row], metrics: Sequence[Metric]) -> Figure:
    """Draw four metrics of every run."""
    figure, axes = subplots(2, 2, width=6, height=2.4)
    for place, metric in zip(axes.flat, metrics, strict=True):
        dots(place, values_of(runs, "label", metric.key), metric.bounds)
        finish(place, with_unit(metric), "label")
        if metric.unit == "%":
            end_at_hundred(place)
    return figure


@styled
@torch.no_grad()
def initial_states(model: PenModel) -> Figure:
    """Draw h0 of every digit in the plane of the two principal components."""
    state = model.sequences.rnn.initial_state(DIGITS, {"digit": torch.arange(DIGITS)})
    figure, axes = subplots(width=5, height=4.5)
    plane(axes[0, 0], torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1).numpy(), map(str, range(DIGITS)))
    finish(axes[0, 0], "first principal component of h0", "second", "h0 of every label")
    return figure
