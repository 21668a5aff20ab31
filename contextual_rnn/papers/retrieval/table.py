"""`reproduce associative-retrieval-table`: table 1 of Ba et al. (arXiv 1610.06258), errors of associative retrieval.

Every model of every size first tries each recipe, a learning rate and a scale of the embedding, in a short run of one
seed. The best few by validation accuracy are then trained at length with every seed, and the one with the best mean
validation accuracy is reported. Test sequences are fresh, and used once, after the last epoch of a reported run.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._core.settings import setting, takes_settings
from ...study.comparison import text_table
from ...study.metric import Kind, Row
from ...study.parallel import one_thread
from ..experiment import Experiment, PaperSettings, fit_and_save, shuffled
from .data import Retrievals
from .model import CELLS, RetrievalRNN, loss, scores

PUBLISHED = {  # test error in per cent, table 1 of Ba et al.
    ("irnn", 20): 62.11,
    ("irnn", 50): 60.23,
    ("irnn", 100): 0.34,
    ("lstm", 20): 60.81,
    ("lstm", 50): 1.85,
    ("lstm", 100): 0.0,
    ("fast-weights", 20): 1.81,
    ("fast-weights", 50): 0.0,
    ("fast-weights", 100): 0.0,
}
MODEL, RECIPE = ("cell", "hidden"), ("learning_rate", "embedding_scale")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings(PaperSettings):
    """The models of table 1 and the search for their recipes."""

    cells: tuple[str, ...] = setting(CELLS, "Recurrent cores.", group="comparison", choices=CELLS, least=1)
    sizes: tuple[int, ...] = setting((20, 50, 100), "Numbers of hidden units.", group="comparison", least=1)
    seeds: int = setting(3, "Number of seeds, counted from 0.", group="comparison", least=1)
    epochs: int = setting(
        60,
        "Number of training epochs, at most; training stops at 100% validation accuracy.",
        group="training",
        least=1,
    )
    trial_epochs: int = setting(
        15, "Epochs of the short runs, of seed 0, whose validation accuracy selects recipes.", group="training", least=1
    )
    learning_rates: tuple[float, ...] = setting(
        (5e-4, 2e-3, 6e-3),
        "Learning rates of AdamW in the first epoch to try; they fall to 0 by a cosine.",
        group="training",
        above=0,
    )
    embedding_scales: tuple[float, ...] = setting(
        (0.1, 1.0), "Standard deviations of the initial embedding to try.", group="training", above=0
    )
    finalists: int = setting(
        2,
        "Recipes trained at length; the best after a short run need not be the best later.",
        group="training",
        least=1,
    )
    training_size: int = setting(100_000, "Training sequences, drawn once.", group="data", least=1)
    validation_size: int = setting(20_000, "Validation sequences, to choose the recipe on.", group="data", least=1)
    test_size: int = setting(20_000, "Fresh sequences for the test error.", group="data", least=1)
    clip: float | None = 1.0


@takes_settings(TableSettings)
def reproduce_table(
    *,
    out: pathlib.Path,
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> str:
    """Reproduce table 1 of Ba et al. (arXiv 1610.06258): test errors of associative retrieval.

    Args:
        out: Run folder to create.
        smoke: Train two epochs on few sequences, to see that everything runs; the table means nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        The table, and where the files are.

    Raises:
        InputError: a setting is wrong, or the folder cannot be used.

    Example:
        contextual-rnn reproduce associative-retrieval-table --out runs/table
    """
    from .figures import test_error

    settings = TableSettings.of(options)
    if smoke:
        sizes = {"training_size": 500, "validation_size": 200, "test_size": 200}
        tried = {"learning_rates": settings.learning_rates[:2], "embedding_scales": settings.embedding_scales[:1]}
        settings = settings.replace(epochs=2, trial_epochs=1, **sizes, **tried)
    name = "{cell}-{hidden}-rate-{learning_rate:g}-embedding-{embedding_scale:g}"
    experiment = Experiment.open(out, name, settings, resume=resume, jobs=jobs, cluster=cluster)
    models = list(itertools.product(settings.cells, settings.sizes))
    recipes = itertools.product(settings.learning_rates, settings.embedding_scales)
    kinds = [
        dict(zip(MODEL + RECIPE, model + recipe, strict=True)) for model, recipe in itertools.product(models, recipes)
    ]
    short = settings.replace(epochs=settings.trial_epochs)
    first_seed = dataclasses.replace(experiment, seeds=1)
    trials = first_seed.train(kinds, short, train, "choosing the recipe", "trials")
    chosen = [kind for model in models for kind in _ranked(trials, model)[: settings.finalists]]
    finals = experiment.train(chosen, settings, train, "training")
    best = [_ranked(finals, model)[0] for model in models]
    runs = _tested(experiment, [run for run in finals if _part(run, MODEL + RECIPE) in best], settings.test_size)
    names = {f"{cell}, {size} units": members for (cell, size), members in _by_model(runs).items()}
    published = {name: PUBLISHED.get((runs[0]["cell"], runs[0]["hidden"])) for name, runs in names.items()}
    draws = {"test_error": lambda: test_error({name: _errors(runs) for name, runs in names.items()}, published)}
    return experiment.finish(runs, MODEL, [], [_table(runs)], draws, trials=trials, finals=finals)


def train(settings: TableSettings, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its validation accuracy; the data are drawn anew for every seed."""
    seed = config["seed"]
    training = Retrievals.draw(settings.training_size, 3 * seed)
    validation = Retrievals.draw(settings.validation_size, 3 * seed + 1)
    torch.manual_seed(seed)
    model = RetrievalRNN(config["cell"], config["hidden"])
    nn.init.normal_(model.embedding.weight, std=config["embedding_scale"])
    history = fit_and_save(
        model,
        loss,
        shuffled(training.symbols, training.answer, batch_size=settings.batch_size),
        settings.replace(learning_rate=config["learning_rate"]),
        seed=seed,
        schedule="cosine",
        evaluate=lambda model: scores(model, validation),
        folder=folder,
        until=lambda metrics: metrics["accuracy"] == 1.0,
    )
    return {"metrics": {"validation_accuracy": history[-1]["accuracy"], "epochs": len(history)}}


