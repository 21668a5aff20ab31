"""`reproduce lcd --distribution`: whether trajectories from sampled h0 spread as the sequences do.

The context is the period, and of x(0) nothing, x(0) with noise, or x(0) itself. The published objective, a squared
error with noise on h0, is compared with the evidence lower bound, for the same model.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...serialization import save
from ...study.calibration import band, covered, crps
from ...study.differences import Metric, Row, bootstrap_mean, summarise
from ...study.fit import fit
from ...study.minibatches import shuffled
from ...study.settings import setting
from ..common import PaperSettings
from ..experiment import Experiment, compare, in_columns, sentences
from .data import STEPS, TRAINING_PERIODS, VALIDATION_PERIODS, Scaling, Sequences
from .distribution_model import CONTEXTS, OBJECTIVES, DecayDistribution, context_of, loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACTORS = ("told", "objective")
LEVELS = (0.5, 0.9)
AT_TRAINING = "_at_training_periods"
ERRORS = (
    Metric("one_step_mse", "one-step error"),
    Metric("free_run_rmse", "free-run RMSE"),
    Metric(f"one_step_mse{AT_TRAINING}", "one-step error at training periods"),
    Metric(f"free_run_rmse{AT_TRAINING}", "free-run RMSE at training periods"),
)
MEASURES = ("covered_50%", "covered_90%", "crps", "width_90%")
PERIODS = tuple(sorted(TRAINING_PERIODS + VALIDATION_PERIODS))
GROUPS = {"training periods": TRAINING_PERIODS, "unseen periods": VALIDATION_PERIODS}
SMALL = {"epochs": 2, "per_period": 50, "tested": 5, "samples": 20}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistributionSettings(PaperSettings):
    """The comparison of the two objectives."""

    epochs: int = setting(65, "Number of training epochs.", group="training", least=1)
    per_period: int = setting(1000, "Training sequences of each period.", group="data", least=2)
    tested: int = setting(100, "Fresh sequences of each period to compare samples with.", group="data", least=1)
    samples: int = setting(200, "Sampled trajectories for each of these sequences.", group="data", least=2)
    learning_rate: float = 3e-3
    clip: float | None = 1.0


def reproduce_distribution(out: pathlib.Path, settings: DistributionSettings, *, resume: bool, jobs: int | None) -> str:
    """Train with both objectives, sample, and compare the samples with fresh sequences.

    Args:
        out: run folder to create.
        settings: of the comparison.
        resume: continue in a folder that already holds this run.
        jobs: number of processes; None is one per processor.

    Returns:
        What was found, in words, and where the files are.
    """
    experiment = Experiment.open(out, "{told}-{objective}", settings, resume=resume, jobs=jobs)
    kinds = [{"told": told, "objective": objective} for told in CONTEXTS for objective in OBJECTIVES]
    runs = experiment.train(kinds, settings, Training(settings), "distributions of linear cosine decay")
    bounds, published = kinds[1::2], kinds[::2]
    differences = compare(runs, zip(bounds, published, strict=True), ERRORS)
    rows = calibration(runs)
    verdict = "\n".join(
        [
            "Calibration: values in the central bands of the samples, with 95 % intervals, CRPS, and width of the 90 % "
            "band.",
            _table(rows),
            *sentences(differences, ERRORS),
        ]
    )
    results = {
        "runs": runs,
        "summary": summarise(runs, FACTORS),
        "differences": differences,
        "calibration": rows,
        "verdict": verdict,
    }
    return experiment.finish(results, _figures(experiment, runs, settings.samples))


@dataclasses.dataclass(frozen=True)
class Training:
    """Trains one model, and compares its samples with fresh sequences of every period."""

    settings: DistributionSettings

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train the model and return its errors, and its scores at every period."""
        seed, told, settings = config["seed"], config["told"], self.settings
        training = Sequences.draw(TRAINING_PERIODS, settings.per_period, seed=3 * seed)
        context = context_of(training, told, seed)
        torch.manual_seed(seed)
        model = DecayDistribution(told, config["objective"])
        batches = shuffled(training.x, context, batch_size=settings.batch_size)
        fit(model, loss, batches, settings, seed=seed, schedule="cosine", folder=folder)
        save(model, folder / "model.safetensors")
        scaling = Scaling.of(training)
        half_range = (scaling.highest_change - scaling.lowest_change) / 2
        by_period = {period: self.scores(model, period, half_range, seed) for period in PERIODS}
        metrics = {}
        for suffix, periods in (("", VALIDATION_PERIODS), (AT_TRAINING, TRAINING_PERIODS)):
            chosen = [by_period[period] for period in periods]
            metrics[f"one_step_mse{suffix}"] = float(np.mean([one["one_step_mse"] for one in chosen]))
            metrics[f"free_run_rmse{suffix}"] = float(np.sqrt(np.mean([one["free_run_mse"] for one in chosen])))
        return {"metrics": metrics, "by_period": {str(period): one for period, one in by_period.items()}}

    def scores(self, model: DecayDistribution, period: float, half_range: float, seed: int) -> dict[str, Any]:
        """Return the errors on fresh sequences of a period, and the calibration for each sequence, a mean over steps.

        The one-step error is that of the change scaled to [-1, 1]; the others are in the unit of x.
        """
        fresh = Sequences.draw((period,), self.settings.tested, seed=3 * seed + 1)
        context = context_of(fresh, model.told, seed=3 * seed + 2)
        samples = model.sample(context, self.settings.samples, STEPS + 1, seed=seed)
        low, high = band(samples, LEVELS[-1])
        one_step, free_run = model.one_step(fresh.x, context) / half_range, model.free_run(fresh.x, context)
        return {
            **{f"covered_{level:.0%}": covered(samples, fresh.x, level).double().mean(1).tolist() for level in LEVELS},
            "crps": crps(samples, fresh.x).mean(1).tolist(),
            "width_90%": (high - low).mean(1).tolist(),
            "one_step_mse": float(one_step.square().mean()),
            "free_run_mse": float(free_run.square().mean()),
        }


