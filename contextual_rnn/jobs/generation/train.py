"""Training of a model that generates series: one run, and `fit`."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..._core.checkpoint import best_epoch
from ..._core.counted import counted
from ..._core.records import Batch, Record, shuffled
from ..._core.settings import check_count, takes_settings
from ...cores import IN_WORDS
from ...data.series import Datasets
from ...data.table import Source
from ...errors import InputError
from ...serialization import save
from ...study import parallel
from ...study.differences import worse_than_baselines
from ...study.fit import check_finite
from ...study.fit import fit as train_module
from ...study.report import FitReport, epoch_in_words, fit_one
from .baselines import baselines
from .likeness import unlike_training
from .metrics import BY_SERIES, LIKELIHOOD, METRICS, known_steps, scores
from .model import SeriesGenerator
from .scale import scale_in_words, scaled_steps, with_scale
from .settings import GenerationSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FEWEST = 10  # training series of which some are held out
MOST = 1000  # held-out series
VALIDATED = "validation_nats_per_step"


@dataclasses.dataclass(frozen=True)
class Training(parallel.Training):
    """Does one run: on a fold of whole series, whose result has validation metrics, or on the whole training table."""

    minimise = (LIKELIHOOD.key,)

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics."""
        settings = GenerationSettings.from_json(config["settings"])
        training, held_out = hold_out(self.data)
        if config["fold"] is not None:
            training, held_out = self.data.split(config["fold"], self.folds, whole=True)
        check_joint([*training, *held_out, *self.data.test])
        torch.manual_seed(config["seed"])
        steps = scaled_steps(training) if settings.scale == "step" else 0
        model = SeriesGenerator(settings, self.data.fields, steps, self.data.coding)
        model.standardise(training)

        def evaluate(model: SeriesGenerator) -> dict[str, float]:
            return scores(model, held_out, [LIKELIHOOD])

        history = train_module(
            model,
            sequence_loss,
            shuffled(training, settings.batch_size, settings.least_updates),
            settings,
            seed=config["seed"],
            schedule="cosine",
            count=lambda _, batch: float(known_steps(*batch[1:]).sum()),
            evaluate=evaluate if held_out else None,
            minimise=self.minimise if held_out else None,
            folder=folder,
        )
        best: dict[str, Any] = {}
        if held_out:
            found = history[best_epoch(history, self.minimise) - 1]
            check_finite(found)
            if config["fold"] is not None:  # a trial does not read the test table
                return {"metrics": found}
            best = {VALIDATED: found[LIKELIHOOD.key], "epoch": found["epoch"]}
        save(model, folder / "model.safetensors")
        if not self.data.test:
            return {"metrics": best}
        by_series = {metric.key: metric.compute(model, self.data.test) for metric in METRICS}
        metrics = {key: float(values.mean()) for key, values in by_series.items()}
        check_finite(metrics)
        return {"metrics": {**metrics, **best}, BY_SERIES.values: by_series[LIKELIHOOD.key].tolist()}


def hold_out(data: Datasets) -> tuple[list[Record], list[Record]]:
    """Return the series to train on, and those on which the epoch is chosen.

    These are those of the validation table; without one, every fifth training series, but at most 1,000 of them, and
    none of fewer than 10.
    """
    if data.validation or len(data.training) < FEWEST:
        return data.training, data.validation
    step = _every(data.training)
    rest = [record for place, record in enumerate(data.training) if place % step != step - 1]
    return rest, data.training[step - 1 :: step]


