"""Training of a model of series: its tables, its loss, one run, and the choice of settings."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data.folds import fold
from ...data.series import Batch, Datasets, Record, random_windows
from ...data.table import Source
from ...errors import InputError
from ...serialization import save
from ...study.fit import DivergedError
from ...study.fit import fit as train_module
from ...study.parallel import Run
from ...study.tuning import Choice, choose
from .metrics import Scoring, errors_by_series, scores
from .model import SeriesModel
from .settings import SeriesSettings

CHOSEN_BY = "free_run_rmse"


def read_tables(train: Source, validation: Source | None, test: Source | None, settings: SeriesSettings) -> Datasets:
    """Read every table. A series must be longer than the window by two steps for training and by one step otherwise."""
    known = settings.window
    return Datasets.read(train, validation, test, settings, least_training=known + 2, least=known + 1)


@dataclasses.dataclass(frozen=True)
class Training:
    """Does one run: on a fold, whose result has validation errors, or on the whole training table."""

    data: Datasets

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics; `config` is that of `make_run`."""
        settings = SeriesSettings.from_json(config["settings"])
        training, held_out = self.data.training, self.data.validation
        if config["fold"] is None:
            held_out = []
        elif not held_out:
            training, held_out = fold(training, config["fold"], config["folds"], settings.window)
        torch.manual_seed(config["seed"])
        model = SeriesModel(settings, self.data.fields)
        model.standardise(training)
        scoring = scoring_of(model, config["scored_length"])

        def evaluate(model: SeriesModel) -> dict[str, float]:
            return scores(model.predictions, held_out, scoring)

        history = train_module(
            model,
            SquaredLoss(settings.washout),
            windows_of(training, settings),
            settings,
            seed=config["seed"],
            schedule="cosine",
            evaluate=evaluate if held_out else None,
            folder=folder,
        )
        if held_out:
            _check_finite(history[-1])
            return {"metrics": history[-1]}
        save(model, folder / "model.safetensors")
        if not self.data.test:
            return {"metrics": {}}
        metrics = scores(model.predictions, self.data.test, scoring)
        _check_finite(metrics)
        by_series = errors_by_series(model.predictions, self.data.test, scoring)
        return {"metrics": metrics, "squared_error_by_series": by_series}


@dataclasses.dataclass(frozen=True)
class SquaredLoss:
    """The mean squared error of standardised targets after the window and `washout` further steps."""

    washout: int

    def __call__(self, model: SeriesModel, batch: Batch) -> Tensor:
        """Return the loss of a minibatch."""
        inputs, targets, context, lengths = batch
        window = model.settings.window
        predicted, _ = model(inputs, targets[:, :window], context, lengths)
        error = ((predicted - targets[:, window:]) / model.target_scale).square()
        time = torch.arange(window, targets.shape[1], device=targets.device)
        counts = (time >= window + self.washout) & (time < lengths.unsqueeze(-1))
        return error[counts].mean()


def windows_of(training: Sequence[Record], settings: SeriesSettings) -> Callable[[], Any]:
    """Return what draws an epoch's minibatches of windows; raise InputError if every series is too short for one."""
    least = settings.window + settings.washout
    usable = [record for record in training if len(record) > least]
    if not usable:
        longest = max(map(len, training))
        raise InputError(
            f"the longest part to train on has {longest} steps, and window and washout take {least}, which leaves "
            "nothing to learn from; give a shorter `window` or `washout`, or fewer `folds`"
        )
    return random_windows(usable, settings.window + settings.length, settings.batch_size, settings.updates)


def scoring_of(model: SeriesModel, length: int) -> Scoring:
    """Return how predictions of a model are scored."""
    return Scoring(model.settings.window, length, model.error_scale())


def _check_finite(metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DivergedError(f"the {name} became {value}: are the targets too large, or is the learning rate?")


def make_run(
    name: str, settings: SeriesSettings, seed: int, scored_length: int, fold: int | None = None, folds: int = 0
) -> Run:
    """Return a run: on a fold, or on the whole training table where `fold` is None."""
    config = {
        "settings": settings.to_json(),
        "scored_length": scored_length,
        "seed": seed,
        "fold": fold,
        "folds": folds,
    }
    return Run(name, config, settings.epochs)


def choose_settings(
    candidates: dict[str, list[SeriesSettings]],
    data: Datasets,
    folds: int,
    out: pathlib.Path,
    *,
    resume: bool,
    jobs: int | None,
) -> dict[str, Choice[SeriesSettings]]:
    """Choose the settings of every kind on the validation table or on folds of the training table."""
    if all(len(several) == 1 for several in candidates.values()):
        return {kind: Choice(several[0], []) for kind, several in candidates.items()}
    count = 1 if data.validation else folds
    length = scored_length(candidates)
    return choose(
        candidates,
        lambda name, settings, index: make_run(name, settings, 0, length, index, count),
        Training(data),
        out,
        folds=count,
        minimise=(CHOSEN_BY,),
        average=_root_mean_square,
        resume=resume,
        jobs=jobs,
    )


def scored_length(candidates: dict[str, list[SeriesSettings]]) -> int:
    """Return the length of the windows of `window_rmse`, which is the same for all candidates."""
    return max(settings.length for several in candidates.values() for settings in several)


def _root_mean_square(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
