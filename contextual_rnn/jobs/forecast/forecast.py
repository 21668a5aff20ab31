"""The command `forecast`: forecasts as a file."""

from __future__ import annotations

import os
import pathlib

from ...data.output import check_files, write_table
from ...study.errors_in_words import errors_in_words
from .model import ForecastModel


def forecast_file(
    run: pathlib.Path,
    past: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    future: str | os.PathLike[str] | None = None,
) -> str:
    """Forecast the steps that follow the series of a table with a trained model, and write them to a file.

    If `future` has targets, their errors are printed beside those of the baselines.

    Args:
        run: Run folder that `fit forecast` made, or a model file.
        past: Table of series with their inputs and targets; the model reads the last steps of each.
        out: Table to write, CSV, TSV or Parquet.
        future: Table with the inputs of the steps to forecast, for a model with inputs.

    Raises:
        InputError: if a table is invalid or missing, or a series is too short.

    Example:
        contextual-rnn forecast runs/load --past today.csv --future weather.csv --out tomorrow.csv
    """
    check_files(read={"run": run, "past": past, "future": future}, written={"out": out})
    model = ForecastModel.load(run)
    question = model.question(past, future)
    found = model.answer(question)
    write_table(out, found)
    remarks = "".join(f"{remark}\n" for remark in question.remarks(model.settings, model.fields))
    horizon = model.settings.horizon
    errors = "".join(f"{line}\n" for line in errors_in_words(model.errors(question)))
    return f"{horizon} steps after each of {len(found) // horizon} series.\n{remarks}{errors}Forecasts: {out}"
