"""Training of a model of series: its tables, its loss, and one run."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._core.folds import can_fold
from ..._core.records import Batch, Record, own_means, random_windows, read_targets
from ..._core.settings import check_count
from ...data.parquet import is_larger
from ...data.series import Datasets, time_column
from ...data.series_scales import SeriesScales
from ...data.stored import StoredSeries
from ...data.stored_tables import read_stored, stored_in_words
from ...data.table import Source
from ...errors import InputError
from ...linear import LinearModel, Split, choose_linear
from ...scaling import mean_and_scale
from ...serialization import save
from ...study import parallel
from ...study.fit import check_finite
from ...study.fit import fit as train_module
from .metrics import Predict, Scoring, errors_by_series, free_run_rmse, mean_baseline, scores
from .model import SeriesModel
from .settings import SeriesSettings


def read_tables(train: Source, validation: Source | None, test: Source | None, settings: SeriesSettings) -> Datasets:
    """Read every table. A series must be longer than the window by two steps for training and by one step otherwise.

    With `memory`, a training table that takes more stays on the disk, and `training` has its first rows.
    """
    if settings.memory is not None and is_larger(train, len(settings.inputs + settings.targets), settings.memory):
        return _read_stored(train, validation, test, settings)
    known = settings.window
    reads = known > 0
    return Datasets.read(
        train, validation, test, settings, least_training=known + 2, least=known + 1, window=known, reads_targets=reads
    )


def _read_stored(train: Source, validation: Source | None, test: Source | None, settings: SeriesSettings) -> Datasets:
    """Leave the training table on the disk, and read its first rows and the other tables."""
    in_memory = settings.replace(memory=None)
    data = read_stored(
        train, settings, settings.window + 2, ("global",), lambda first: read_tables(first, validation, test, in_memory)
    )
    assert data.stored is not None
    rows = sum(map(len, data.training))
    note = f"{stored_in_words(data.stored)}; its errors, and its folds, are those of its first {rows} rows."
    return dataclasses.replace(data, notes=(*data.notes, note))


@dataclasses.dataclass(frozen=True)
class Training(parallel.Training):
    """Does one run: on a fold, whose result has validation errors, or on the whole training table.

    Attributes:
        scored_length: the length of the windows of `window_rmse`, which is the same for all candidates.
        keeps_linear: whether the model keeps a linear model as a baseline.
    """

    scored_length: int = 0
    keeps_linear: bool = False

    minimise = ("free_run_rmse",)

    def average(self, values: Sequence[float]) -> float:
        """Return the root mean square over folds."""
        return float(np.sqrt(np.mean(np.square(values))))

    @classmethod
    def of(
        cls, data: Datasets, candidates: Iterable[list[SeriesSettings]], folds: int, *, keeps_linear: bool = False
    ) -> Training:
        """Return the training of candidates; raise InputError if `folds` is less than 2."""
        check_count(least=2, folds=folds)
        return cls(data, folds, max(settings.length for several in candidates for settings in several), keeps_linear)

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics."""
        settings = SeriesSettings.from_json(config["settings"])
        training, held_out = self.data.split(config["fold"], self.folds, settings.window)
        torch.manual_seed(config["seed"])
        linear = None
        if self.keeps_linear and config["fold"] is None:
            linear = fit_linear(self.data, self.folds, settings)
        scales = SeriesScales.of(training) if settings.scale == "series" else None
        model = SeriesModel(settings, self.data.fields, self.data.frequency, linear, scales, self.data.coding)
        model.standardise(training)
        stored = None if held_out and not self.data.validation else self.data.stored
        if stored is not None:
            stored.standardise(model)
        check_scored(held_out, settings)
        scoring = scoring_of(model, self.scored_length)

        def evaluate(model: SeriesModel) -> dict[str, float]:
            return scores(model.predictions, held_out, scoring)

        loss = SquaredLoss(settings.washout, any(bool(record.targets.isnan().any()) for record in training))
        history = train_module(
            model,
            loss,
            windows_of(model.with_levels(training) if stored is None else stored, settings),
            settings,
            count=loss.count,
            seed=config["seed"],
            schedule="cosine",
            evaluate=evaluate if held_out else None,
            folder=folder,
        )
        if held_out:
            check_finite(history[-1])
            return {"metrics": history[-1]}
        save(model, folder / "model.safetensors")
        if not self.data.test:
            return {"metrics": {}}
        metrics = scores(model.predictions, self.data.test, scoring)
        check_finite(metrics)
        by_series = errors_by_series(model.predictions, self.data.test, scoring)
        return {"metrics": metrics, "squared_error_by_series": by_series}


