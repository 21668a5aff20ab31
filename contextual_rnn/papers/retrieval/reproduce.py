"""`reproduce art`: figure 2 of arXiv 1902.03455, associative retrieval with fast weights.

Beyond the paper: h0 as a distribution, the grouped order of a sequence, the epochs that each kind needs, and the
accuracy for each of the four pairs.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import torch

from ..._core.settings import setting, takes_settings
from ...study.fit import Metrics
from ...study.metric import Metric, Row
from ..experiment import PAPER_KINDS, Experiment, PaperSettings, compare, fit_and_save, sentences, shuffled, table
from .data import PAIRS, Retrievals
from .model import RetrievalModel, first_epoch, loss, scores

FACTORS = ("initial_state",)
LEVELS = (50, 90, 99)
ACCURACY = Metric("accuracy", "accuracy (share of correct answers)", higher_is_better=True)
EPOCHS = {level: Metric(f"epochs_to_{level}", f"number of epochs to {level}% accuracy") for level in LEVELS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalSettings(PaperSettings):
    """The model of associative retrieval, as published."""

    initial_states: tuple[str, ...] = setting(
        PAPER_KINDS[:3],
        "Kinds of h0 and of the initial fast weights; gaussian is not in the paper.",
        group="comparison",
        choices=PAPER_KINDS,
        least=1,
    )
    order: Literal["paired", "grouped"] = setting(
        "paired", "Each letter before its digit, or, beyond the paper, all letters before all digits.", group="data"
    )
    epochs: int = setting(
        200,
        "Number of training epochs, at most; training stops at 100% validation accuracy.",
        group="training",
        least=1,
    )
    training_size: int = setting(100_000, "Training sequences, drawn once.", group="data", least=1)
    validation_size: int = setting(20_000, "Validation sequences, drawn once.", group="data", least=1)


@takes_settings(RetrievalSettings)
def reproduce(
    *,
    out: pathlib.Path,
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> str:
    """Reproduce figure 2 of arXiv 1902.03455: associative retrieval with fast weights.

    Args:
        out: Run folder to create.
        smoke: Train two epochs on few sequences, to see that everything runs; the figures mean nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        What was found, in words, and where the files are.

    Raises:
        InputError: a setting is wrong, or the folder cannot be used.

    Example:
        contextual-rnn reproduce art --out runs/art
    """
    from . import figures

    small = {"epochs": 2, "training_size": 500, "validation_size": 200} if smoke else {}
    settings = RetrievalSettings.of(options | small)
    experiment = Experiment.open(out, "{initial_state}", settings, resume=resume, jobs=jobs, cluster=cluster)
    names = settings.initial_states
    runs = experiment.train([{"initial_state": name} for name in names], settings, train, "associative retrieval")
    curves = {name: [experiment.history(run) for run in runs if run["initial_state"] == name] for name in names}
    differences, metrics = _differences(runs, names), [ACCURACY, *EPOCHS.values()]
    verdict = [*table(runs, FACTORS, metrics), *_spreads(curves), *sentences(differences, metrics)]
    draws = {
        "figure_2": lambda: figures.curves(curves),
        "accuracy_by_pair": lambda: figures.pairs(curves, LEVELS[-1]),
        "attention": lambda: figures.attention(
            experiment.model({"initial_state": names[-1], "seed": 0}),
            Retrievals.draw(1, seed=1, order=settings.order),
            f"h0 {names[-1]}, seed 0",
        ),
    }
    return experiment.finish(runs, FACTORS, differences, verdict, draws)


def train(settings: RetrievalSettings, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its metrics on validation sequences; the data are drawn anew for every seed."""
    seed = config["seed"]
    training = Retrievals.draw(settings.training_size, 2 * seed, settings.order)
    validation = Retrievals.draw(settings.validation_size, 2 * seed + 1, settings.order)
    torch.manual_seed(seed)
    model = RetrievalModel(config["initial_state"])
    history = fit_and_save(
        model,
        loss,
        shuffled(training.symbols, training.answer, batch_size=settings.batch_size),
        settings,
        seed=seed,
        evaluate=lambda model: scores(model, validation),
        folder=folder,
        until=lambda metrics: metrics["accuracy"] == 1.0,
    )
    epochs = {metric.key: first_epoch(history, level) for level, metric in EPOCHS.items()}
    return {"metrics": {**{name: history[-1][name] for name in ("log_likelihood", "accuracy")}, **epochs}}


def _differences(runs: list[Row], initial_states: Sequence[str]) -> list[Row]:
    """Compare the epochs to 90 and 99% of every kind with those of zero, if every seed of both reached the level."""
    found = []
    for metric in (EPOCHS[90], EPOCHS[99]):
        missed = {run["initial_state"] for run in runs if run["metrics"][metric.key] is None}
        reached = [{"initial_state": name} for name in initial_states if name not in missed]
        zero = {"initial_state": "zero"}
        found += compare(runs, [(kind, zero) for kind in reached if kind != zero and zero in reached], [metric])
    return found


def _spreads(curves: dict[str, list[list[Metrics]]]) -> list[str]:
    """Return how far the accuracies of the pairs lie apart when the accuracy first reached a level, seed by seed."""
    lines = []
    for level in LEVELS[:2]:
        lines.append(f"accuracy of the best pair less that of the worst, in points, at {level}% accuracy, by seed")
        width = max(map(len, curves))
        lines += [
            f"  {name:<{width}}  {', '.join(_spread(history, level) for history in histories)}"
            for name, histories in curves.items()
        ]
    return lines


def _spread(history: list[Metrics], level: int) -> str:
    epoch = first_epoch(history, level)
    if epoch is None:
        return "-"
    pairs = [history[epoch - 1][f"accuracy_pair_{pair}"] for pair in range(1, PAIRS + 1)]
    return f"{100 * (max(pairs) - min(pairs)):.1f}"
