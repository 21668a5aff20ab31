"""`reproduce art`: figure 2 of arXiv 1902.03455, associative retrieval by fast weights, and which pair is learned when.

Beyond the paper: h0 as a distribution, the grouped order of the sequence, the epochs that each kind needs, and the
accuracy by which of the four pairs was asked for.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from ...serialization import load
from ...serialization import save as save_model
from ...study.comparison import difference, in_words, summarise
from ...study.figures import colour, finish, heatmap, line_with_band, save, subplots
from ...study.fit import FitConfig, fit
from ...study.parallel import Job, run_all
from ...study.run_folder import RunFolder, read_lines, write_json
from .model import PAIRS, RetrievalModel, Retrievals, loss, scores, shuffled

FACTORS = ["initial_state"]
LEVELS = (50, 90, 99)


@dataclasses.dataclass(frozen=True)
class RetrievalConfig:
    """The paper's setting; `--smoke` makes it small.

    Attributes:
        order: `"paired"`, the paper's, or `"grouped"`.
        epochs: at most; training stops at 100 % validation accuracy.
        training: sequences to train on, drawn once.
        validation: sequences to validate on, drawn once.
        learning_rate: of Adam.
    """

    order: str = "paired"
    epochs: int = 200
    training: int = 100_000
    validation: int = 20_000
    learning_rate: float = 1e-3


def reproduce(kinds: list[str], seeds: int, out: pathlib.Path, config: RetrievalConfig, *, resume: bool) -> str:
    """Train every kind with every seed, draw the figures, write `results.json`, and return what was found in words."""
    settings = {"initial_states": kinds, "seeds": seeds, **dataclasses.asdict(config)}
    folder = RunFolder.open(out, settings, resume=resume)
    jobs = [
        Job(f"{kind}-seed-{seed}", {"initial_state": kind, "seed": seed, **dataclasses.asdict(config)}, config.epochs)
        for kind in kinds
        for seed in range(seeds)
    ]
    results = run_all(jobs, train, out / "runs", resume=resume, title="associative retrieval")
    runs = [
        {"initial_state": job.config["initial_state"], "seed": job.config["seed"], **result}
        for job, result in zip(jobs, results, strict=True)
    ]
    report: dict[str, Any] = {"runs": runs, "summary": summarise(runs, FACTORS), "differences": _differences(runs)}
    curves = {job.name: read_lines(out / "runs" / job.name / "metrics.jsonl") for job in jobs}
    report["verdict"] = verdict(runs, report["differences"], curves)
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw(folder, kinds, seeds, curves, config)
    return report["verdict"]


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its metrics. The data are drawn anew for every seed."""
    seed = config["seed"]
    training, validation = data(config)
    torch.manual_seed(seed)
    model = RetrievalModel(config["initial_state"])
    history = fit(
        model,
        loss,
        shuffled(training),
        FitConfig(config["epochs"], config["learning_rate"], seed=seed),
        evaluate=lambda model: scores(model, validation),
        folder=folder,
        until=lambda metrics: metrics["accuracy"] == 1.0,
    )
    save_model(model, folder / "model.safetensors")
    accuracy = [row["accuracy"] for row in history]
    epochs = {f"epochs_to_{level}": _first(accuracy, level / 100) for level in LEVELS}
    return {"metrics": {"log_likelihood": history[-1]["log_likelihood"], "accuracy": accuracy[-1], **epochs}}


def data(config: dict[str, Any]) -> tuple[Retrievals, Retrievals]:
    """Return the training and validation sequences of a seed."""
    seed, order = config["seed"], config["order"]
    return (
        Retrievals.draw(config["training"], 2 * seed, order),
        Retrievals.draw(config["validation"], 2 * seed + 1, order),
    )


def _first(accuracy: list[float], level: float) -> int | None:
    """Return the first epoch, from 1, of at least that accuracy."""
    return next((epoch for epoch, value in enumerate(accuracy, start=1) if value >= level), None)


