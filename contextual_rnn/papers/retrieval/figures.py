"""Figures of associative retrieval."""

from __future__ import annotations

import numpy as np

from ...study.figures import Figure, colour, dots, finish, heatmap, line_with_band, styled, subplots
from ...study.fit import Metrics
from .data import PAIRS, Retrievals
from .model import RetrievalModel, first_epoch


@styled
def curves(histories: dict[str, list[list[Metrics]]]) -> Figure:
    """Draw figure 2: log likelihood and accuracy on validation sequences by epoch, mean and range over seeds.

    Args:
        histories: of every kind of h0, and seed, the metrics of every epoch.
    """
    figure, axes = subplots(1, 2, width=6, height=4)
    seeds = len(next(iter(histories.values())))
    metrics = (("log_likelihood", "log likelihood of the answer, nats"), ("accuracy", "share of correct answers"))
    for place, (metric, name) in zip(axes[0], metrics, strict=True):
        for kind, runs in histories.items():
            values = _values(runs, metric)
            line_with_band(place, np.arange(1, values.shape[1] + 1), values, f"h0 {kind}", kind)
        finish(place, "epoch", name)
    figure.suptitle(f"Validation (figure 2); mean and range of {seeds} seed{'s' * (seeds != 1)}")
    return figure


def _values(histories: list[list[Metrics]], metric: str) -> np.ndarray:
    """Return a metric (seeds, epochs); a run that stopped early keeps its last value."""
    longest = max(map(len, histories))
    return np.array([[history[min(i, len(history) - 1)][metric] for i in range(longest)] for history in histories])


@styled
def pairs(histories: dict[str, list[list[Metrics]]], level: int) -> Figure:
    """Draw the accuracy of each pair by epoch, one panel per run.

    Runs learn at different epochs, so a mean over them would hide the steps in which each one learns.

    Args:
        histories: of every kind of h0, and seed, the metrics of every epoch.
        level: a run is drawn up to the epoch of this accuracy in per cent.
    """
    figure, axes = subplots(len(histories), len(next(iter(histories.values()))), width=3.2, height=2.6)
    for row, (kind, runs) in zip(axes, histories.items(), strict=True):
        for seed, (place, history) in enumerate(zip(row, runs, strict=True)):
            end = first_epoch(history, level) or len(history)
            for pair in range(1, PAIRS + 1):
                accuracy = [metrics[f"accuracy_pair_{pair}"] for metrics in history[:end]]
                place.plot(range(1, end + 1), accuracy, color=colour(f"pair {pair}"), label=f"pair {pair}")
            place.set_ylim(0, 1.02)
            finish(place, "epoch", "share of correct answers", f"h0 {kind}, seed {seed}")
    return figure


@styled
def attention(model: RetrievalModel, retrieval: Retrievals, title: str) -> Figure:
    """Draw, for one sequence, how much of what each step wrote every later step adds.

    Args:
        model: the trained model.
        retrieval: one sequence.
        title: of the figure.
    """
    weights = model.attention(retrieval.symbols)[0]
    symbols = list(retrieval.text(0))
    figure, axes = subplots(width=6, height=5)
    # What steps write differs tenfold in size, so each row is divided by its largest weight.
    shares = weights / weights.abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
    heatmap(figure, axes[0, 0], shares.numpy(), "attention weight, divided by the largest of the row")
    axes[0, 0].set_xticks(range(len(symbols)), symbols)
    axes[0, 0].set_yticks(range(len(symbols)), symbols)
    finish(axes[0, 0], "symbol of the step that writes", "symbol of the step that reads", title)
    axes[0, 0].grid(visible=False)
    return figure


@styled
def test_error(errors: dict[str, list[float]], published: dict[str, float | None]) -> Figure:
    """Draw the test error of every run, and the published ones.

    Args:
        errors: of every model, the test error of each run in per cent.
        published: of every model, the published test error in per cent, if there is one.
    """
    figure, axes = subplots(width=7, height=4.5)
    dots(axes[0, 0], errors)
    known = np.array([published[name] for name in errors], float)  # NaN for None, which is not drawn
    axes[0, 0].plot(known, range(len(known)), "k|", markersize=14, label="Ba et al., table 1")
    finish(axes[0, 0], "test error, %", "", "Associative retrieval")
    return figure
