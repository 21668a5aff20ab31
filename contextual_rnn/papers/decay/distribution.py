"""`reproduce lcd` with `distribution`: whether trajectories from sampled h0 spread as the sequences do.

The context is the period, and of x(0) nothing, x(0) with noise, or x(0) itself. The published objective, a squared
error with noise on h0, is compared with the evidence lower bound, for the same model.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from typing import Any

import numpy as np
import torch

from ..._core.settings import setting
from ...study.calibration import band, covered, crps
from ...study.comparison import text_table
from ...study.differences import label
from ...study.intervals import two_way_estimate
from ...study.metric import Kind, Metric, Row
from ..experiment import Experiment, PaperSettings, compare, fit_and_save, sentences, shuffled
from .data import STEPS, TRAINING_PERIODS, VALIDATION_PERIODS, Scaling, Sequences
from .distribution_model import CONTEXTS, OBJECTIVES, DecayDistribution, context_of, loss

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistributionSettings(PaperSettings):
    """The comparison of the two objectives."""

    epochs: int = setting(65, "Number of training epochs.", group="training", least=1)
    per_period: int = setting(1000, "Training sequences of each period.", group="data", least=2)
    tested: int = setting(100, "Fresh sequences of each period to compare samples with.", group="data", least=1)
    samples: int = setting(200, "Sampled trajectories for each of these sequences.", group="data", least=2)
    learning_rate: float = 3e-3
    clip: float | None = 1.0


def reproduce_distribution(
    out: pathlib.Path, settings: DistributionSettings, *, resume: bool, jobs: int | None, cluster: str | None
) -> str:
    """Train with both objectives, sample, and compare the samples with fresh sequences.

    Args:
        out: run folder to create.
        settings: of the comparison.
        resume: continue in a folder that already holds this run.
        jobs: number of processes; None is one per processor.
        cluster: the address of a Dask scheduler whose workers do the runs; None does them here.

    Returns:
        What was found, in words, and where the files are.
    """
    from . import figures

    experiment = Experiment.open(out, "{told}-{objective}", settings, resume=resume, jobs=jobs, cluster=cluster)
    kinds = [{"told": told, "objective": objective} for told in CONTEXTS for objective in OBJECTIVES]
    runs = experiment.train(kinds, settings, train, "distributions of linear cosine decay")
    differences = compare(runs, zip(kinds[1::2], kinds[::2], strict=True), ERRORS)
    rows = calibration(runs, kinds)
    verdict = [
        "Calibration: true values in central bands of the samples, with 95% intervals; CRPS; width of the 90% band.",
        _table(rows, kinds),
        *sentences(differences, ERRORS),
    ]
    draws = {
        "trajectories": lambda: figures.trajectories(
            {kind["objective"]: experiment.model({**kind, "seed": 0}) for kind in kinds[:2]}, settings.samples
        ),
        "coverage": lambda: figures.coverage({level: _coverage(runs, level) for level in LEVELS}),
    }
    return experiment.finish(runs, FACTORS, differences, verdict, draws, calibration=rows)


def train(settings: DistributionSettings, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model, and return its errors and its scores on fresh sequences of every period."""
    seed, told = config["seed"], config["told"]
    training = Sequences.draw(TRAINING_PERIODS, settings.per_period, seed=3 * seed)
    context = context_of(training, told, seed)
    torch.manual_seed(seed)
    model = DecayDistribution(told, config["objective"])
    batches = shuffled(training.x, context, batch_size=settings.batch_size)
    fit_and_save(model, loss, batches, settings, seed=seed, schedule="cosine", folder=folder)
    scaling = Scaling.of(training)
    half_range = (scaling.highest_change - scaling.lowest_change) / 2
    by_period = {period: scores(model, period, half_range, settings, seed) for period in PERIODS}
    metrics = {}
    for suffix, periods in (("", VALIDATION_PERIODS), (AT_TRAINING, TRAINING_PERIODS)):
        chosen = [by_period[period] for period in periods]
        metrics[f"one_step_mse{suffix}"] = float(np.mean([one["one_step_mse"] for one in chosen]))
        metrics[f"free_run_rmse{suffix}"] = float(np.sqrt(np.mean([one["free_run_mse"] for one in chosen])))
    return {"metrics": metrics, "by_period": {str(period): one for period, one in by_period.items()}}


