"""The command `predict`: from a file of a table to a file of its predictions."""

from __future__ import annotations

import pathlib

from ..._core.counted import counted
from ...data.output import check_files, write_table
from ...study.errors_in_words import errors_in_words
from .model import SeriesModel
from .predict import States


def start_in_words(model: SeriesModel, start: pathlib.Path | None) -> str:
    """Return a sentence on the state that every series starts from; `start` is the file of states, if there is one."""
    if start is not None:
        return f"Each series goes on from its state in {start}, as that prediction left it after its last row."
    window = model.settings.window
    read = f", and its first {counted(window, 'row')} {'is' if window == 1 else 'are'} read and not predicted" * bool(
        window
    )
    return f"Each series starts from initial state {model.settings.kind.name!r}{read}."


def predict_file(
    run: pathlib.Path,
    inputs: pathlib.Path,
    out: pathlib.Path,
    *,
    start: pathlib.Path | None = None,
    end: pathlib.Path | None = None,
    estimate_weight: float | None = None,
) -> str:
    """Predict the targets of a table with a trained model of series, and write them to a file.

    If the table has targets, the errors of the predictions are printed beside those of the baselines.

    Args:
        run: Run folder that `fit series` made, or a model file.
        inputs: CSV, TSV or Parquet file with the input columns, and with the targets of the first steps if the model
            has a window.
        out: CSV, TSV or Parquet file to write.
        start: File of states to carry on from, which `end` of an earlier call wrote.
        end: File to write the final states to, so that a later call can carry on from them.
        estimate_weight: Estimate the initial state of every series from the targets of its window, with this weight of
            its squared distance from the model's own. For models that start before the window.

    Raises:
        InputError: a file is wrong, `start` lacks a series or belongs to another model, or the model cannot estimate
            its initial state.

    Example:
        contextual-rnn predict runs/tank --inputs monday.csv --out predicted.csv
    """
    check_files(read={"run": run, "inputs": inputs, "start": start}, written={"out": out, "end": end})
    model = SeriesModel.load(run)
    states = States.load(start, model) if start else None
    found = model.predict(inputs, states, estimate_weight=estimate_weight)
    write_table(out, found.frame)
    if end:  # keep the states of series that this table lacks, for a later call
        ends = {**(states.ends if states else {}), **found.state.ends}
        States({**(states or {}), **found.state}, found.state.model, ends).save(end)
    errors = errors_in_words({"the model": found.rmse, **found.baselines}) if found.rmse else []
    report = f"{len(found.frame)} predicted steps of {len(found.state)} series.\n"
    report += f"{start_in_words(model, start)}\n"
    report += "".join(f"{line}\n" for line in [*found.remarks, *errors]) + f"Predictions: {out}"
    return report + (f"\nStates:      {end}" if end else "")
