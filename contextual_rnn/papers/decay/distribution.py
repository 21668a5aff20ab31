"""`reproduce lcd --distribution`: whether trajectories from sampled h0 spread as the sequences do.

What is told beside the period leaves x(0) open: nothing, or x(0) with noise; or it is told whole. The published
objective, a squared error with noise on h0, is compared with the evidence lower bound, for the same model.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from ...serialization import load
from ...serialization import save as save_model
from ...study.calibration import band, covered, crps
from ...study.comparison import difference, in_words, summarise
from ...study.figures import bands, dots, finish, save, subplots
from ...study.fit import FitConfig, fit
from ...study.intervals import bootstrap_mean
from ...study.parallel import Job, run_all
from ...study.run_folder import RunFolder, write_json
from .distribution_model import OBJECTIVES, TOLD, DecayDistribution, loss, shuffled, told_of
from .model import STEPS, TRAINING_PERIODS, VALIDATION_PERIODS, Scaling, Sequences

FACTORS = ["told", "objective"]
LEVELS = (0.5, 0.9)
ERRORS = ("one_step_mse", "free_run_rmse", "one_step_mse_at_training_periods", "free_run_rmse_at_training_periods")
KNOWN, UNSEEN = "training periods", "unseen periods"


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """The setting; `--smoke` makes it small.

    Attributes:
        epochs: passes over the training sequences.
        each: training sequences of each period.
        tested: fresh sequences of each period.
        samples: trajectories that each of these is compared with.
        learning_rate: of Adam in the first epoch; it falls to nothing, by a cosine.
        clip: the greatest norm of the gradient.
    """

    epochs: int = 65
    each: int = 1000
    tested: int = 100
    samples: int = 200
    learning_rate: float = 3e-3
    clip: float = 1.0


def reproduce(seeds: int, out: pathlib.Path, config: DistributionConfig, *, resume: bool) -> str:
    """Train both objectives, sample, draw the figures, write `results.json`, and return what was found in words."""
    folder = RunFolder.open(out, {"seeds": seeds, **dataclasses.asdict(config)}, resume=resume)
    jobs = [
        Job(
            f"{told}-{objective}-seed-{seed}".replace(" ", "-"),
            {"told": told, "objective": objective, "seed": seed, **dataclasses.asdict(config)},
            config.epochs,
        )
        for told in TOLD
        for objective in OBJECTIVES
        for seed in range(seeds)
    ]
    results = run_all(jobs, train, out / "runs", resume=resume, title="distributions of linear cosine decay")
    runs = [
        {**{key: job.config[key] for key in (*FACTORS, "seed")}, **result}
        for job, result in zip(jobs, results, strict=True)
    ]
    differences = [
        difference(runs, {"told": told, "objective": "bound"}, {"told": told, "objective": "published"}, metric)
        for told in TOLD
        for metric in ERRORS
    ]
    report: dict[str, Any] = {"runs": runs, "summary": summarise(runs, FACTORS), "differences": differences}
    report["calibration"] = calibration(runs)
    report["verdict"] = verdict(report)
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw(folder, runs, config)
    return report["verdict"]


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model, and return its errors and how its samples cover fresh sequences, period by period."""
    seed, told = config["seed"], config["told"]
    training = Sequences.draw(TRAINING_PERIODS, config["each"], seed=3 * seed)
    torch.manual_seed(seed)
    model = DecayDistribution(told, config["objective"])
    settings = FitConfig(config["epochs"], config["learning_rate"], config["clip"], schedule="cosine", seed=seed)
    fit(model, loss, shuffled(training, told_of(training, told, seed)), settings, folder=folder)
    save_model(model, folder / "model.safetensors")
    unit = Scaling.of(training)
    half_range = (unit.highest_change - unit.lowest_change) / 2
    by_period = {period: scores(model.eval(), period, half_range, config) for period in _periods()}
    metrics = {}
    for suffix, periods in (("", VALIDATION_PERIODS), ("_at_training_periods", TRAINING_PERIODS)):
        chosen = [by_period[period] for period in periods]
        metrics[f"one_step_mse{suffix}"] = float(np.mean([one["one_step_mse"] for one in chosen]))
        metrics[f"free_run_rmse{suffix}"] = float(np.sqrt(np.mean([one["free_run_mse"] for one in chosen])))
    return {"metrics": metrics, "by_period": {str(period): one for period, one in by_period.items()}}


def _periods() -> tuple[float, ...]:
    return tuple(sorted(TRAINING_PERIODS + VALIDATION_PERIODS))


