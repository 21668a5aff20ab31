"""`reproduce associative-retrieval-table`: table 1 of Ba et al. (arXiv 1610.06258), errors of associative retrieval.

Every model at every size tries every learning rate with one seed; the one of the best validation accuracy is trained
with the other seeds. Test sequences are fresh, and seen once, after the last epoch of each run of the chosen rate.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from typing import Any

import numpy as np
import torch

from ..plotting import dots, finish, save, subplots
from ..serialization import load
from ..serialization import save as save_model
from ..tasks.associative_retrieval import RetrievalRNN, Retrievals, loss, scores, shuffled
from ..training.compare import summarise
from ..training.fit import FitConfig, fit
from ..training.run_folder import RunFolder, write_json
from ..training.side_by_side import Job, run_all

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
        epochs: at most; training stops at 100 % validation accuracy.
        training: sequences to train on, drawn once.
        validation: sequences to choose the learning rate on.
        test: fresh sequences for the error.
        learning_rates: of Adam, to choose among.
    """

    epochs: int = 100
    training: int = 100_000
    validation: int = 20_000
    test: int = 20_000
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)


def reproduce(
    cells: list[str], sizes: list[int], seeds: int, out: pathlib.Path, config: TableConfig, *, resume: bool
) -> str:
    """Choose, train, test; draw the figure, write `results.json`, and return the table."""
    settings = {"cells": cells, "sizes": sizes, "seeds": seeds, **dataclasses.asdict(config)}
    folder = RunFolder.open(out, settings, resume=resume)
    models = list(itertools.product(cells, sizes))
    tried = [_job(cell, size, rate, 0, config) for cell, size in models for rate in config.learning_rates]
    results = run_all(tried, train, out / "runs", resume=resume, title="choosing the learning rate")
    chosen = {}
    for model in models:
        mine = [(job, result) for job, result in zip(tried, results, strict=True) if _model(job) == model]
        chosen[model] = max(mine, key=lambda pair: pair[1]["metrics"]["validation_accuracy"])[0].config["learning_rate"]
    final = [_job(*model, chosen[model], seed, config) for model in models for seed in range(seeds)]
    run_all(final, train, out / "runs", resume=True, title="training")  # seed 0 is done
    runs = []
    for job in final:
        error = error_on_test(out / "runs" / job.name, job.config["seed"], config.test)
        identity = {key: job.config[key] for key in ("cell", "hidden", "learning_rate", "seed")}
        runs.append({**identity, "metrics": {"test_error": error}})
    table = _table(runs)
    report = {"runs": runs, "summary": summarise(runs, ["cell", "hidden"]), "differences": [], "verdict": table}
    draw(folder.figures, runs)
    write_json(folder.results_path, report)
    return table


def _job(cell: str, size: int, rate: float, seed: int, config: TableConfig) -> Job:
    settings = {**dataclasses.asdict(config), "cell": cell, "hidden": size, "learning_rate": rate, "seed": seed}
    del settings["learning_rates"], settings["test"]
    return Job(f"{cell}-{size}-rate-{rate:g}-seed-{seed}", settings, config.epochs)


def _model(job: Job) -> tuple[str, int]:
    return job.config["cell"], job.config["hidden"]


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its validation accuracy. The data are drawn anew for every seed."""
    seed = config["seed"]
    training = Retrievals.draw(config["training"], 3 * seed)
    validation = Retrievals.draw(config["validation"], 3 * seed + 1)
    torch.manual_seed(seed)
    model = RetrievalRNN(config["cell"], config["hidden"])
    history = fit(
        model,
        loss,
        shuffled(training),
        FitConfig(config["epochs"], config["learning_rate"], clip=1.0, seed=seed),
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
    rows = [f"{'model':<14}{'units':>6}{'rate':>8}  test error, % (published)"]
    for (cell, size), mine in _grouped(runs).items():
        errors = ", ".join(f"{run['metrics']['test_error']:.2f}" for run in mine)
        rows.append(f"{cell:<14}{size:>6}{mine[0]['learning_rate']:>8g}  {errors} ({PUBLISHED.get((cell, size), '-')})")
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
    finish(axes[0, 0], "test error, %", "", "Associative retrieval; a dot a seed, a line at the median")
    save(figure, figures, "test_error")