def _every(training: Sequence[Record]) -> int:
    """Return the distance between two series that are held out."""
    return max(5, len(training) // MOST)


def check_joint(records: Sequence[Record]) -> None:
    """Raise InputError if a series has no step at which all targets are known."""
    for record in records:
        if bool(record.targets.isnan().any(1).all()):
            raise InputError(f"series {record.name!r} has no step at which all targets are known; leave it out")


def sequence_loss(model: SeriesGenerator, batch: Batch) -> Tensor:
    """Return the mean negative log-likelihood per known step of a minibatch, in nats."""
    _, *read = batch
    return model.losses(*read).sum() / known_steps(*read).sum().clamp(min=1)


@takes_settings(GenerationSettings)
def fit(
    train: Source,
    *,
    validation: Source | None = None,
    test: Source | None = None,
    folds: int = 4,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int = 1,
    nodes: int = 1,
    **options: Any,
) -> SeriesGenerator:
    """Train a model to generate series from their context.

    Args:
        train: Training table with one row per time step, in order: a CSV, TSV or Parquet file; in Python, also a data
            frame.
        validation: Table to choose settings on, instead of folds of the training table.
        test: Table to report metrics on; nothing is chosen on it.
        folds: Number of folds of the training series, at least 2; used if a setting has several values.
        seed: Random seed of the weights, the minibatches and the noise.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run.
        jobs: Number of processes that try settings side by side; by default, one per processor.
        devices: Number of processes per machine that train the model together, each on a processor or a GPU of its own.
        nodes: Number of machines; start the command on each with torchrun or srun.

    Returns:
        The trained model; `model.report` shows its metrics.

    Raises:
        InputError: if a table or a setting is invalid.

    Example:
        contextual-rnn fit generation --train a.csv --targets y --context digit --labels digit --series id --out run
    """
    check_count(least=2, folds=folds)
    candidates = GenerationSettings.candidates(options)
    data = Datasets.read(train, validation, test, candidates[0])
    report = functools.partial(_report, data, candidates[0].scale)
    candidates = [with_scale(one, data.training) for one in candidates]
    figures = functools.partial(_figures, (data.test or data.training)[0])
    model = fit_one(
        Training(data, folds),
        candidates,
        report,
        figures,
        seed=seed,
        out=out,
        resume=resume,
        jobs=jobs,
        devices=devices,
        nodes=nodes,
    )
    model.backend = data.backend
    return model


def _report(
    data: Datasets, given: str | None, model: SeriesGenerator, result: dict[str, Any], history: list[dict[str, Any]]
) -> FitReport:
    """Return the report. The CRPS, which takes many samples, is computed on the test table only."""
    settings, metrics = model.settings, METRICS if data.test else (LIKELIHOOD,)
    training, held_out = hold_out(data)
    whole = data.validation or not held_out
    names = ("training table", "validation table") if whole else ("training series", "held-out series")
    tables = dict(zip((*names, "test table"), (training, held_out, data.test), strict=True))
    tables = {name: records for name, records in tables.items() if records}
    last = list(tables)[-1]
    rows = {name: scores(model, records, [LIKELIHOOD]) for name, records in tables.items() if name != "test table"}
    if data.test:
        rows["test table"] = {metric.key: result["metrics"][metric.key] for metric in metrics}
    found = {name: scores(one, tables[last], metrics) for name, one in baselines(training).items()}
    loss = rows[last][LIKELIHOOD.key]
    rows |= {f"{name}, {last}": values for name, values in found.items()}
    sentences = [
        f"Trained {IN_WORDS[settings.cell]} of {counted(settings.hidden, 'unit')}, with initial state "
        f"{settings.kind.name!r}, on {len(training)} series for {counted(settings.epochs, 'epoch')}.",
        _epoch(result["metrics"].get("epoch", len(history)), len(history), data, held_out),
        *data.remarks,
        scale_in_words(settings, given),
        "Lower is better.",
        *worse_than_baselines(f"On the {last}, the model", loss, found, LIKELIHOOD),
        *unlike_training(model, data.training),
    ]
    return FitReport(sentences, metrics, rows)


def _epoch(epoch: int, epochs: int, data: Datasets, held_out: Sequence[Record]) -> str:
    """Return a sentence that says which epoch the weights are of."""
    if not held_out:
        return f"The weights are those of the last epoch, since fewer than {FEWEST} series leave none to choose it on."
    step = _every(data.training)
    which = (
        "the validation table"
        if data.validation
        else f"the {len(held_out)} held-out series (one in {step} of the training table)"
    )
    return epoch_in_words(epoch, epochs, f"the lowest error on {which}")


def _figures(record: Record, model: SeriesGenerator) -> dict[str, Callable[[], Figure]]:
    from .figures import plot_bands

    return {"bands": lambda: plot_bands({model.settings.kind.name: model}, record)}