def scores(model: DecayDistribution, period: float, half_range: float, config: dict[str, Any]) -> dict[str, Any]:
    """Return the errors on fresh sequences of a period, and for each of them, a mean over its steps, the calibration.

    The squared error of one step is of the change scaled to [-1, 1]; the others are in the unit of x.
    """
    fresh = Sequences.draw((period,), config["tested"], seed=3 * config["seed"] + 1)
    context = told_of(fresh, model.told, seed=3 * config["seed"] + 2)
    samples = model.sample(context, config["samples"], STEPS + 1, seed=config["seed"])
    low, high = band(samples, LEVELS[-1])
    found: dict[str, Any] = {
        f"covered_{level:.0%}": covered(samples, fresh.x, level).double().mean(1).tolist() for level in LEVELS
    }
    found |= {"crps": crps(samples, fresh.x).mean(1).tolist(), "width_90%": (high - low).mean(1).tolist()}
    one_step, free_run = model.one_step(fresh.x, context) / half_range, model.free_run(fresh.x, context)
    return {**found, "one_step_mse": float(one_step.square().mean()), "free_run_mse": float(free_run.square().mean())}


MEASURES = ("covered_50%", "covered_90%", "crps", "width_90%")


def calibration(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every measure with its interval, bootstrapped by sequence and seed, over periods and at each."""
    groups = {KNOWN: TRAINING_PERIODS, UNSEEN: VALIDATION_PERIODS, **{f"T = {p:g}": (p,) for p in _periods()}}
    rows = []
    for told, objective in dict.fromkeys((run["told"], run["objective"]) for run in runs):
        mine = [run for run in runs if (run["told"], run["objective"]) == (told, objective)]
        for name, periods in groups.items():
            for measure in MEASURES:
                values = np.array([[run["by_period"][str(period)][measure] for period in periods] for run in mine])
                interval = dataclasses.asdict(bootstrap_mean(values.reshape(len(mine), -1)))
                rows.append({"told": told, "objective": objective, "periods": name, "measure": measure, **interval})
    return rows


def verdict(report: dict[str, Any]) -> str:
    """Say coverage, CRPS and width over the training periods and the unseen ones, and the differences of errors."""
    of = {(one["told"], one["objective"], one["periods"], one["measure"]): one for one in report["calibration"]}
    lines = []
    for told, objective in dict.fromkeys((run["told"], run["objective"]) for run in report["runs"]):
        for periods in (KNOWN, UNSEEN):
            half, most, score, width = (of[told, objective, periods, measure] for measure in MEASURES)
            lines.append(
                f"Told {told}, {objective} objective, {periods}: {_share(half)} in the 50 % band and {_share(most)} in "
                f"the 90 % band, CRPS {score['middle']:.4f}, mean width {width['middle']:.3f}."
            )
    return "\n".join([*lines, *map(in_words, report["differences"])])


def _share(one: dict[str, Any]) -> str:
    return f"{100 * one['middle']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def draw(folder: RunFolder, runs: list[dict[str, Any]], config: DistributionConfig) -> None:
    """Draw sampled trajectories of both objectives, and the coverage of every run."""
    draw_trajectories(folder, config)
    figure, axes = subplots(1, len(LEVELS), width=6, height=3.5)
    for place, level in zip(axes[0], LEVELS, strict=True):
        values: dict[str, list[float]] = {}
        for run in runs:
            parts = [run["by_period"][str(period)][f"covered_{level:.0%}"] for period in TRAINING_PERIODS]
            values.setdefault(f"{run['told']}, {run['objective']}", []).append(100 * float(np.mean(parts)))
        dots(place, values)
        place.axvline(100 * level, color="black", linestyle=":", label="as it should be")
        finish(place, f"in the {level:.0%} band at training periods, %", "", "dot: one seed; bar: median")
    save(figure, folder.figures, "coverage")


def draw_trajectories(folder: RunFolder, config: DistributionConfig) -> None:
    """Draw bands of trajectories, told the period alone, at a training period and at an unseen one, and true ones."""
    figure, axes = subplots(2, 2, width=6, height=3.6)
    for row, objective in zip(axes, OBJECTIVES, strict=True):
        name = f"{TOLD[0]}-{objective}-seed-0".replace(" ", "-")
        model = load(folder.path / "runs" / name / "model.safetensors").eval()
        for place, period in zip(row, (TRAINING_PERIODS[1], VALIDATION_PERIODS[1]), strict=True):
            context = {"period": torch.tensor([period])}
            bands(place, model.sample(context, config.samples, STEPS + 1, seed=0)[0], "gaussian")
            true = Sequences.draw((period,), 40, seed=1).x.numpy()
            names = ["40 true sequences", *[None] * 39]
            place.plot(true.T, color="black", linestyle=":", linewidth=0.5, alpha=0.5, label=names)
            where = "of training" if period in TRAINING_PERIODS else "unseen"
            finish(place, "step t", "x(t)", f"{objective} objective, T = {period:g} ({where}), x(0) not told")
    save(figure, folder.figures, "trajectories")
