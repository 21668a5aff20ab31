"""What a model of series is for: to simulate targets from inputs, or to generate them where there are no inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...data.series import Columns
from ...errors import InputError
from ..generation.model import (
    GeneratorConfig,
    SeriesGenerator,
    generator_loss,
    negative_log_likelihoods,
    ranked_scores,
    shuffled_series,
)
from .model import SeriesConfig, SeriesModel
from .train import Record, errors, random_windows, squared_errors, squared_loss


@dataclasses.dataclass(frozen=True)
class SeriesTraining:
    """How a model of series is trained.

    Attributes:
        length: steps of a training window after the known ones; a generator is trained on whole series.
        scored_length: those of the windows of `window_rmse`, the same for all that are compared.
        batch_size: windows, or series, in a batch.
        updates: batches in an epoch; a generator's epoch is one pass over its series.
        epochs: how many; the learning rate falls over them by a cosine, to nothing.
        learning_rate: of Adam, in the first epoch.
        washout: further steps after the window that are left out of the training loss.
        clip: the greatest norm of the gradient.
        weight_decay: of AdamW.
        accelerator: cpu, cuda, or auto.
    """

    length: int = 128
    scored_length: int = 128
    batch_size: int = 32
    updates: int = 50
    epochs: int = 40
    learning_rate: float = 0.01
    washout: int = 0
    clip: float = 1.0
    weight_decay: float = 0.1
    accelerator: str = "cpu"


@dataclasses.dataclass(frozen=True)
class Learning:
    """What `fit` trains: a model, its loss, and what gives an epoch's batches."""

    model: nn.Module
    loss: Callable[[Any, Any], Tensor]
    batches: Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What differs between simulating and generating.

    Attributes:
        config: the class of the model's configuration.
        metrics: of a model on held-out series, the first that which others are ranked by.
        chosen_by: the metric by which settings are chosen.
        unit: that metric's, in words.
        average: of that metric over folds.
        start: `start(config, training, records)` is what to train.
        watch: `watch(model, records, training)` is what is computed on held-out series after each epoch.
        score: `score(model, records, training)` is the metrics.
        by_series: `by_series(model, records)` is what is bootstrapped over, a number for every series.
        by_series_name: its name in a run's results.
    """

    config: type[SeriesConfig] | type[GeneratorConfig]
    metrics: tuple[str, ...]
    chosen_by: str
    unit: str
    average: Callable[[Sequence[float]], float]
    start: Callable[[Any, SeriesTraining, Sequence[Record]], Learning]
    watch: Callable[[Any, Sequence[Record], SeriesTraining], dict[str, float]]
    score: Callable[[Any, Sequence[Record], SeriesTraining], dict[str, float]]
    by_series: Callable[[Any, Sequence[Record]], list[float]]
    by_series_name: str


def _simulator(config: SeriesConfig, training: SeriesTraining, records: Sequence[Record]) -> Learning:
    first = records[0]
    model = SeriesModel(config, first.inputs.shape[1], first.targets.shape[1], len(first.context))
    model.standardise(torch.cat([r.inputs for r in records]), torch.cat([r.targets for r in records]))
    least = config.window + training.washout
    usable = [record for record in records if len(record) > least]
    if not usable:
        longest = max(map(len, records))
        raise InputError(
            f"the longest stretch to train on has {longest} steps, and the window and washout take {least}: nothing is "
            "left to learn from; give a shorter --window or --washout, or fewer folds"
        )
    steps = config.window + training.length
    windows = random_windows(usable, steps, training.batch_size, training.updates)
    return Learning(model, squared_loss(training.washout), windows)


def _generator(config: GeneratorConfig, training: SeriesTraining, records: Sequence[Record]) -> Learning:
    model = SeriesGenerator(config, records[0].targets.shape[1], len(records[0].context))
    model.standardise(torch.cat([record.targets for record in records]))
    return Learning(model, generator_loss, shuffled_series(records, training.batch_size))


def _simulation_errors(model: SeriesModel, records: Sequence[Record], training: SeriesTraining) -> dict[str, float]:
    return errors(model, records, training.scored_length)


def _squared_errors(model: SeriesModel, records: Sequence[Record]) -> list[float]:
    return [float(error.mean()) for error in squared_errors(model, records)]


def _nats(model: SeriesGenerator, records: Sequence[Record], training: SeriesTraining) -> dict[str, float]:
    return {"nats_per_step": float(negative_log_likelihoods(model, records).mean())}


def _generation_scores(model: SeriesGenerator, records: Sequence[Record], training: SeriesTraining) -> dict[str, float]:
    return {**_nats(model, records, training), "crps": float(ranked_scores(model, records).mean())}


def _likelihoods(model: SeriesGenerator, records: Sequence[Record]) -> list[float]:
    return negative_log_likelihoods(model, records).tolist()


def _root_mean_square(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


SIMULATE = Purpose(
    SeriesConfig,
    ("free_run_rmse", "first_20_rmse", "window_rmse"),
    "free_run_rmse",
    "of the free run in the target's unit",
    _root_mean_square,
    _simulator,
    _simulation_errors,
    _simulation_errors,
    _squared_errors,
    "squared_error_by_series",
)
GENERATE = Purpose(
    GeneratorConfig,
    ("nats_per_step", "crps"),
    "nats_per_step",
    "by the negative log likelihood of a step, nats",
    _mean,
    _generator,
    _nats,
    _generation_scores,
    _likelihoods,
    "nats_by_series",
)


def purpose_of(columns: Columns) -> Purpose:
    """Return what a table with such columns is for."""
    return SIMULATE if columns.inputs else GENERATE
