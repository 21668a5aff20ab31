"""`reproduce associative-retrieval-table`: table 1 of Ba et al. (arXiv 1610.06258), errors of associative retrieval.

Every model at every size tries every recipe, a learning rate and a scale of the embedding, in a short run of one seed;
the best few by validation accuracy are then trained at length with every seed, and the best of these by its mean
validation accuracy is reported. Test sequences are fresh, and seen once, after the last epoch of each run reported.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from typing import Any

import numpy as np
import torch
from torch import nn

from ...serialization import load
from ...serialization import save as save_model
from ...study.comparison import summarise
from ...study.figures import dots, finish, save, subplots
from ...study.fit import FitConfig, fit
from ...study.parallel import Job, run_all
from ...study.run_folder import RunFolder, write_json
from .model import RetrievalRNN, Retrievals, loss, scores, shuffled

SIZES = (20, 50, 100)
PUBLISHED = {  # test error, %, of Ba et al.'s table 1
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


@dataclasses.dataclass(frozen=True)
class TableConfig:
    """The setting of the table; `--smoke` makes it small.

    Attributes:
        epochs: of a long run, at most; training stops at 100 % validation accuracy.
        trial_epochs: of a short run.
        training: sequences to train on, drawn once.
        validation: sequences to choose the recipe on.
        test: fresh sequences for the error.
        learning_rates: of Adam in the first epoch, to choose among; they fall to nothing, by a cosine.
        embedding_scales: the standard deviation that the embedding starts with, to choose among.
        finalists: how many recipes are trained at length: what is best after a short run need not be in the end.
    """

    epochs: int = 60
    trial_epochs: int = 15
    training: int = 100_000
    validation: int = 20_000
    test: int = 20_000
    learning_rates: tuple[float, ...] = (5e-4, 2e-3, 6e-3)
    embedding_scales: tuple[float, ...] = (0.1, 1.0)
    finalists: int = 2


def reproduce(
    cells: list[str], sizes: list[int], seeds: int, out: pathlib.Path, config: TableConfig, *, resume: bool
) -> str:
    """Choose, train, test; draw the figure, write `results.json`, and return the table."""
    settings = {"cells": cells, "sizes": sizes, "seeds": seeds, **dataclasses.asdict(config)}
    folder = RunFolder.open(out, settings, resume=resume)
    models = list(itertools.product(cells, sizes))
    recipes = list(itertools.product(config.learning_rates, config.embedding_scales))
    tried = [_job(*model, *recipe, 0, config.trial_epochs, config) for model in models for recipe in recipes]
    results = run_all(tried, train, out / "trials", resume=resume, title="choosing the recipe")
    trials = [{**_identity(job), **result} for job, result in zip(tried, results, strict=True)]
    jobs = [
        _job(*model, *recipe, seed, config.epochs, config)
        for model in models
        for recipe in _ranked(trials, *model)[: config.finalists]
        for seed in range(seeds)
    ]
    results = run_all(jobs, train, out / "runs", resume=resume, title="training")
    finals = [{**_identity(job), **result} for job, result in zip(jobs, results, strict=True)]
    best = {model: _ranked(finals, *model)[0] for model in models}
    runs = [_tested(out, one, config.test) for one in finals if best[one["cell"], one["hidden"]] == _recipe(one)]
    table = _table(runs)
    report = {
        "runs": runs,
        "trials": trials,
        "finals": finals,
        "summary": summarise(runs, ["cell", "hidden"]),
        "differences": [],
        "verdict": table,
    }
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw(folder.figures, runs)
    return table


IDENTITY = ("cell", "hidden", "learning_rate", "embedding_scale", "seed")


def _job(cell: str, size: int, rate: float, scale: float, seed: int, epochs: int, config: TableConfig) -> Job:
    settings = dict(zip(IDENTITY, (cell, size, rate, scale, seed), strict=True))
    settings |= {"epochs": epochs, "training": config.training, "validation": config.validation}
    return Job(_name(cell, size, rate, scale, seed), settings, epochs)


def _name(cell: str, hidden: int, learning_rate: float, embedding_scale: float, seed: int) -> str:
    return f"{cell}-{hidden}-rate-{learning_rate:g}-embedding-{embedding_scale:g}-seed-{seed}"


def _identity(job: Job) -> dict[str, Any]:
    return {key: job.config[key] for key in IDENTITY}


def _recipe(run: dict[str, Any]) -> tuple[float, float]:
    return run["learning_rate"], run["embedding_scale"]


def _ranked(runs: list[dict[str, Any]], cell: str, size: int) -> list[tuple[float, float]]:
    """Return the recipes of a model, learning rate and embedding scale, that of the best validation accuracy first."""
    accuracy: dict[tuple[float, float], list[float]] = {}
    for run in runs:
        if (run["cell"], run["hidden"]) == (cell, size):
            accuracy.setdefault(_recipe(run), []).append(run["metrics"]["validation_accuracy"])
    return sorted(accuracy, key=lambda recipe: float(np.mean(accuracy[recipe])), reverse=True)


def _tested(out: pathlib.Path, run: dict[str, Any], count: int) -> dict[str, Any]:
    """Return a run with its test error, %."""
    identity = {key: run[key] for key in IDENTITY}
    folder = out / "runs" / _name(**identity)
    return {**identity, "metrics": {**run["metrics"], "test_error": error_on_test(folder, run["seed"], count)}}


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its validation accuracy. The data are drawn anew for every seed."""
    seed = config["seed"]
    training = Retrievals.draw(config["training"], 3 * seed)
    validation = Retrievals.draw(config["validation"], 3 * seed + 1)
    torch.manual_seed(seed)
    model = RetrievalRNN(config["cell"], config["hidden"])
    nn.init.normal_(model.embedding.weight, std=config["embedding_scale"])
    history = fit(
        model,
        loss,
        shuffled(training),
        FitConfig(config["epochs"], config["learning_rate"], clip=1.0, schedule="cosine", seed=seed),
        evaluate=lambda model: scores(model, validation),
        folder=folder,
        until=lambda metrics: metrics["accuracy"] == 1.0,
    )
    save_model(model, folder / "model.safetensors")
    return {"metrics": {"validation_accuracy": history[-1]["accuracy"], "epochs": len(history)}}


