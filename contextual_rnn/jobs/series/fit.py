"""`fit`: train one model of series, and report its errors."""

from __future__ import annotations

import os
from typing import Any

from ..._core.settings import check_count, check_seed, takes_settings
from ...cores import in_words
from ...data.series import Datasets
from ...data.table import Source
from ...scaling import error_unit
from ...serialization import load
from ...study.comparison import run_directory
from ...study.parallel import one_thread, run_all
from ...study.report import FitReport
from ...study.run_folder import RunFolder, read_lines, write_json
from ...study.tuning import Choice
from .compare import plot_prediction
from .metrics import METRICS, Predict, mean_baseline, persistence, scores
from .model import SeriesModel
from .settings import SeriesSettings
from .train import Training, choose_settings, make_run, read_tables, scored_length, scoring_of


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
        train: Training table with one row per time step, in order: a CSV, TSV or Parquet file; in Python, also a data
            frame.
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
        f"Trained {in_words(settings.cell)} of {settings.hidden} units, with initial state {settings.kind.name!r}, on "
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
