"""`reproduce system-identification`: records of nonlinearbenchmark.org under its own protocol.

A model reads the first steps of a test record, its initial window, with their targets, and is scored on the rest.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..._core.records import Record, random_windows
from ..._core.settings import setting, takes_settings
from ...errors import InputError
from ...study.comparison import text_table
from ...study.metric import Kind, Metric, Row
from ..experiment import Experiment, PaperSettings, compare, fit_and_save, sentences
from .model import SystemModel, ensemble, loss, rmse
from .recipes import held_out, recipes_of, split
from .records import BENCHMARKS, Measured, Part, read, read_given

KINDS = ("warm-up", "context", "estimated", "context+estimated")
FACTORS = ("record", "window", "initial_state")
FIRST = 20  # steps
WEIGHTS = (0.1, 1.0, 0.01, 1e-3, 1e-4, 0.0)  # of an estimated initial state, chosen on folds
ERRORS = (Metric("rmse", "RMSE"), Metric("first_20_rmse", "RMSE of the first 20 steps"))
PAIRS = (  # the first is the primary comparison of a record
    ("context", "warm-up"),
    ("estimated", "context"),
    ("estimated", "warm-up"),
    ("context+estimated", "context"),
    ("context+estimated", "warm-up"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SystemSettings(PaperSettings):
    """The records, the kinds of initial state, and the training."""

    records: tuple[str, ...] = setting(
        ("cascaded-tanks", "silverbox"), "Records to model.", group="data", choices=tuple(BENCHMARKS), least=1
    )
    initial_states: tuple[str, ...] = setting(
        KINDS, "Kinds of initial state.", group="comparison", choices=("zero", "free", "gaussian", *KINDS), least=1
    )
    windows: tuple[int, ...] = setting(
        (50, 5), "Known steps at the start; recipes are chosen with the first.", group="comparison", least=1
    )
    epochs: int = setting(100, "Number of training epochs.", group="training", least=1)
    updates: int | None = setting(
        None, "Minibatches of an epoch; without it, those of the recipe.", group="training", least=1
    )
    clip: float | None = 1.0


@takes_settings(SystemSettings)
def reproduce(
    *,
    out: pathlib.Path,
    data: pathlib.Path | None = None,
    train: pathlib.Path | None = None,
    test: pathlib.Path | None = None,
    input_column: str = "u",
    target_column: str = "y",
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> str:
    """Model the records of nonlinearbenchmark.org, and score them after an initial window, as its protocol says.

    Args:
        out: Run folder to create.
        data: Folder that holds the files of the records; without it, the one that the environment variable
            CONTEXTUAL_RNN_DATA names.
        train: Table of another record to train on, instead of `records`.
        test: Table of that record to test on.
        input_column: Column of the input in these two tables.
        target_column: Column of the target in these two tables.
        smoke: Train one epoch of two updates, to see that everything runs; the figures mean nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        What was found, in words, and where the files are.

    Raises:
        InputError: a setting or a file is wrong, or the folder cannot be used.

    Example:
        contextual-rnn reproduce system-identification --data records --out runs/systems
    """
    from . import figures

    settings = SystemSettings.of(options | ({"epochs": 1, "updates": 2} if smoke else {}))
    if train or test:
        data_of = _given(train, test, Part(input_column, target_column), "records" in options)
    else:
        data_of = {name: read(name, data) for name in settings.records}
    identity = {
        "sha256": [measured.sha256 for measured in data_of.values()],
        "recipes": {name: [dataclasses.asdict(recipe) for recipe in recipes_of(name)] for name in data_of},
    }
    experiment = Experiment.open(
        out,
        "{record}-{window}-{initial_state}-{recipe}",
        settings,
        resume=resume,
        jobs=jobs,
        cluster=cluster,
        **identity,
    )
    folds = _train_folds(experiment, settings, data_of)
    choices = {key: choose(rows) for key, rows in folds.items()}
    kinds = [
        {"record": record, "window": window, "initial_state": kind, **choices[record, kind]}
        for record in data_of
        for window in settings.windows
        for kind in settings.initial_states
    ]
    runs = experiment.train(kinds, settings, functools.partial(train_run, data_of), "system identification")
    rows = [_summary(experiment, kind, runs, folds, data_of) for kind in kinds]
    differences = [row for name in data_of for row in _differences(name, settings, runs)]
    verdict = [*_report(rows, settings, data_of), *sentences(differences, ERRORS)]
    draws = {"errors": lambda: figures.errors(runs, data_of, settings.windows[0])}
    return experiment.finish(runs, FACTORS, differences, verdict, draws, benchmarks=rows)


def _given(train: pathlib.Path | None, test: pathlib.Path | None, part: Part, others: bool) -> dict[str, Measured]:
    """Return the record of the user by its name, "given"; raise InputError if an argument lacks or is too many."""
    if train is None or test is None:
        raise InputError("`train` and `test` are the two tables of one record: give both")
    if others:
        raise InputError("`records` and `train` cannot be given together: model one after the other")
    return {"given": read_given(train, test, part)}


def _train_folds(
    experiment: Experiment, settings: SystemSettings, data_of: dict[str, Measured]
) -> dict[tuple[str, str], list[Row]]:
    """Train every recipe on the folds of its record with one seed, and return the runs by record and kind."""
    kinds = [
        {"record": record, "window": settings.windows[0], "initial_state": kind, "recipe": recipe, "block": block}
        for record in data_of
        for kind in settings.initial_states
        for recipe in range(len(recipes_of(record)))
        for block in held_out(record)
    ]
    one_seed = dataclasses.replace(experiment, name=experiment.name + "-block-{block}", seeds=1)
    runs = one_seed.train(kinds, settings, functools.partial(train_run, data_of), "folds", subfolder="folds")
    found: dict[tuple[str, str], list[Row]] = {}
    for run in runs:
        found.setdefault((run["record"], run["initial_state"]), []).append(run)
    return found


def train_run(
    data_of: dict[str, Measured], settings: SystemSettings, config: dict[str, Any], folder: pathlib.Path
) -> dict[str, Any]:
    """Train a model on a fold or on the whole training record, and return its errors on what was left out."""
    name, window, seed = config["record"], config["window"], config["seed"]
    recipe, measured = recipes_of(name)[config["recipe"]], data_of[name]
    training, tests = [measured.training], measured.tests
    if "block" in config:
        training, held = split(measured.training, config["block"], window)
        tests = {"block": held}
    weight = config.get("estimate_weight", WEIGHTS[0])
    torch.manual_seed(seed)
    model = SystemModel(
        config["initial_state"], window, recipe.cell, recipe.states, recipe.units, estimate_weight=weight
    )
    model.standardise(training)
    batches = random_windows(training, window + recipe.length, recipe.batch_size, settings.updates or recipe.updates)
    trained_as = dataclasses.replace(
        settings, learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay, batch_size=recipe.batch_size
    )
    fit_and_save(model, loss, batches, trained_as, seed=seed, schedule="cosine", folder=folder)
    factor = measured.benchmark.factor
    if "block" in config:
        return {"metrics": {}, "errors": fold_errors(model, tests["block"], factor)}
    return {"metrics": scores(model, tests, factor)}


def fold_errors(model: SystemModel, held: Record, factor: float) -> list[tuple[float, float]]:
    """Return every weight of an estimated initial state and the RMSE with it; one weight for the other kinds."""
    found = []
    for weight in WEIGHTS if model.kind.is_estimated else (model.estimate_weight,):
        model.estimate_weight = weight
        found.append((weight, factor * rmse(model.predict(held), held, model.window)))
    return found


def choose(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the recipe and the weight of an estimated initial state with the lowest mean squared error over folds.

    Args:
        rows: the runs on folds of one kind: `recipe`, and the `errors` of `fold_errors`.
    """
    errors = mean_errors(rows)
    recipe, weight = min(errors, key=lambda key: errors[key])
    return {"recipe": recipe, "estimate_weight": weight}


