"""The command `forecast`: forecasts as a file."""

from __future__ import annotations

import os
import pathlib

import polars as pl

from ..._core.counted import counted
from ...data.output import check_files, write_table
from ...errors import InputError
from .errors import forecast_errors
from .model import ForecastModel


def forecast_file(
    run: pathlib.Path,
    past: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    future: str | os.PathLike[str] | None = None,
    errors: str | os.PathLike[str] | None = None,
) -> str:
    """Forecast the steps that follow the series of a table with a trained model, and write them to a file.

    If `future` has targets, the errors of the forecasts are printed beside those of the baselines.

    Args:
        run: Run folder that `fit forecast` made, or a model file.
        past: Table of series with their inputs and targets; the model reads the last steps of each.
        out: Table to write, CSV, TSV or Parquet.
        future: Table with the inputs of the steps to forecast, for a model with inputs.
        errors: Table to write with the errors of each series, CSV, TSV or Parquet; `future` must have the targets.

    Raises:
        InputError: if a table is invalid or missing, or a series is too short.

    Example:
        contextual-rnn forecast runs/load --past today.csv --future weather.csv --out tomorrow.csv
    """
    check_files(read={"run": run, "past": past, "future": future}, written={"out": out, "errors": errors})
    model = ForecastModel.load(run)
    question = model.question(past, future)
    found = model.answer(question)
    compared = forecast_errors(model, question)
    if errors is not None and compared is None:
        raise InputError("`errors` needs a `future` with the targets")
    write_table(out, found)
    if errors is not None and compared is not None:
        write_table(errors, pl.DataFrame(compared.by_series))
    remarks = "".join(f"{remark}\n" for remark in question.remarks(model.settings, model.fields))
    horizon = model.settings.horizon
    shown = f"{compared}\n" if compared is not None else ""
    where = f"\nErrors: {errors}" if errors is not None else ""
    said = f"{counted(horizon, 'step')} after the last row of each of {len(found) // horizon} series."
    return f"{said}\n{remarks}{shown}Forecasts: {out}{where}"
