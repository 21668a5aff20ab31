"""Forecasts of the steps that follow the series of a table, as a data frame or a file."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...data.files import check_files
from ...data.frame import make_frame
from ...data.series import Columns, Record, Series, context_vectors, read_series
from ...data.table import Source, Table, free_name, write_table
from ...errors import InputError
from ...serialization import load
from .model import ForecastModel
from .settings import ForecastSettings


def forecast(model: ForecastModel, past: Source, future: Source | None = None) -> Any:
    """Forecast the steps that follow every series of a table; see `ForecastModel.forecast`."""
    known = Table(past, "`past`")
    to_come = None if future is None else Table(future, "`future`")
    columns, rows = forecast_columns(model, known, to_come)
    if to_come is not None and to_come.from_frame and to_come.backend == known.backend:
        return to_come.frame.like(columns, rows)  # type: ignore[union-attr]
    return make_frame(columns, known.backend)


def forecast_file(run: pathlib.Path, past: str, out: str, *, future: str | None = None) -> str:
    """Forecast the steps that follow the series of a table with a trained model, and write them to a file.

    Args:
        run: Run folder that `fit forecast` made, or a model file.
        past: Table of series with their inputs and targets, of which the last steps are read.
        out: Table to write, CSV, TSV or Parquet.
        future: Table with the inputs of the steps to forecast, for a model with inputs.

    Raises:
        InputError: a table is wrong or missing, or a series is too short.

    Example:
        contextual-rnn forecast runs/load --past today.csv --future weather.csv --out tomorrow.csv
    """
    check_files(read={"past": past, "future": future}, written={"out": out})
    model = load(run, ForecastModel)
    columns, _ = forecast_columns(model, Table(past), None if future is None else Table(future))
    write_table(out, columns)
    horizon = model.settings.horizon
    count = len(columns[f"{model.settings.targets[0]}_predicted"]) // horizon
    return f"{horizon} steps after each of {count} series.\nForecasts: {out}"


def forecast_columns(
    model: ForecastModel, past: Table, future: Table | None
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return the columns of a forecast, and the rows of `future` that they belong to; None without `future`."""
    settings = model.settings
    if settings.inputs and future is None:
        raise InputError("the model has inputs, whose values must be known at the steps to forecast: give `future`")
    if not settings.inputs and future is not None:
        raise InputError("the model has no inputs, so `future` would not be read; leave it out")
    series = read_series(past, settings, min_length=settings.past)
    to_come = None if future is None else _future_of(series, future, settings)
    vectors = context_vectors(model.fields, settings.context, series)
    windows = [
        _window(one, None if to_come is None else to_come[place], vectors[place], settings)
        for place, one in enumerate(series)
    ]
    predicted = np.concatenate([np.asarray(values) for values in model.eval().forecasts(windows)])
    columns: dict[str, Any] = {}
    if settings.series:
        last = np.repeat([one.rows[-1] for one in series], settings.horizon)
        columns[settings.series] = past.identifiers(settings.series, last)
    names = [f"{target}_predicted" for target in settings.targets]
    columns[free_name("step", (*columns, *names))] = np.tile(np.arange(1, settings.horizon + 1), len(series))
    columns |= {name: predicted[:, place] for place, name in enumerate(names)}
    return columns, None if to_come is None else np.concatenate([one.rows[: settings.horizon] for one in to_come])


def _future_of(series: Sequence[Series], future: Table, settings: ForecastSettings) -> list[Series]:
    """Return the steps that follow each series, in the order of the series."""
    columns = Columns(settings.inputs, settings.targets, (), settings.series)
    found = read_series(future, columns, known_targets=0, min_length=settings.horizon)
    if settings.series is None:
        return found
    by_name = {one.name: one for one in found}
    for one in series:
        if one.name not in by_name:
            raise InputError(f"{future.name} has no series {one.name!r}, whose inputs are needed")
    return [by_name[one.name] for one in series]


def _window(one: Series, to_come: Series | None, context: torch.Tensor, settings: ForecastSettings) -> Record:
    """Return the last steps of a series and the inputs of the horizon, whose targets are missing."""
    horizon, known = settings.horizon, slice(len(one) - settings.past, None)
    inputs = np.empty((horizon, 0), np.float32) if to_come is None else to_come.inputs[:horizon]
    missing = np.full((horizon, len(settings.targets)), np.nan, np.float32)
    joined = np.concatenate([one.inputs[known], inputs]), np.concatenate([one.targets[known], missing])
    return Record(one.name, torch.from_numpy(joined[0]), torch.from_numpy(joined[1]), context)
