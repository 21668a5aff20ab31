"""`fit forecast` and `forecast`: train one model that forecasts, and forecast what comes after a table."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import torch

from ...data.series import Columns, Series, read_series
from ...data.table import free_name, write_table
from ...errors import InputError
from ...serialization import load
from ...study.parallel import run_all
from ...study.run_folder import RunFolder, write_json
from ..series.data import read_columns
from ..series.runs import SeriesFiles, fingerprints
from ..series.train import Record
from .model import ForecastConfig, ForecastModel, forecasts
from .train import ForecastData, ForecastTraining, job, train, unit_in_words


def fit_forecast(
    model: ForecastConfig, training: ForecastTraining, files: SeriesFiles, *, seed: int, out: pathlib.Path, resume: bool
) -> str:
    """Train a model, its epoch chosen on validation, and return what was done in words.

    The run folder then holds `model.safetensors` and `columns.json`, for `forecast`, and `results.json`.
    """
    ForecastData.read(files, model)
    settings = {
        "model": dataclasses.asdict(model),
        "training": dataclasses.asdict(training),
        "files": dataclasses.asdict(files),
        "sha256": fingerprints(files),
        "seed": seed,
    }
    folder = RunFolder.open(out, settings, resume=resume)
    (result,) = run_all([job("final", model, training, files, seed)], train, out, resume=resume, title="training")
    for name in ("model.safetensors", "columns.json"):
        folder.copy(out / "final" / name)
    write_json(folder.results_path, result)
    metrics = result["metrics"]
    validation, unit = f"{metrics['validation_rmse']:.4g}", unit_in_words(files.columns)
    words = [f"The validation RMSE is {validation}, in {unit}, after epoch {metrics['epoch']}, the best."]
    if files.test:
        whole, last = (f"{metrics[name]:.4g}" for name in ("rmse", "last_step_rmse"))
        words.append(f"On the test table it is {whole} over the horizon, and {last} at its last step.")
    return "\n".join([*words, f"The model is {folder.model_path}."])


def forecast(run: pathlib.Path, past: str, out: str, future: str | None) -> str:
    """Forecast the steps that follow every series of a table, write them to `out`, and return what was done in words.

    Args:
        run: the run folder of `fit forecast`, or of one run of `compare forecast`.
        past: a table of series, their targets known; the last steps of each are read.
        out: the table to write: series, step (1 is the first after the past), and a column for every target.
        future: a table with the inputs of the steps to forecast, for models with inputs.

    Raises:
        InputError: a table is wrong or missing, or a series has too few steps in one of them.
    """
    model = load(run / "model.safetensors", ForecastModel)
    _check_files(model, past, out, future)
    columns, context = read_columns(run)
    series = read_series(past, columns, min_length=model.settings.past)
    to_come = _inputs_to_come(model, series, columns, future)
    stretches = []
    for one, inputs in zip(series, to_come, strict=True):
        known = slice(len(one) - model.settings.past, None)
        empty = np.full((model.settings.horizon, one.targets.shape[1]), np.nan, np.float32)
        joined = np.concatenate([one.inputs[known], inputs]), np.concatenate([one.targets[known], empty])
        vector = context.vector(one.name, one.context)
        stretches.append(Record(one.name, *(torch.from_numpy(part) for part in (*joined, vector))))
    found = np.concatenate([np.asarray(values) for values in forecasts(model, stretches)])
    names = [one.name for one in series for _ in range(model.settings.horizon)]
    steps = np.tile(np.arange(1, model.settings.horizon + 1), len(series))
    series_column = free_name(columns.series or "series", columns.targets)
    write_table(
        out,
        {
            series_column: names,
            free_name("step", (*columns.targets, series_column)): steps,
            **{target: found[:, place] for place, target in enumerate(columns.targets)},
        },
    )
    return f"{model.settings.horizon} steps after each of {len(series)} series were written to {out}."


def _check_files(model: ForecastModel, past: str, out: str, future: str | None) -> None:
    if model.sizes["inputs"] and future is None:
        raise InputError("the model has inputs, which must be known of the steps to forecast too: give --future")
    if not model.sizes["inputs"] and future is not None:
        raise InputError("the model has no inputs, so that nothing is read from --future; leave it out")
    if pathlib.Path(out).resolve() in {pathlib.Path(path).resolve() for path in (past, future) if path}:
        raise InputError(f"--out {out} is one of the tables that are read; give another name, to lose nothing")
    if not pathlib.Path(out).parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {pathlib.Path(out).parent}")


def _inputs_to_come(
    model: ForecastModel, series: list[Series], columns: Columns, future: str | None
) -> list[np.ndarray]:
    horizon = model.settings.horizon
    if future is None:
        return [np.zeros((horizon, 0), np.float32) for _ in series]
    columns = Columns(columns.inputs, columns.targets, (), columns.series)
    known = read_series(future, columns, known_targets=0, min_length=horizon)
    if columns.series is None:
        return [known[0].inputs[:horizon]]
    by_name = {one.name: one.inputs[:horizon] for one in known}
    missing = [one.name for one in series if one.name not in by_name]
    if missing:
        raise InputError(f"{future} has no series {missing[0]!r}, whose inputs are needed")
    return [by_name[one.name] for one in series]
