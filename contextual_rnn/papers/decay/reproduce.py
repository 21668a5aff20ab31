"""`reproduce lcd`: figures 4, 5 and 6 of Wenke and Fleming (arXiv 1902.03455), and what they leave out.

Beside the paper: the error of whole trajectories run freely, and a two by two of what makes the difference, h0 from
context or zero, the period at every step or not.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from ..._core.noise import TrajectorySeeds
from ...serialization import load
from ...serialization import save as save_model
from ...study.comparison import difference, in_words, summarise
from ...study.figures import colour, finish, line_with_band, logarithmic, save, subplots
from ...study.fit import FitConfig, fit
from ...study.parallel import Job, run_all
from ...study.run_folder import RunFolder, read_lines, write_json
from ..common import KINDS
from .model import (
    STEPS,
    TRAINING_PERIODS,
    VALIDATION_PERIODS,
    DecayModel,
    Scaling,
    Sequences,
    decay,
    free_run_error,
    loss,
    one_step_error,
    shuffled,
)

FACTORS = ["initial_state", "period"]
EVERY_STEP, CONTEXT_ONLY, NOWHERE = "at every step", "in h0 only", "nowhere"


@dataclasses.dataclass(frozen=True)
class DecayConfig:
    """The paper's setting; `--smoke` makes it small.

    Attributes:
        epochs: passes over the training sequences.
        each: training sequences of each period; half as many for validation.
        learning_rate: of Adam.
        clip: the greatest norm of the gradient.
    """

    epochs: int = 65
    each: int = 1000
    learning_rate: float = 2e-4
    clip: float = 10.0


def variants(kinds: list[str]) -> list[tuple[str, str]]:
    """Return (initial state, where the period is told): the paper's kinds, then what completes the two by two."""
    paper = [(kind, EVERY_STEP if kind in ("zero", "free") else CONTEXT_ONLY) for kind in kinds]
    more = [("context", EVERY_STEP), ("zero", NOWHERE)] if {"zero", "context"} <= set(kinds) else []
    return paper + more


def reproduce(kinds: list[str], seeds: int, out: pathlib.Path, config: DecayConfig, *, resume: bool) -> str:
    """Train every kind with every seed, draw the figures, write `results.json`, and return what was found in words."""
    settings = {"initial_states": kinds, "seeds": seeds, **dataclasses.asdict(config)}
    folder = RunFolder.open(out, settings, resume=resume)
    jobs = [_job(kind, period, seed, config) for kind, period in variants(kinds) for seed in range(seeds)]
    results = run_all(jobs, train, out / "runs", resume=resume, title="linear cosine decay")
    runs = [{**_identity(job), **result} for job, result in zip(jobs, results, strict=True)]
    report: dict[str, Any] = {"runs": runs, "summary": summarise(runs, FACTORS), "differences": _differences(runs)}
    report["verdict"] = verdict(report, config.epochs)
    curves = {job.name: read_lines(out / "runs" / job.name / "metrics.jsonl") for job in jobs}
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw(folder, jobs, curves, config)
    return report["verdict"]


def _job(kind: str, period: str, seed: int, config: DecayConfig) -> Job:
    name = f"{kind}, period {period}, seed {seed}".replace(", ", "-").replace(" ", "-")
    settings = {"initial_state": kind, "period": period, "seed": seed, **dataclasses.asdict(config)}
    return Job(name, settings, config.epochs)


def _identity(job: Job) -> dict[str, Any]:
    return {key: job.config[key] for key in ("initial_state", "period", "seed")}


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its metrics. The data are drawn anew for every seed."""
    training, validation = data(config["each"], config["seed"])
    model = build(config, training)
    settings = FitConfig(config["epochs"], config["learning_rate"], config["clip"], seed=config["seed"])
    history = fit(
        model,
        loss,
        shuffled(training),
        settings,
        evaluate=lambda model: {"one_step_mse": one_step_error(model, validation)},
        folder=folder,
    )
    save_model(model, folder / "model.safetensors")
    metrics = {"one_step_mse": history[-1]["one_step_mse"], "free_run_rmse": free_run_error(model, validation)}
    early = [row for row in history if row["epoch"] == 10]
    if early:
        metrics["one_step_mse_at_epoch_10"] = early[0]["one_step_mse"]
    return {"metrics": metrics}


def data(each: int, seed: int) -> tuple[Sequences, Sequences]:
    """Return the training and validation sequences of a seed."""
    return (
        Sequences.draw(TRAINING_PERIODS, each, seed=2 * seed),
        Sequences.draw(VALIDATION_PERIODS, each // 2, seed=2 * seed + 1),
    )


def build(config: dict[str, Any], training: Sequences) -> DecayModel:
    """Return the untrained model of a run."""
    torch.manual_seed(config["seed"])
    scaling = Scaling.of(training)
    return DecayModel(
        config["initial_state"], config["period"] == EVERY_STEP, scaling.lowest_change, scaling.highest_change
    )


def _differences(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare every variant with zero h0 and the period at every step, and across the two by two."""
    present = {(run["initial_state"], run["period"]) for run in runs}
    pairs = [(kind, ("zero", EVERY_STEP)) for kind in sorted(present) if kind != ("zero", EVERY_STEP)]
    pairs.append((("context", EVERY_STEP), ("context", CONTEXT_ONLY)))
    metrics = [name for name in runs[0]["metrics"] if name != "seconds"]
    return [
        difference(runs, dict(zip(FACTORS, a, strict=True)), dict(zip(FACTORS, b, strict=True)), metric)
        for a, b in pairs
        if {a, b} <= present
        for metric in metrics
    ]