def scores(
    model: DecayDistribution, period: float, half_range: float, settings: DistributionSettings, seed: int
) -> dict[str, Any]:
    """Return the errors on fresh sequences of a period, and the calibration for each sequence, a mean over steps.

    The one-step error is that of the change scaled to [-1, 1]; the others are in the unit of x.
    """
    fresh = Sequences.draw((period,), settings.tested, seed=3 * seed + 1)
    context = context_of(fresh, model.told, seed=3 * seed + 2)
    samples = model.sample(context, settings.samples, STEPS + 1, seed=seed)
    low, high = band(samples, LEVELS[-1])
    one_step, free_run = model.one_step(fresh.x, context) / half_range, model.free_run(fresh.x, context)
    return {
        **{f"covered_{level:.0%}": covered(samples, fresh.x, level).double().mean(1).tolist() for level in LEVELS},
        "crps": crps(samples, fresh.x).mean(1).tolist(),
        "width_90%": (high - low).mean(1).tolist(),
        "one_step_mse": float(one_step.square().mean()),
        "free_run_mse": float(free_run.square().mean()),
    }


def calibration(runs: list[Row], kinds: list[Kind]) -> list[Row]:
    """Return every measure with its interval, for other sequences and seeds, over periods and at each.

    The n-th sequences of all periods have the same x(0), so their mean over periods is one item of an interval.
    """
    rows = []
    for name, periods in {**GROUPS, **{f"T = {period:g}": (period,) for period in PERIODS}}.items():
        keys = [{**kind, "periods": name, "measure": measure} for kind, measure in itertools.product(kinds, MEASURES)]
        values = [
            [
                np.mean([run["by_period"][str(period)][key["measure"]] for period in periods], axis=0)
                for run in runs
                if all(run[name] == key[name] for name in FACTORS)
            ]
            for key in keys
        ]
        rows += [{**key, **_interval(np.array(one), key["measure"])} for key, one in zip(keys, values, strict=True)]
    return rows


def _interval(values: np.ndarray, measure: str) -> Row:
    """Return the mean of (seeds, sequences) values and the ends of its interval, which are shares if the values are."""
    interval = dataclasses.asdict(two_way_estimate(values).interval())
    return {end: float(np.clip(value, 0, 1)) if "covered" in measure else value for end, value in interval.items()}


def _coverage(runs: list[Row], level: float) -> dict[str, list[float]]:
    """Return, of every kind, the percentage of true values in a central band at the training periods, by seed."""
    shares: dict[str, list[float]] = {}
    for run in runs:
        covering = [run["by_period"][str(period)][f"covered_{level:.0%}"] for period in TRAINING_PERIODS]
        share = 100 * float(np.mean(covering))
        shares.setdefault(f"{run['told']}, {run['objective']}", []).append(share)
    return shares


def _table(rows: list[Row], kinds: list[Kind]) -> str:
    """Return coverage, CRPS and width over the training periods and the unseen ones, in columns."""
    of = {(row["told"], row["objective"], row["periods"], row["measure"]): row for row in rows}
    lines = [["context, objective", "in 50% band, %", "in 90% band, %", "CRPS", "width"]]
    for kind in kinds:
        lines.append([label(kind), "", "", "", ""])
        for periods in GROUPS:
            half, most, score, width = (of[(*kind.values(), periods, measure)] for measure in MEASURES)
            numbers = [_percentage(half), _percentage(most), f"{score['middle']:.4f}", f"{width['middle']:.3f}"]
            lines.append([f"  {periods}", *numbers])
    return text_table(lines[0], lines[1:], width=200, no_wrap=True)


def _percentage(row: Row) -> str:
    return f"{100 * row['middle']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