def _differences(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the epochs to 90 and 99 % of every kind with those of zero, where every seed of both got there."""
    found = []
    kinds = list(dict.fromkeys(run["initial_state"] for run in runs))
    for metric in ("epochs_to_90", "epochs_to_99"):
        there = {kind for kind in kinds if all(run["metrics"][metric] for run in runs if run["initial_state"] == kind)}
        found += [
            difference(runs, {"initial_state": kind}, {"initial_state": "zero"}, metric)
            for kind in kinds
            if kind != "zero" and {kind, "zero"} <= there
        ]
    return found


def verdict(
    runs: list[dict[str, Any]], differences: list[dict[str, Any]], curves: dict[str, list[dict[str, float]]]
) -> str:
    """Say how far each kind got and how soon, every difference, and how far the pairs lie apart."""
    lines = []
    for kind in dict.fromkeys(run["initial_state"] for run in runs):
        mine = [run["metrics"] for run in runs if run["initial_state"] == kind]
        accuracy = ", ".join(f"{100 * metrics['accuracy']:.2f}" for metrics in mine)
        epochs = "; ".join(
            f"{level} % by epoch " + ", ".join(str(metrics[f"epochs_to_{level}"] or "-") for metrics in mine)
            for level in LEVELS
        )
        lines.append(f"From h0 = {kind}, seed by seed: {accuracy} % right in the end; {epochs}.")
        own = [curve for name, curve in curves.items() if name.startswith(f"{kind}-seed-")]
        spread = "; ".join(
            f"{level} %: " + ", ".join(_spread(curve, level / 100) for curve in own) for level in LEVELS[:2]
        )
        lines.append(f"Best pair less worst, in points, when the accuracy first reached {spread}.")
    return "\n".join([*lines, *map(in_words, differences)])


def _spread(curve: list[dict[str, float]], level: float) -> str:
    """Return the accuracy of the best pair less that of the worst, in points, when the whole reached the level."""
    epoch = _first([row["accuracy"] for row in curve], level)
    if epoch is None:
        return "-"
    pairs = [curve[epoch - 1][f"accuracy_pair_{pair}"] for pair in range(1, PAIRS + 1)]
    return f"{100 * (max(pairs) - min(pairs)):.1f}"


def draw(
    folder: RunFolder,
    kinds: list[str],
    seeds: int,
    curves: dict[str, list[dict[str, float]]],
    config: RetrievalConfig,
) -> None:
    """Draw figure 2, the accuracy by pair, and what the first run's model attends to."""
    by_kind = {kind: [curves[f"{kind}-seed-{seed}"] for seed in range(seeds)] for kind in kinds}
    draw_curves(folder.figures, by_kind)
    draw_pairs(folder.figures, by_kind)
    run = folder.path / "runs" / f"{kinds[-1]}-seed-0"
    draw_attention(folder.figures, run, {**dataclasses.asdict(config), "seed": 0})


def _values(curves: list[list[dict[str, float]]], metric: str) -> np.ndarray:
    """Return a metric (seeds, epochs); a run that stopped early keeps its last value."""
    longest = max(map(len, curves))
    return np.array([[curve[min(epoch, len(curve) - 1)][metric] for epoch in range(longest)] for curve in curves])


def draw_curves(figures: pathlib.Path, by_kind: dict[str, list[list[dict[str, float]]]]) -> None:
    """Figure 2: log likelihood and accuracy on validation data by epoch, mean and range over seeds."""
    figure, axes = subplots(1, 2, width=6, height=4)
    seeds = len(next(iter(by_kind.values())))
    metrics = (("log_likelihood", "log likelihood of the answer, nats"), ("accuracy", "share of answers right"))
    for place, (metric, name) in zip(axes[0], metrics, strict=True):
        for kind, curves in by_kind.items():
            values = _values(curves, metric)
            line_with_band(place, np.arange(1, values.shape[1] + 1), values, f"h0 {kind}", kind)
        finish(place, "epoch", name, f"Validation (figure 2); mean and range of {seeds} seed{'s' * (seeds != 1)}")
    save(figure, figures, "figure_2")


def draw_pairs(figures: pathlib.Path, by_kind: dict[str, list[list[dict[str, float]]]]) -> None:
    """Accuracy by which pair was asked for: a panel a run, up to the epoch at which all is learned.

    Runs learn at different epochs, so that a mean over them would hide the steps in which each learns.
    """
    seeds = len(next(iter(by_kind.values())))
    figure, axes = subplots(len(by_kind), seeds, width=3.2, height=2.6)
    for row, (kind, curves) in zip(axes, by_kind.items(), strict=True):
        for seed, (place, curve) in enumerate(zip(row, curves, strict=True)):
            end = _first([metrics["accuracy"] for metrics in curve], LEVELS[-1] / 100) or len(curve)
            for pair in range(1, PAIRS + 1):
                accuracy = [metrics[f"accuracy_pair_{pair}"] for metrics in curve[:end]]
                place.plot(range(1, end + 1), accuracy, color=colour(f"pair {pair}"), label=f"pair {pair} asked for")
            place.set_ylim(0, 1.02)
            finish(place, "epoch", "share right", f"h0 {kind}, seed {seed}", legend=place is axes[0, 0])
    save(figure, figures, "accuracy_by_pair")


def draw_attention(figures: pathlib.Path, run: pathlib.Path, config: dict[str, Any]) -> None:
    """One retrieval, steps against steps: how much of what each step wrote is added to each later step."""
    model = load(run / "model.safetensors")
    _, validation = data(config)
    attention = model.attention(validation.symbols[:1])[0]
    symbols = list(validation.text(0))
    figure, axes = subplots(width=6, height=5)
    # Steps differ tenfold in what they write, so each row is shown against its own greatest.
    shares = attention / attention.abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
    heatmap(figure, axes[0, 0], shares.numpy(), "weight of what was written, over the row's greatest")
    axes[0, 0].set_xticks(range(len(symbols)), symbols)
    axes[0, 0].set_yticks(range(len(symbols)), symbols)
    finish(axes[0, 0], "step that was written, its symbol", "step that reads, its symbol", run.name, legend=False)
    axes[0, 0].grid(visible=False)
    save(figure, figures, "attention")