def verdict(report: dict[str, Any], epochs: int) -> str:
    """Say what was found: the best of each metric, then every difference."""
    lines = []
    for metric, what in (("one_step_mse", "one-step error"), ("free_run_rmse", "error of the free run")):
        rows = [row for row in report["summary"] if row["metric"] == metric]
        best = min(rows, key=lambda row: row["mean"])
        seeds = f"{best['seeds']} seed{'s' * (best['seeds'] != 1)}"
        listed = ", ".join(f"{row['initial_state']} (period {row['period']}) {row['mean']:.3g}" for row in rows)
        lines.append(
            f"After {epochs} epochs the {what} is lowest from h0 = {best['initial_state']} with the period "
            f"{best['period']} (mean of {seeds}): {listed}."
        )
    return "\n".join([*lines, *map(in_words, report["differences"])])


def draw(folder: RunFolder, jobs: list[Job], curves: dict[str, list[dict[str, float]]], config: DecayConfig) -> None:
    """Draw figures 4, 5 and 6."""
    draw_sequence(folder.figures)
    draw_errors(folder.figures, jobs, curves)
    gaussian = [job for job in jobs if job.config["initial_state"] == "gaussian"]
    if gaussian:
        draw_samples(folder.figures, folder.path / "runs" / gaussian[0].name, gaussian[0].config)


def draw_sequence(figures: pathlib.Path) -> None:
    """Figure 4: one sequence, tf = 100, T = 4, x(0) = 4."""
    figure, axes = subplots()
    x = decay(torch.tensor([4.0]), torch.tensor([4.0]), tf=100)[0]
    axes[0, 0].plot(x.numpy(), color=colour("context"), label="x(t), T = 4, tf = 100, x0 = 4")
    finish(axes[0, 0], "step t", "x(t)", "Linear cosine decay (figure 4)")
    save(figure, figures, "figure_4")


def draw_errors(figures: pathlib.Path, jobs: list[Job], curves: dict[str, list[dict[str, float]]]) -> None:
    """Figure 5: validation error by epoch, mean and range over seeds."""
    figure, axes = subplots(width=8, height=5)
    for kind, period in dict.fromkeys((job.config["initial_state"], job.config["period"]) for job in jobs):
        mine = [job for job in jobs if (job.config["initial_state"], job.config["period"]) == (kind, period)]
        errors = np.array([[row["one_step_mse"] for row in curves[job.name]] for job in mine])
        extra = (kind, period) not in variants(list(KINDS))[: len(KINDS)]
        name, style = f"{kind}, period {period}", "--" if extra else "-"
        line_with_band(axes[0, 0], np.arange(1, errors.shape[1] + 1), errors, name, kind, style)
    logarithmic(axes[0, 0], "y")
    seeds = len({job.config["seed"] for job in jobs})
    title = f"Validation error (figure 5); mean and range of {seeds} seed{'s' * (seeds != 1)}"
    finish(axes[0, 0], "epoch", "mean squared error of the change scaled to [-1, 1]", title)
    save(figure, figures, "figure_5")


def draw_samples(figures: pathlib.Path, run: pathlib.Path, config: dict[str, Any], samples: int = 10) -> None:
    """Figure 6: trajectories from sampled h0 for an example of each validation period, with their mean and band."""
    model = load(run / "model.safetensors")
    _, validation = data(config["each"], config["seed"])
    figure, axes = subplots(2, 2, width=6, height=3.6)
    for place, period in zip(axes.flat, VALIDATION_PERIODS, strict=True):
        truth = validation.x[validation.period == period][0]
        starts, periods = truth[:1].expand(samples), torch.full((samples,), period)
        runs = model.free_run(starts, periods, STEPS, sample=True, generator=TrajectorySeeds(config["seed"])).numpy()
        names = [f"{samples} sampled trajectories", *[None] * (samples - 1)]
        place.plot(runs.T, color=colour("gaussian"), linewidth=0.6, alpha=0.6, label=names)
        steps = np.arange(STEPS + 1)
        line_with_band(place, steps, runs, "their mean and range", "gaussian")
        place.plot(steps, truth.numpy(), color="black", linestyle=":", label="true sequence")
        finish(place, "step t", "x(t)", f"T = {period:g}, unseen in training (figure 6)")
    save(figure, figures, "figure_6")
