"""`fit`: train one model of series, and report its errors."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..._core.counted import counted
from ..._core.records import Record
from ..._core.settings import takes_settings
from ...cores import IN_WORDS
from ...data.scaled_errors import MAE, SCALED, errors_by_series, mean_absolute, scaled_errors, series_in_words
from ...data.season import season
from ...data.series import Datasets
from ...data.series_scales import scale_in_words
from ...data.table import Source
from ...scaling import error_unit, in_own_units
from ...study.differences import worse_than_baselines
from ...study.report import FitReport, fit_one
from .metrics import METRICS, errors_of, rmse_by_target, scores
from .model import SeriesModel
from .settings import SeriesSettings
from .train import Training, baselines, length_in_words, read_tables, scoring_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    devices: int = 1,
    nodes: int = 1,
    **options: Any,
) -> SeriesModel:
    """Train a model to simulate the targets of series from their inputs.

    Args:
        train: Training table with one row per time step, in order: a text (.csv, .tsv, .txt), Parquet, Arrow or
            MATLAB (.mat) file; in Python, also a data
            frame.
        validation: Table to choose settings on, instead of folds of the training table.
        test: Table to report errors on; nothing is chosen on it.
        folds: Number of folds of the training table, at least 2; used if a setting has several values.
        seed: Random seed of the weights, the windows and the noise.
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
        contextual-rnn fit series --train train.csv --inputs u --targets y --window 5 --out runs/tank
    """
    candidates = SeriesSettings.candidates(options)
    data = read_tables(train, validation, test, candidates[0])
    training = Training.of(data, [candidates], folds, keeps_linear=True)
    data = dataclasses.replace(data, notes=(*data.notes, *length_in_words(data.training, candidates)))
    report = functools.partial(_report, data, folds, training.scored_length)
    figures = functools.partial(_figures, (data.test or data.training)[0])
    return fit_one(
        training,
        candidates,
        report,
        figures,
        seed=seed,
        out=out,
        resume=resume,
        jobs=jobs,
        devices=devices,
        nodes=nodes,
    )


def _report(
    data: Datasets,
    folds: int,
    scored_length: int,
    model: SeriesModel,
    result: dict[str, Any],
    history: list[dict[str, Any]],
) -> FitReport:
    settings, scoring = model.settings, scoring_of(model, scored_length)  # one length for all rows of the table
    tables = {"training table": data.training, "validation table": data.validation, "test table": data.test}
    rows = {
        name: result["metrics"] if name == "test table" else scores(model.predictions, records, scoring)
        for name, records in tables.items()
        if records
    }
    last = list(rows)[-1]
    records, names = tables[last], [record.name for record in tables[last]]
    predict = {"the model": model.predictions, **baselines(model, data, folds)}
    errors = {name: errors_of(one, records, settings.window) for name, one in predict.items()}
    scaled = scaled_errors(errors, names, _known(records, data.training), season(data.frequency) or 1)
    further = {
        name: {MAE.key: mean_absolute([error / scoring.scale for error in several])} | scaled.means(name)
        for name, several in errors.items()
    }
    found = {
        name: scores(one, records, scoring) | further[name] for name, one in predict.items() if name != "the model"
    }
    rows[last] |= further["the model"]
    error = rows[last]["free_run_rmse"]
    rows |= {f"{name}, {last}": values for name, values in found.items()}
    nearest = min(found, key=lambda name: found[name]["free_run_rmse"])
    sentences = [
        f"Trained {IN_WORDS[settings.cell]} of {counted(settings.hidden, 'unit')}, with initial state "
        f"{settings.kind.name!r}, on {len(data.training)} series for {counted(settings.epochs, 'epoch')}.",
        *(
            []
            if data.validation or data.test
            else ["The errors are those of rows that were trained on; a `test` table gives those of others."]
        ),
        *data.remarks,
        scale_in_words(settings.scale, settings.scale, "window"),
        f"Errors are in {error_unit(settings.targets)}.",
        *in_own_units(settings.targets, last, rmse_by_target(errors["the model"])),
        *([model.linear.in_words()] if model.linear else []),
        *scaled.in_words(_known_in_words(names, data.training)),
        *worse_than_baselines(f"On the {last}, the model", error, found, METRICS[0]),
        *series_in_words(errors["the model"], errors[nearest], names, nearest),
    ]
    by_series = errors_by_series(errors, names, scaled, column=settings.series)
    by_name = {"Errors by series": by_series} if len(by_series) > 1 else {}
    return FitReport(sentences, (*METRICS, MAE, *SCALED), rows, tables=by_name)


def _known(records: Sequence[Record], training: Sequence[Record]) -> dict[str, list[Tensor]]:
    """Return the training series of the name of each record; all training series if there is none of that name."""
    own, every = {record.name: [record.targets] for record in training}, [record.targets for record in training]
    return {record.name: own.get(record.name, every) for record in records}


def _known_in_words(names: Sequence[str], training: Sequence[Record]) -> str:
    """Return where the scale of MASE comes from; see `_known`."""
    new = set(names) - {record.name for record in training}
    rows = "the training table" if new == set(names) else "its rows of the training table"
    return rows + " (in all of them, if it has none there)" * (0 < len(new) < len(set(names)))


def _figures(record: Record, model: SeriesModel) -> dict[str, Callable[[], Figure]]:
    from .figures import plot_prediction

    return {"prediction": lambda: plot_prediction({model.settings.kind.name: model}, record)}
