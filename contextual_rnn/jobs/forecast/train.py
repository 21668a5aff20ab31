"""Training of a model that forecasts series: its tables, one run, and `fit`."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..._core.checkpoint import best_epoch
from ..._core.records import Batch, Record, random_windows
from ..._core.settings import takes_settings
from ...data.parquet import is_larger
from ...data.scaled_errors import squares_by_series
from ...data.series import Datasets, inputs_of
from ...data.table import Source
from ...seq2seq import ScheduledSampling, make_feeding
from ...serialization import save
from ...study import parallel
from ...study.fit import fit as train_module
from ...study.report import fit_one
from ...study.run_folder import make_folder
from .base import with_bases
from .baselines import fit_linear, names_of, scaled, scales_of
from .metrics import errors_of, rmse, rmse_by_step, scaled_rmse, scores
from .model import ForecastModel
from .quantiles import fit_quantiles
from .refit import REFIT, check_refit, refit
from .report import errors_on, figures, report
from .scale import with_scale
from .settings import ForecastSettings
from .stored import read_from_disk, windows_on_disk
from .windows import cut_windows, held_out_in_words, hold_out_ends, not_validated_in_words, padded

MINIMISED = "scaled_validation_rmse"  # the weights of the epoch with the lowest one are kept


def read_tables(train: Source, validation: Source | None, test: Source | None, settings: ForecastSettings) -> Datasets:
    """Read every table: series to train on, of `past` + 1 steps or more, and windows to validate on and to test on.

    Without a validation table, the ends of the training series are held out.
    """
    check_refit(settings, validation)
    if settings.memory is not None and is_larger(train, len(inputs_of(settings) + settings.targets), settings.memory):
        data = read_from_disk(train, settings, validation is None, functools.partial(_read, validation, test))
        return _cut(data, data.training, data.validation, settings)
    size = settings.past + settings.horizon
    data = _read(validation, test, train, settings)
    training, held_out, notes = data.training, data.validation, data.notes
    if validation is None:
        training, held_out = hold_out_ends(training, size)
        notes += (held_out_in_words(size),)
        notes += tuple(not_validated_in_words(names_of(data.training), list(map(len, data.training)), size))
    data = dataclasses.replace(data, whole=tuple(data.training), notes=notes)
    return _cut(data, training, held_out, settings)


def _read(validation: Source | None, test: Source | None, train: Source, settings: ForecastSettings) -> Datasets:
    """Read every table, of whole series."""
    size = settings.past + settings.horizon
    return Datasets.read(train, validation, test, settings, least_training=settings.past + 1, least=size)


def _cut(data: Datasets, training: list[Record], held_out: list[Record], settings: ForecastSettings) -> Datasets:
    """Return data with series to train on, and windows to validate on and to test on."""
    return dataclasses.replace(
        data,
        training=training,
        validation=cut_windows(held_out, settings),
        test=cut_windows(data.test, settings, settings.stride),
        held_out=tuple(held_out),
    )


@dataclasses.dataclass(frozen=True)
class Training(parallel.Training):
    """Does one run."""

    minimise = (MINIMISED,)

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model; return its metrics, and its test errors by series and by step of the horizon."""
        settings, seed, data = ForecastSettings.from_json(config["settings"]), config["seed"], self.data
        torch.manual_seed(seed)
        scales = scales_of(settings, data)
        model = ForecastModel(settings, data.fields, data.frequency, True, scales, data.coding)
        data.standardise(model)
        model.linear = fit_linear(model, data)
        untrained = copy.deepcopy(model.state_dict())

        def train(data: Datasets, folder: pathlib.Path, **further: Any) -> list[dict[str, Any]]:
            feeding = make_feeding(settings.feeding, settings.sampling, settings.epochs * settings.updates, seed)
            return train_module(
                model,
                ForecastLoss(feeding),
                _windows_of(model, data),
                settings,
                seed=seed,
                schedule="cosine",
                count=lambda _, batch: float((~batch[1][:, settings.past :].isnan()).sum()),
                folder=folder,
                **further,
            )

        def evaluate(model: ForecastModel) -> dict[str, float]:
            errors = errors_of(model.forecasts, data.validation, model)
            return {"validation_rmse": rmse(errors), MINIMISED: scaled_rmse(errors, data.validation, model)}

        history = train(data, folder, evaluate=evaluate, minimise=self.minimise)
        best = history[best_epoch(history, self.minimise) - 1]
        if settings.base == "linear":
            best = _best_with_linear(model, best, evaluate)
        if settings.quantiles:
            fit_quantiles(model, data.held_out)
        before: dict[str, Any] = {}
        if settings.refit and config["fold"] is None:
            tables = {"training": cut_windows(data.training, settings), "validation": data.validation}
            before["before_refit"] = errors_on(tables, model, data)
            make_folder(folder / REFIT)
            refit(model, untrained, data, best["epoch"], functools.partial(train, folder=folder / REFIT))
        save(model, folder / "model.safetensors")
        metrics = {name: best[name] for name in ("validation_rmse", MINIMISED, "epoch")}
        if not data.test or config["fold"] is not None:  # a trial does not read the test table
            return {"metrics": metrics, **before}
        errors = errors_of(model.forecasts, data.test, model)
        return {
            "metrics": {**scores(errors), **metrics, **scaled({"it": errors}, data.test, model, data).means("it")},
            "squared_error_by_series": squares_by_series(errors, names_of(data.test)),
            "rmse_by_step": rmse_by_step(errors),
            **before,
        }