def mean_errors(rows: Sequence[Row]) -> dict[tuple[int, float], float]:
    """Return the root mean squared error over folds of every recipe and weight."""
    squares: dict[tuple[int, float], list[float]] = {}
    for row in rows:
        for weight, error in row["errors"]:
            squares.setdefault((row["recipe"], weight), []).append(error**2)
    return {key: math.sqrt(sum(values) / len(values)) for key, values in squares.items()}


def scores(model: SystemModel, tests: dict[str, Record], factor: float) -> dict[str, float]:
    """Return the errors on the first test record, the RMSE on the others by name, and the seconds of a prediction."""
    metrics: dict[str, float] = {}
    for number, (name, record) in enumerate(tests.items()):
        start = time.perf_counter()
        predicted = model.predict(record)
        seconds = time.perf_counter() - start
        error = factor * rmse(predicted, record, model.window)
        if number:
            metrics[f"rmse, {name}"] = error
            continue
        metrics["rmse"], metrics["seconds"] = error, seconds
        metrics["first_20_rmse"] = factor * rmse(predicted, record, model.window, FIRST)
        metrics["nrmse"] = error / factor / float(record.targets[model.window :].std(correction=0))
    return metrics


def _summary(
    experiment: Experiment,
    kind: Kind,
    runs: list[Row],
    folds: dict[tuple[str, str], list[Row]],
    data_of: dict[str, Measured],
) -> Row:
    """Return the medians of a kind over seeds, its error on folds, and the errors of the ensemble of all seeds."""
    name = kind["record"]
    own = [run for run in runs if all(run[key] == value for key, value in kind.items())]
    models = [experiment.model(run) for run in own]
    factor, window = data_of[name].benchmark.factor, kind["window"]
    tests = {test: (record, ensemble(models, record)) for test, record in data_of[name].tests.items()}
    errors = mean_errors(folds[name, kind["initial_state"]])
    return {
        **kind,
        "recipe": dataclasses.asdict(recipes_of(name)[kind["recipe"]]),
        "folds_rmse": errors[kind["recipe"], kind["estimate_weight"]],
        "folds": [
            {"recipe": recipe, "estimate_weight": weight, "rmse": error} for (recipe, weight), error in errors.items()
        ],
        "median": {key: float(np.median([run["metrics"][key] for run in own])) for key in own[0]["metrics"]},
        "ensemble": {test: factor * rmse(predicted, record, window) for test, (record, predicted) in tests.items()},
    }


