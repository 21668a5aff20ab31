"""`reproduce lcd`: figures 4, 5 and 6 of arXiv 1902.03455, and two comparisons that the paper leaves out.

These are the error of free runs, and a two by two: h0 from context or zero, and the period at every step or not.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import torch

from ..._core.settings import setting, takes_settings
from ...errors import InputError
from ...study.differences import difference, found
from ...study.metric import Kind, Metric, Row
from ..experiment import PAPER_KINDS, Experiment, PaperSettings, compare, fit_and_save, sentences, shuffled, table
from .data import TRAINING_PERIODS, VALIDATION_PERIODS, Scaling, Sequences
from .distribution import DistributionSettings, reproduce_distribution
from .model import DecayModel, free_run_error, loss, one_step_error

FACTORS = ("initial_state", "period")
EVERY_STEP, CONTEXT_ONLY, NOWHERE = "at every step", "in h0 only", "nowhere"
ZERO: Kind = {"initial_state": "zero", "period": EVERY_STEP}
SAMPLED: Kind = {"initial_state": "gaussian", "period": CONTEXT_ONLY}
ONE_STEP = Metric("one_step_mse", "one-step error")
FREE_RUN = Metric("free_run_rmse", "free-run RMSE")
EARLY = Metric("one_step_mse_at_epoch_10", "one-step error after 10 epochs")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecaySettings(PaperSettings):
    """The model of linear cosine decay, as published."""

    initial_states: tuple[str, ...] = setting(
        PAPER_KINDS,
        "Kinds of h0; with zero and context, h0 from context or not is crossed with the period at every step or not.",
        group="comparison",
        choices=PAPER_KINDS,
        least=1,
    )
    epochs: int = setting(65, "Number of training epochs.", group="training", least=1)
    per_period: int = setting(
        1000, "Training sequences of each period; half as many are drawn for validation.", group="data", least=2
    )
    learning_rate: float = 2e-4
    clip: float | None = 10.0


@takes_settings(DecaySettings)
def reproduce(
    *,
    out: pathlib.Path,
    distribution: bool = False,
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> str:
    """Reproduce figures 4, 5 and 6 of arXiv 1902.03455: linear cosine decay.

    Args:
        out: Run folder to create.
        distribution: Instead of the figures, test whether trajectories from sampled h0 spread as the sequences do.
        smoke: Train two epochs on few sequences, to see that everything runs; the figures mean nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        What was found, in words, and where the files are.

    Raises:
        InputError: a setting is wrong, or the folder cannot be used.

    Example:
        contextual-rnn reproduce lcd --out runs/lcd
    """
    settings = DecaySettings.of(options | ({"epochs": 2, "per_period": 50} if smoke else {}))
    if distribution:
        if settings.initial_states != PAPER_KINDS:
            raise InputError("`initial_states` is for the figures; with `distribution`, h0 is always sampled")
        shared = {name: getattr(settings, name) for name in ("seeds", "epochs", "per_period")}
        small = {"tested": 5, "samples": 20} if smoke else {}
        return reproduce_distribution(
            out, DistributionSettings.of(shared | small), resume=resume, jobs=jobs, cluster=cluster
        )
    from . import figures

    experiment = Experiment.open(
        out, "{initial_state}-period-{period}", settings, resume=resume, jobs=jobs, cluster=cluster
    )
    kinds = variants(settings.initial_states)
    runs = experiment.train(kinds, settings, train, "linear cosine decay")
    metrics = [metric for metric in (ONE_STEP, FREE_RUN, EARLY) if metric.key in runs[0]["metrics"]]
    differences = compare(runs, _pairs(kinds), metrics)
    lines = [f"After {settings.epochs} epochs:", *table(runs, FACTORS, metrics), *sentences(differences, metrics)]
    histories = [[experiment.history({**kind, "seed": seed}) for seed in range(settings.seeds)] for kind in kinds]
    draws = {"figure_4": figures.sequence, "figure_5": lambda: figures.errors(kinds, histories)}
    if SAMPLED in kinds:
        draws["figure_6"] = lambda: figures.samples(experiment.model({**SAMPLED, "seed": 0}))
    return experiment.finish(runs, FACTORS, differences, [*lines, *_conclusion(kinds, runs, settings.epochs)], draws)


def variants(initial_states: Sequence[str]) -> list[Kind]:
    """Return the kinds of the paper, and then those that complete the two by two."""
    paper = [_kind(name, EVERY_STEP if name in ("zero", "free") else CONTEXT_ONLY) for name in initial_states]
    crossed = {"zero", "context"} <= set(initial_states)
    return paper + ([_kind("context", EVERY_STEP), _kind("zero", NOWHERE)] if crossed else [])


def _kind(initial_state: str, period: str) -> Kind:
    return {"initial_state": initial_state, "period": period}


def train(settings: DecaySettings, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its metrics on validation sequences; the data are drawn anew for every seed."""
    seed = config["seed"]
    training = Sequences.draw(TRAINING_PERIODS, settings.per_period, seed=2 * seed)
    validation = Sequences.draw(VALIDATION_PERIODS, settings.per_period // 2, seed=2 * seed + 1)
    torch.manual_seed(seed)
    scaling = dataclasses.asdict(Scaling.of(training))
    model = DecayModel(config["initial_state"], config["period"] == EVERY_STEP, **scaling)
    history = fit_and_save(
        model,
        loss,
        shuffled(training.x, training.period, batch_size=settings.batch_size),
        settings,
        seed=seed,
        evaluate=lambda model: {ONE_STEP.key: one_step_error(model, validation)},
        folder=folder,
    )
    metrics = {ONE_STEP.key: history[-1][ONE_STEP.key], FREE_RUN.key: free_run_error(model, validation)}
    if len(history) >= 10:
        metrics[EARLY.key] = history[9][ONE_STEP.key]
    return {"metrics": metrics}


def _pairs(kinds: list[Kind]) -> list[tuple[Kind, Kind]]:
    """Return the kinds to compare: each with h0 = 0 and the period at every step, then the two kinds of context."""
    pairs = [(kind, ZERO) for kind in kinds if kind != ZERO]
    pairs.append((_kind("context", EVERY_STEP), _kind("context", CONTEXT_ONLY)))
    return [(a, b) for a, b in pairs if a in kinds and b in kinds]


def _conclusion(kinds: list[Kind], runs: list[Row], epochs: int) -> list[str]:
    """Return two sentences that compare h0 from context, or sampled around it, with h0 = 0: early, and at the end.

    There are none without both kinds, and only the second if training ends before the early error is measured.
    """
    start = {"context": "computed from the context", "gaussian": "sampled around a function of the context"}
    ours = next((kind for kind in (_kind(name, CONTEXT_ONLY) for name in start) if kind in kinds), None)
    if ours is None or ZERO not in kinds:
        return []
    what = f"with h0 {start[ours['initial_state']]}, the one-step error on unseen periods is"
    measured = [(EARLY, 10)] * (EARLY.key in runs[0]["metrics"]) + [(ONE_STEP, epochs)]
    lines = [""]
    for metric, epoch in measured:
        row = difference(runs, ours, ZERO, metric)
        lines.append(f"At epoch {epoch}, {what} {_size(row)} with h0 = 0 and the period at every step{_evidence(row)}.")
        what = "it is"
    return lines


def _size(row: Row) -> str:
    if found(row) is False:
        return "not found to differ from that"
    if row["ratio"] >= 2:
        return f"{row['ratio']:.1f} times as high as"
    return f"{abs(1 - row['ratio']):.0%} {'lower' if row['ratio'] < 1 else 'higher'} than"


def _evidence(row: Row) -> str:
    """Return the interval of a ratio, or that there is none."""
    if found(row) is None:
        return f" ({row['seeds']} seed{'s' * (row['seeds'] != 1)}, so this is an example and no finding)"
    return f" (ratio {row['ratio']:.2g}, 95% interval {row['low']:.2g} to {row['high']:.2g}, {row['seeds']} seeds)"