def _windows_of(model: ForecastModel, data: Datasets) -> Callable[[], Any]:
    """Return what draws an epoch's minibatches of windows."""
    settings = model.settings
    if data.stored is not None:
        return windows_on_disk(data.stored, settings)
    size, series = settings.past + settings.horizon, model.with_levels(padded(data.training, settings))
    return random_windows(series, size, settings.batch_size, settings.updates)


def _best_with_linear(
    model: ForecastModel, best: dict[str, Any], evaluate: Callable[[ForecastModel], dict[str, float]]
) -> dict[str, Any]:
    """Return the metrics of the best epoch; if the linear model alone is better, let the decoder add nothing to it."""
    model.eval()
    kept = copy.deepcopy(model.pairs.decoder.output.state_dict())
    with torch.no_grad():
        model.add_nothing()
        found = {**evaluate(model), "epoch": 0}
        if found[MINIMISED] <= best[MINIMISED]:
            return found
        model.pairs.decoder.output.load_state_dict(kept)
    return best


@dataclasses.dataclass(frozen=True)
class ForecastLoss:
    """The loss of a minibatch of windows. The model counts the training steps, so that training resumes exactly."""

    feeding: ScheduledSampling | None

    def __call__(self, model: ForecastModel, batch: Batch) -> Tensor:
        """Return the loss, and count the step."""
        loss = model.loss(batch, self.feeding)
        model.updates.add_(1)
        return loss


@takes_settings(ForecastSettings)
def fit(
    train: Source,
    *,
    validation: Source | None = None,
    test: Source | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int = 1,
    nodes: int = 1,
    **options: Any,
) -> ForecastModel:
    """Train an encoder and decoder to forecast series.

    The weights of the epoch with the lowest validation error are kept. Without `base`, a model is trained with each
    base, and the one with the lowest validation error is trained again, on the same rows. With `refit`, the chosen
    model is then trained on all rows of the training table.

    Args:
        train: Training table with one row per time step, in order: a CSV, TSV or Parquet file; in Python, also a data
            frame.
        validation: Table to choose the epoch on; by default, the end of each training series that is long enough: a
            fifth, and at least `past` + `horizon` steps.
        test: Table to report errors on; nothing is chosen on it.
        seed: Random seed of the weights, the windows and scheduled sampling.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run.
        jobs: Number of processes that try settings side by side; by default, one per processor.
        devices: Number of processes per machine that train the model together, each on a processor or a GPU of its own.
        nodes: Number of machines; start the command on each with torchrun or srun.

    Returns:
        The trained model; `model.report` shows its errors.

    Raises:
        InputError: if a table or a setting is invalid.

    Example:
        contextual-rnn fit forecast --train load.csv --targets mw --inputs temperature --past 168 --horizon 24 --out run
    """
    settings = ForecastSettings.of(options)
    data = read_tables(train, validation, test, settings)
    candidates = with_bases(with_scale(settings, data.training, data.levels_differ), data.frequency)
    return fit_one(
        Training(data),
        candidates,
        functools.partial(report, data, settings),
        functools.partial(figures, data),
        seed=seed,
        out=out,
        resume=resume,
        jobs=jobs,
        devices=devices,
        nodes=nodes,
    )