def error_on_test(folder: pathlib.Path, seed: int, count: int) -> float:
    """Return the error of a trained model on fresh sequences, %."""
    return 100 * (1 - scores(load(folder / "model.safetensors"), Retrievals.draw(count, 3 * seed + 2))["accuracy"])


def _table(runs: list[dict[str, Any]]) -> str:
    rows = [f"{'model':<14}{'units':>6}{'rate':>8}{'embedding':>11}  test error, % (published)"]
    for (cell, size), mine in _grouped(runs).items():
        errors = ", ".join(f"{run['metrics']['test_error']:.2f}" for run in mine)
        recipe = f"{mine[0]['learning_rate']:>8g}{mine[0]['embedding_scale']:>11g}"
        rows.append(f"{cell:<14}{size:>6}{recipe}  {errors} ({PUBLISHED.get((cell, size), '-')})")
    return "\n".join(rows)


def _grouped(runs: list[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["cell"], run["hidden"]), []).append(run)
    return groups


def draw(figures: pathlib.Path, runs: list[dict[str, Any]]) -> None:
    """Draw the test error of every run, and the published one."""
    groups = _grouped(runs)
    figure, axes = subplots(width=7, height=4.5)
    names = [f"{cell}, {size} units" for cell, size in groups]
    dots(
        axes[0, 0],
        {
            name: [run["metrics"]["test_error"] for run in mine]
            for name, mine in zip(names, groups.values(), strict=True)
        },
    )
    known = [(PUBLISHED[model], row) for row, model in enumerate(groups) if model in PUBLISHED]
    axes[0, 0].plot(*np.array(known or [(np.nan, 0)]).T, "k|", markersize=14, label="Ba et al., table 1")
    finish(axes[0, 0], "test error, %", "", "Associative retrieval; a dot a seed, a line at the median", legend=False)
    axes[0, 0].legend(loc="lower right")
    save(figure, figures, "test_error")
