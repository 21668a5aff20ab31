"""Figures of linear cosine decay."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._core.noise import TrajectorySeeds
from ...study.figures import Figure, bands, colour, dots, finish, line_with_band, logarithmic, styled, subplots
from ...study.metric import Kind
from .data import STEPS, TRAINING_PERIODS, VALIDATION_PERIODS, Sequences, decay


@styled
def sequence() -> Figure:
    """Draw figure 4: one sequence, tf = 100, T = 4, x(0) = 4."""
    figure, axes = subplots()
    x = decay(torch.tensor([4.0]), torch.tensor([4.0]), tf=100)[0]
    axes[0, 0].plot(x.numpy(), color=colour("context"), label="x(t), T = 4, tf = 100, x0 = 4")
    finish(axes[0, 0], "step t", "x(t)", "Linear cosine decay (figure 4)")
    return figure


@styled
def errors(kinds: list[Kind], histories: list[list[list[dict[str, float]]]]) -> Figure:
    """Draw figure 5: the validation error by epoch, mean and range over seeds; kinds beyond the paper are dashed.

    Args:
        kinds: the initial state and the use of the period.
        histories: of every kind, and seed, the metrics of every epoch.
    """
    figure, axes = subplots(width=8, height=5)
    drawn: set[str] = set()
    for kind, seeds in zip(kinds, histories, strict=True):
        name = kind["initial_state"]
        values = np.array([[row["one_step_mse"] for row in history] for history in seeds])
        style = "--" if name in drawn else "-"  # the paper has every initial state once
        drawn.add(name)
        epochs = np.arange(1, values.shape[1] + 1)
        line_with_band(axes[0, 0], epochs, values, f"{name}, period {kind['period']}", name, style)
    logarithmic(axes[0, 0], "y")
    count = len(histories[0])
    title = "Validation error (figure 5); " + (f"mean and range of {count} seeds" if count > 1 else "1 seed")
    finish(axes[0, 0], "epoch", "mean squared error of the change scaled to [-1, 1]", title)
    return figure


@styled
def samples(model: Any, count: int = 10) -> Figure:
    """Draw figure 6: trajectories from sampled h0 for one sequence of each validation period, their mean and range."""
    figure, axes = subplots(2, 2, width=6, height=3.6)
    fresh = Sequences.draw(VALIDATION_PERIODS, 1, seed=1)
    for place, truth, period in zip(axes.flat, fresh.x, fresh.period, strict=True):
        runs = model.free_run(
            truth[:1].expand(count), period.expand(count), STEPS, sample=True, generator=TrajectorySeeds(0)
        ).numpy()
        names = [f"{count} sampled trajectories", *[None] * (count - 1)]
        place.plot(runs.T, color=colour("gaussian"), linewidth=0.6, alpha=0.6, label=names)
        line_with_band(place, np.arange(STEPS + 1), runs, "their mean and range", "gaussian")
        place.plot(truth.numpy(), color="black", linestyle=":", label="true sequence")
        finish(place, "step t", "x(t)", f"T = {period:g}")
    figure.suptitle("Trajectories at periods that are unseen in training (figure 6)")
    return figure


@styled
def trajectories(models: dict[str, Any], count: int) -> Figure:
    """Draw sampled trajectories, given the period alone, at a training period and at an unseen one, and true sequences.

    Args:
        models: by their objective.
        count: trajectories to sample.
    """
    figure, axes = subplots(2, len(models), width=6, height=3.6)
    for row, (objective, model) in zip(axes, models.items(), strict=True):
        for place, period in zip(row, (TRAINING_PERIODS[1], VALIDATION_PERIODS[1]), strict=True):
            context = {"period": torch.tensor([period])}
            bands(place, model.sample(context, count, STEPS + 1, seed=0)[0], "gaussian")
            true = Sequences.draw((period,), 40, seed=1).x.numpy()
            names = ["40 true sequences", *[None] * 39]
            place.plot(true.T, color="black", linestyle=":", linewidth=0.5, alpha=0.5, label=names)
            where = "of training" if period in TRAINING_PERIODS else "unseen"
            finish(place, "step t", "x(t)", f"{objective} objective, T = {period:g} ({where}), x(0) unknown")
    return figure


@styled
def coverage(shares: dict[float, dict[str, list[float]]]) -> Figure:
    """Draw how many true values lie in the central bands of the samples.

    Args:
        shares: of every level of a band, and kind, the percentage of every run.
    """
    figure, axes = subplots(1, len(shares), width=6, height=3.5)
    for place, (level, values) in zip(axes[0], shares.items(), strict=True):
        dots(place, values)
        place.axvline(100 * level, color="black", linestyle=":", label=f"{level:.0%}, which is calibrated")
        finish(place, f"true values in the {level:.0%} band at training periods, %", "")
    return figure