def _part(run: Row, names: Sequence[str]) -> Kind:
    return {name: run[name] for name in names}


def _ranked(runs: list[Row], model: tuple[str, int]) -> list[Kind]:
    """Return the kinds of a model, that with the best mean validation accuracy first."""
    accuracy: dict[tuple[Any, ...], list[float]] = {}
    for run in runs:
        if (run["cell"], run["hidden"]) == model:
            key = tuple(_part(run, MODEL + RECIPE).values())
            accuracy.setdefault(key, []).append(run["metrics"]["validation_accuracy"])
    ranked = sorted(accuracy, key=lambda key: float(np.mean(accuracy[key])), reverse=True)
    return [dict(zip(MODEL + RECIPE, key, strict=True)) for key in ranked]


def _tested(experiment: Experiment, runs: list[Row], count: int) -> list[Row]:
    """Return the runs with their test error in per cent; the test sequences of a seed are the same for all models."""
    tests = {seed: Retrievals.draw(count, 3 * seed + 2) for seed in range(experiment.seeds)}
    tested = []
    for run in runs:
        with one_thread():
            error = 100 * (1 - scores(experiment.model(run), tests[run["seed"]])["accuracy"])
        identity = _part(run, (*MODEL, *RECIPE, "seed"))
        tested.append({**identity, "metrics": {**run["metrics"], "test_error": error}})
    return tested


def _table(runs: list[Row]) -> str:
    rows = [["model", "units", "learning rate", "embedding", "test error by seed, %", "published, %"]]
    for (cell, size), members in _by_model(runs).items():
        recipe = [f"{members[0][name]:g}" for name in RECIPE]
        errors = ", ".join(f"{error:.2f}" for error in _errors(members))
        rows.append([cell, str(size), *recipe, errors, str(PUBLISHED.get((cell, size), "-"))])
    return text_table(rows[0], rows[1:], width=200, no_wrap=True)


def _by_model(runs: list[Row]) -> dict[tuple[str, int], list[Row]]:
    groups: dict[tuple[str, int], list[Row]] = {}
    for run in runs:
        groups.setdefault((run["cell"], run["hidden"]), []).append(run)
    return groups


def _errors(runs: list[Row]) -> list[float]:
    return [run["metrics"]["test_error"] for run in runs]