def calibration(runs: list[Row]) -> list[Row]:
    """Return every measure with its interval, bootstrapped over sequences and seeds, over periods and at each."""
    groups = {**GROUPS, **{f"T = {period:g}": (period,) for period in PERIODS}}
    rows = []
    for told, objective in dict.fromkeys((run["told"], run["objective"]) for run in runs):
        members = [run for run in runs if (run["told"], run["objective"]) == (told, objective)]
        for name, periods in groups.items():
            for measure in MEASURES:
                values = np.array([[run["by_period"][str(period)][measure] for period in periods] for run in members])
                interval = dataclasses.asdict(bootstrap_mean(values.reshape(len(members), -1)))
                rows.append({"told": told, "objective": objective, "periods": name, "measure": measure, **interval})
    return rows


def _table(rows: list[Row]) -> str:
    """Return coverage, CRPS and width over the training periods and the unseen ones, in columns."""
    of = {(row["told"], row["objective"], row["periods"], row["measure"]): row for row in rows}
    lines = [["context, objective", "in 50 % band, %", "in 90 % band, %", "CRPS", "width"]]
    for told, objective in dict.fromkeys((row["told"], row["objective"]) for row in rows):
        lines.append([f"{told}, {objective}", "", "", "", ""])
        for periods in GROUPS:
            half, most, score, width = (of[told, objective, periods, measure] for measure in MEASURES)
            numbers = [_percentage(half), _percentage(most), f"{score['middle']:.4f}", f"{width['middle']:.3f}"]
            lines.append([f"  {periods}", *numbers])
    return in_columns(lines)


def _percentage(row: Row) -> str:
    return f"{100 * row['middle']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _figures(experiment: Experiment, runs: list[Row], count: int) -> dict[str, Callable[[], Figure]]:
    from . import figures

    models = {run["objective"]: experiment.model(run) for run in runs if (run["told"], run["seed"]) == (CONTEXTS[0], 0)}
    shares: dict[float, dict[str, list[float]]] = {level: {} for level in LEVELS}
    for level, values in shares.items():
        for run in runs:
            parts = [run["by_period"][str(period)][f"covered_{level:.0%}"] for period in TRAINING_PERIODS]
            values.setdefault(f"{run['told']}, {run['objective']}", []).append(100 * float(np.mean(parts)))
    return {
        "trajectories": functools.partial(figures.trajectories, models, count),
        "coverage": functools.partial(figures.coverage, shares),
    }
