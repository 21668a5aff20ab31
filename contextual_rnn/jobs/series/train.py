"""Training of a model of series: its tables, one run, and `fit`."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data.datasets import Datasets
from ...data.folds import fold
from ...data.scaling import error_unit
from ...data.series import Batch, Record, random_windows
from ...data.table import Source
from ...errors import InputError
from ...serialization import load, save
from ...study.comparison import run_directory
from ...study.fit import DivergedError
from ...study.fit import fit as train_module
from ...study.parallel import Run, one_thread, run_all
from ...study.report import FitReport
from ...study.run_folder import RunFolder, read_lines, write_json
from ...study.settings import check_count, check_seed, takes_settings
from ...study.tuning import Choice, choose
from .metrics import METRICS, Predict, Scoring, errors_by_series, mean_baseline, persistence, scores
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


@takes_settings(SeriesSettings)
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
    **options: Any,
) -> SeriesModel:
    """Train a model that simulates the targets of series from their inputs.

    Args:
        train: Training table: a file or a data frame with one row per time step, in order.
        validation: Table to choose settings on, instead of folds of the training table.
        test: Table to report errors on; nothing is chosen on it.
        folds: Number of folds of the training table, at least 2; used if a setting has several values.
        seed: Seed of weights, windows and noise.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run.
        jobs: Number of processes; by default, one per processor.

    Returns:
        The trained model; `model.report` shows its errors.

    Raises:
        InputError: a table or a setting is wrong; says what and where.

    Example:
        contextual-rnn fit series --train train.csv --inputs u --targets y --window 5 --out runs/tank
    """
    check_seed(seed)
    check_count(least=2, folds=folds)
    check_count(**({} if jobs is None else {"jobs": jobs}))
    candidates = {"model": SeriesSettings.candidates(options)}
    data = read_tables(train, validation, test, candidates["model"][0])
    config = {
        "candidates": [settings.to_json() for settings in candidates["model"]],
        **data.identity,
        "folds": folds,
        "seed": seed,
    }
    with run_directory(out) as path:
        folder = RunFolder.open(path, config, resume=resume)
        choice = choose_settings(candidates, data, folds, path / "tuning", resume=resume, jobs=jobs)["model"]
        run = make_run("final", choice.settings, seed, scored_length(candidates))
        (result,) = run_all([run], Training(data), path, resume=resume, title="training", jobs=jobs)
        folder.copy(path / "final" / "model.safetensors")
        model: SeriesModel = load(folder.model_path, SeriesModel)
        with one_thread():
            model.report = _report(model, data, choice, result, read_lines(path / "final" / "metrics.jsonl"))
            if out is not None:
                model.report.out = path
                _write(folder, model, data)
    return model


def _report(
    model: SeriesModel,
    data: Datasets,
    choice: Choice[SeriesSettings],
    result: dict[str, Any],
    history: list[dict[str, Any]],
) -> FitReport:
    settings = model.settings
    scoring = scoring_of(model, settings.length)
    rows = {"training table": scores(model.predictions, data.training, scoring)}
    if data.test:
        rows["test table"] = result["metrics"]
    rows |= {f"{name}, {'test' if data.test else 'training'} table": values for name, values in _baselines(model, data)}
    chosen = choice.in_words()
    sentences = [
        f"Trained a {settings.cell} of {settings.hidden} units from the initial state {settings.kind.name!r} on "
        f"{len(data.training)} series for {settings.epochs} epochs.",
        *([f"Chosen on {'the validation table' if data.validation else 'folds'}: {chosen}."] if chosen else []),
        f"Errors are in {error_unit(settings.targets)}.",
    ]
    return FitReport(sentences, METRICS, rows, history, choice.validation)


def _baselines(model: SeriesModel, data: Datasets) -> list[tuple[str, dict[str, float]]]:
    """Return the errors of baselines that need no training, on the test table or else on the training table."""
    scoring, window = scoring_of(model, model.settings.length), model.settings.window
    baselines: list[tuple[str, Predict]] = [("mean", mean_baseline(model.target_mean.cpu(), window))]
    if window:
        baselines.append(("persistence", persistence(window)))
    return [(name, scores(predict, data.test or data.training, scoring)) for name, predict in baselines]


def _write(folder: RunFolder, model: SeriesModel, data: Datasets) -> None:
    from ...study.figures import write_figure
    from .figures import plot_prediction

    assert model.report is not None
    write_json(
        folder.results_path,
        {
            "settings": model.settings.to_json(),
            "metrics": model.report.rows.get("test table", {}),
            "errors": model.report.rows,
            "validation": model.report.validation,
        },
    )
    shown = (data.test or data.training)[0]
    write_figure(plot_prediction({model.settings.kind.name: model}, shown), folder.figures, "prediction")
    write_figure(model.report.plot_history(), folder.figures, "history")
