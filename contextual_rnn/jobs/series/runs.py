"""One run of a model of series, and the choice of its settings on folds of the training table."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import pathlib
from typing import Any

import torch

from ...data.series import Columns
from ...errors import InputError
from ...serialization import save
from ...study.fit import DivergedError, FitConfig, fit
from ...study.parallel import Job, run_all
from ..generation.model import GeneratorConfig
from .data import fold, read_held_out, read_training, write_columns
from .model import NEED_CONTEXT, SeriesConfig
from .purposes import Purpose, SeriesTraining, purpose_of
from .train import Record


@dataclasses.dataclass(frozen=True)
class SeriesFiles:
    """The tables, and their columns.

    Attributes:
        train: CSV or Parquet, one row a time step, in order.
        columns: the names of inputs, targets and context, and of what tells series apart.
        validation: a table to choose on instead of folds of the training table.
        test: a table for the errors that are reported; nothing is chosen on it.
    """

    train: str
    columns: Columns
    validation: str | None = None
    test: str | None = None


@dataclasses.dataclass(frozen=True)
class Option:
    """A model and its training: one point of the grid."""

    model: SeriesConfig | GeneratorConfig
    training: SeriesTraining


@dataclasses.dataclass(frozen=True)
class Choice:
    """What the folds chose for a kind: the option, and the validation error of every option."""

    option: Option
    validation: list[dict[str, Any]]


def grid(
    kind: str, purpose: Purpose, model: dict[str, Any], training: dict[str, Any], choices: dict[str, tuple[Any, ...]]
) -> list[Option]:
    """Return an option for every combination of `choices`, each naming a field of the model or of its training."""
    options = []
    for values in itertools.product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        for name, value in chosen.items():
            (model if name in purpose.config.__dataclass_fields__ else training)[name] = value
        options.append(Option(purpose.config(**{**model, "initial_state": kind}), SeriesTraining(**training)))
    return options


def check_kinds(kinds: list[str], window: int, columns: Columns) -> None:
    """Raise InputError where a kind needs a context or a window that was not given."""
    for kind in kinds:
        if kind == "warm-up" and not columns.inputs:
            raise InputError("warm-up is for series with inputs: give --inputs, or leave it out")
        if kind == "warm-up" and not window:
            raise InputError("warm-up is told the targets of a window: give --window, or leave it out")
        if kind in NEED_CONTEXT and not window and not columns.context:
            raise InputError(f"{kind} needs something to start from: give --window, --context, or both")


def read_tables(files: SeriesFiles, window: int) -> list[Record]:
    """Read every table, so that what is wrong in one is said before anything is trained; return the test series."""
    _, context = read_training(files.train, files.columns, window)
    if files.validation:
        read_held_out(files.validation, files.columns, context, window)
    return read_held_out(files.test, files.columns, context, window) if files.test else []


def fingerprints(files: SeriesFiles) -> dict[str, str]:
    """Return the SHA-256 of every table, so that a run is not resumed on other data."""
    paths = [path for path in (files.train, files.validation, files.test) if path]
    return {path: hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() for path in paths}


def choose(
    options: dict[str, list[Option]], files: SeriesFiles, folds: int, out: pathlib.Path, *, resume: bool
) -> dict[str, Choice]:
    """Choose, for every kind, the option of least error on the folds. No test data is read."""
    count = 1 if files.validation else folds
    jobs = {
        (kind, place, index): _job(f"{kind}-option-{place}-fold-{index}", option, files, 0, index, count, test=False)
        for kind, candidates in options.items()
        for place, option in enumerate(candidates)
        for index in range(count)
    }
    purpose = purpose_of(files.columns)
    results = run_all(list(jobs.values()), try_on_fold, out / "tuning", resume=resume, title="choosing on folds")
    done = dict(zip(jobs, results, strict=True))
    return {
        kind: _best(
            purpose,
            kind,
            candidates,
            [[done[kind, place, index] for index in range(count)] for place in range(len(candidates))],
        )
        for kind, candidates in options.items()
    }


def _best(purpose: Purpose, kind: str, options: list[Option], results: list[list[dict[str, Any]]]) -> Choice:
    """Choose by the error after the last epoch, of every option on every fold; one that diverged is no choice."""
    errors = [_average(purpose, [result["metrics"][purpose.chosen_by] for result in folds]) for folds in results]
    finite = [(error, place) for place, error in enumerate(errors) if error is not None]
    if not finite:
        why = next(result["diverged"] for folds in results for result in folds if "diverged" in result)
        raise DivergedError(f"{kind}: {why}")
    table = [
        {**_flat(option), f"validation_{purpose.chosen_by}": error}
        for option, error in zip(options, errors, strict=True)
    ]
    return Choice(options[min(finite)[1]], table)


def _average(purpose: Purpose, errors: list[float | None]) -> float | None:
    known = [error for error in errors if error is not None]
    return purpose.average(known) if len(known) == len(errors) else None


def _flat(option: Option) -> dict[str, Any]:
    return {**dataclasses.asdict(option.model), **dataclasses.asdict(option.training)}


def train_chosen(
    choices: dict[str, Choice], files: SeriesFiles, seeds: range, out: pathlib.Path, *, resume: bool
) -> list[dict[str, Any]]:
    """Train every kind as it was chosen, on the whole training table, and return the runs with their test errors."""
    jobs = []
    for kind, choice in choices.items():
        jobs += [final_job(f"{kind}-seed-{seed}", choice, files, seed) for seed in seeds]
    results = run_all(jobs, train, out / "runs", resume=resume, title="training")
    identities = ({"initial_state": job.config["model"]["initial_state"], "seed": job.config["seed"]} for job in jobs)
    return [{**identity, **result} for identity, result in zip(identities, results, strict=True)]


def final_job(name: str, choice: Choice, files: SeriesFiles, seed: int) -> Job:
    """Return the training of a kind as it was chosen, on the whole training table."""
    return _job(name, choice.option, files, seed, None, 0, test=True)


def _job(name: str, option: Option, files: SeriesFiles, seed: int, index: int | None, count: int, *, test: bool) -> Job:
    kept = dataclasses.asdict(files)
    if not test:
        kept["test"] = None
    config = {
        "model": dataclasses.asdict(option.model),
        "training": dataclasses.asdict(option.training),
        "files": kept,
        "fold": index,
        "folds": count,
        "seed": seed,
    }
    return Job(name, config, option.training.epochs)


def try_on_fold(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Do one run on a fold; settings with which it diverges are no choice, and no reason to stop."""
    try:
        return train(config, folder)
    except DivergedError as error:
        purpose = purpose_of(Columns.from_json(config["files"]["columns"]))
        return {"metrics": {purpose.chosen_by: None}, "diverged": str(error)}


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Do one run: on a fold, returning its validation errors, or on the whole table, returning its test errors."""
    files = config["files"]
    columns = Columns.from_json(files["columns"])
    purpose, training = purpose_of(columns), SeriesTraining(**config["training"])
    model_config = purpose.config(**config["model"])
    records, context = read_training(files["train"], columns, model_config.window)
    held_out: list[Record] = []
    if config["fold"] is not None and files["validation"]:
        held_out = read_held_out(files["validation"], columns, context, model_config.window)
    elif config["fold"] is not None:
        whole = not columns.inputs  # what is generated is a whole series
        records, held_out = fold(records, config["fold"], config["folds"], model_config.window, whole=whole)
    model, last = _fit(purpose, model_config, training, records, held_out, config["seed"], folder)
    if held_out:
        _check_finite(last)
        return {"metrics": last}
    write_columns(folder, columns, context)
    save(model, folder / "model.safetensors")
    if not files["test"]:
        return {"metrics": {}}
    test = read_held_out(files["test"], columns, context, model_config.window)
    by_series = purpose.by_series(model, test)
    metrics = purpose.score(model, test, training)
    _check_finite(metrics)
    return {"metrics": metrics, purpose.by_series_name: by_series}


def _check_finite(metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DivergedError(f"the {name} became {value}: are the targets too large, or is a lower rate needed?")


def _fit(
    purpose: Purpose,
    config: SeriesConfig | GeneratorConfig,
    training: SeriesTraining,
    records: list[Record],
    held_out: list[Record],
    seed: int,
    folder: pathlib.Path,
) -> tuple[Any, dict[str, float]]:
    """Train on records; return the model and the metrics of its last epoch, those on what is held out among them."""
    torch.manual_seed(seed)
    learning = purpose.start(config, training, records)
    settings = FitConfig(
        training.epochs,
        training.learning_rate,
        training.clip,
        training.weight_decay,
        accelerator=training.accelerator,
        schedule="cosine",
        seed=seed,
    )
    evaluate = (lambda model: purpose.watch(model, held_out, training)) if held_out else None
    history = fit(learning.model, learning.loss, learning.batches, settings, evaluate=evaluate, folder=folder)
    return learning.model, history[-1]