def _differences(record: str, settings: SystemSettings, runs: list[Row]) -> list[Row]:
    """Return the differences of a record with the first window, one family with a primary comparison."""

    def kind(name: str) -> Kind:
        return {"record": record, "window": settings.windows[0], "initial_state": name}

    pairs = [(kind(a), kind(b)) for a, b in PAIRS if {a, b} <= set(settings.initial_states)]
    return compare(runs, pairs, ERRORS)


def _report(rows: list[Row], settings: SystemSettings, data_of: dict[str, Measured]) -> list[str]:
    """Return the lines of the tables of every record, and what was chosen on its folds."""
    lines, seeds = [], f"{settings.seeds} seed{'s' * (settings.seeds != 1)}"
    for record, measured in data_of.items():
        benchmark, own = measured.benchmark, [row for row in rows if row["record"] == record]
        main, *others = benchmark.tests
        best = min((row for row in own if row["window"] == settings.windows[0]), key=lambda row: row["folds_rmse"])
        published = ", ".join(f"{name} {value:g}" for name, value in benchmark.published.items())
        lines += [
            f"{record}, {main}: RMSE in {benchmark.unit} after the window, median of {seeds}.",
            _table(
                own, {"folds": ("folds_rmse",), main: ("median", "rmse"), **_COLUMNS, "ensemble": ("ensemble", main)}
            ),
            f"Chosen on folds: {best['initial_state']}, {best['median']['rmse']:.3g} {benchmark.unit} in the test.",
            *([f"Published, over the whole record: {published}."] if published else []),
            *([_table(own, {other: ("median", f"rmse, {other}") for other in others})] if others else []),
            "",
        ]
    return lines


_COLUMNS = {"NRMSE": ("median", "nrmse"), "20 steps": ("median", "first_20_rmse"), "s": ("median", "seconds")}


def _table(rows: list[Row], columns: dict[str, tuple[str, ...]]) -> str:
    """Return a table of the kinds and windows of a record; each column is where a row holds its value."""
    cells = [
        [row["initial_state"], str(row["window"])]
        + [f"{functools.reduce(lambda found, key: found[key], place, row):.3g}" for place in columns.values()]
        for row in rows
    ]
    return text_table(["initial state", "window", *columns], cells, width=200, no_wrap=True)