@dataclasses.dataclass(frozen=True)
class SquaredLoss:
    """The mean squared error of standardised targets after the window and `washout` further steps.

    Attributes:
        washout: the steps after the window that are left out.
        sparse: whether targets may be missing; these are left out, too.
    """

    washout: int
    sparse: bool = False

    def __call__(self, model: SeriesModel, batch: Batch) -> Tensor:
        """Return the loss of a minibatch; 0 if none of its targets is known."""
        inputs, targets, context, lengths = batch[:4]
        window = model.settings.window
        predicted, state = model(inputs, read_targets(batch)[:, :window], context, lengths)
        known = ~targets[:, window:].isnan() if self.sparse else None
        measured = targets[:, window:] if known is None else torch.where(known, targets[:, window:], 0)
        error = ((predicted - measured) / model.scale_of(state)).square()
        if known is None and not self.washout and bool((lengths == targets.shape[1]).all()):
            return error.mean()
        counts = self._counts(window, targets, lengths)
        if known is None:
            return error[counts].mean()
        chosen = counts.unsqueeze(2) & known
        return error.where(chosen, 0).sum() / chosen.sum().clamp(min=1)

    def count(self, model: SeriesModel, batch: Batch) -> float:
        """Return the number of targets of a minibatch whose mean the loss is."""
        targets, window = batch[1], model.settings.window
        chosen = self._counts(window, targets, batch[3]).unsqueeze(2).expand(-1, -1, targets.shape[2])
        return float((chosen & ~targets[:, window:].isnan() if self.sparse else chosen).sum())

    def _counts(self, window: int, targets: Tensor, lengths: Tensor) -> Tensor:
        """Return which steps after the window count, (B, T - window)."""
        time = torch.arange(window, targets.shape[1], device=targets.device)
        return (time >= window + self.washout) & (time < lengths.unsqueeze(-1))


def check_scored(held_out: Sequence[Record], settings: SeriesSettings) -> None:
    """Raise InputError if there are held-out series, and none has a measured target to score."""
    if held_out and all(bool(record.targets[settings.window :].isnan().all()) for record in held_out):
        raise InputError(
            "a held-out fold has no measured targets to score; give fewer `folds`, or a `validation` table"
        )


def windows_of(training: Sequence[Record] | StoredSeries, settings: SeriesSettings) -> Callable[[], Any]:
    """Return what draws an epoch's minibatches of windows; raise InputError if every series is too short for one."""
    least = settings.window + settings.washout
    if isinstance(training, StoredSeries):
        steps = settings.window + settings.length
        return training.random_windows(steps, settings.batch_size, settings.updates, least + 1)
    usable = [record for record in training if len(record) > least]
    if not usable:
        longest = max(map(len, training))
        raise InputError(
            f"the longest part to train on has {longest} steps, and window and washout take {least}, which leaves "
            "nothing to learn from; give a shorter `window` or `washout`, or fewer `folds`"
        )
    return random_windows(usable, settings.window + settings.length, settings.batch_size, settings.updates)


def length_in_words(training: Sequence[Record], candidates: Iterable[SeriesSettings]) -> list[str]:
    """Return a sentence if a `length` that is not the default exceeds every training series."""
    found = list(candidates)
    most = max(len(record) - found[0].window for record in training)
    long = [one.length for one in found if one.length > most and one.length != SeriesSettings.length]
    if not long:
        return []
    return [
        f"`length` is {max(long)}, but no training series has more than {most} steps after the window, so windows of "
        "whole series are used."
    ]


def baselines(model: SeriesModel, data: Datasets, folds: int) -> dict[str, Predict]:
    """Return the baselines by their names: those of `SeriesModel.baselines`, and a linear model.

    With times, the mean of a series that is in the training table, too, is its own. Without, a test series of the same
    name may be another run, so that the mean is that of the training table.

    Args:
        model: gives the window.
        data: the tables.
        folds: of the training table; see `fit_linear`.
    """
    same = time_column(model.settings) is not None or not data.test
    own = own_means(data.training) if same else None
    mean = mean_baseline(model.target_mean.cpu(), model.settings.window, own)
    found = {**model.baselines(), "mean": mean}
    return found if model.linear else {**found, "linear": fit_linear(data, folds, model.settings).predictions}


def baseline_scores(data: Datasets, model: SeriesModel, folds: int, length: int) -> dict[str, dict[str, float]]:
    """Return the metrics of the baselines on the test table, or else on the training table, by their names.

    Args:
        data: the tables.
        model: gives the window and the unit of errors.
        folds: of the training table.
        length: of the windows of `window_rmse`.
    """
    scoring = scoring_of(model, length)
    return {
        name: scores(predict, data.test or data.training, scoring)
        for name, predict in baselines(model, data, folds).items()
    }


def fit_linear(data: Datasets, folds: int, settings: SeriesSettings) -> LinearModel:
    """Return a linear model of the training series.

    Its orders are chosen where settings are chosen: on the validation table, or on folds of the training table; on the
    whole training table if it is too small for folds.

    Args:
        data: the tables.
        folds: of the training table.
        settings: of the model: the window and the columns.
    """
    window = settings.window
    splits: Iterable[Split] = [(data.training, data.validation or data.training)]
    if not data.validation and can_fold(data.training, folds, window):
        splits = (data.split(index, folds, window) for index in range(folds))
    scoring = Scoring(window, 1, mean_and_scale(torch.cat([record.targets for record in data.training]))[1])
    return choose_linear(
        data.training,
        splits,
        window,
        lambda model, records: free_run_rmse(model.predictions, records, scoring) or 0.0,
        data.coding.counts(settings.inputs),
    )


def scoring_of(model: SeriesModel, length: int) -> Scoring:
    """Return how predictions of a model are scored."""
    return Scoring(model.settings.window, length, model.error_scale())
