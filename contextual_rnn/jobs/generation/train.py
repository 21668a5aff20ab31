"""Training of a model that generates series: one run, and `fit`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import statistics
from typing import Any

import torch
from torch import Tensor

from ..._core.settings import check_count, check_seed, takes_settings
from ...data.folds import fold
from ...data.series import Batch, Datasets, shuffled
from ...data.table import Source
from ...serialization import load, save
from ...study.comparison import run_directory
from ...study.fit import check_accelerator, check_finite
from ...study.fit import fit as train_module
from ...study.parallel import Run, one_thread, run_all
from ...study.report import FitReport
from ...study.run_folder import RunFolder, read_lines, write_json
from ...study.tuning import Choice, choose
from .baselines import baselines
from .metrics import BY_SERIES, LIKELIHOOD, METRICS, scores
from .model import SeriesGenerator
from .settings import GenerationSettings


@dataclasses.dataclass(frozen=True)
class Training:
    """Does one run: on a fold, whose result has validation metrics, or on the whole training table."""

    data: Datasets

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics; `config` is that of `make_run`."""
        settings = GenerationSettings.from_json(config["settings"])
        training, held_out = self.data.training, self.data.validation
        if config["fold"] is None:
            held_out = []
        elif not held_out:
            training, held_out = fold(training, config["fold"], config["folds"], 0, whole=True)
        torch.manual_seed(config["seed"])
        model = SeriesGenerator(settings, self.data.fields)
        model.standardise(training)

        def evaluate(model: SeriesGenerator) -> dict[str, float]:
            return scores(model, held_out, [LIKELIHOOD])

        history = train_module(
            model,
            sequence_loss,
            shuffled(training, settings.batch_size),
            settings,
            seed=config["seed"],
            schedule="cosine",
            evaluate=evaluate if held_out else None,
            folder=folder,
        )
        if held_out:
            check_finite(history[-1])
            return {"metrics": history[-1]}
        save(model, folder / "model.safetensors")
        if not self.data.test:
            return {"metrics": {}}
        by_series = {metric.key: metric.compute(model, self.data.test) for metric in METRICS}
        metrics = {key: float(values.mean()) for key, values in by_series.items()}
        check_finite(metrics)
        return {"metrics": metrics, BY_SERIES.values: by_series[LIKELIHOOD.key].tolist()}


def sequence_loss(model: SeriesGenerator, batch: Batch) -> Tensor:
    """Return the mean negative log-likelihood per step of a minibatch, in nats."""
    _, targets, context, lengths = batch
    return model.losses(targets, context, lengths).sum() / lengths.sum()


def make_run(name: str, settings: GenerationSettings, seed: int, fold: int | None = None, folds: int = 0) -> Run:
    """Return a run: on a fold, or on the whole training table where `fold` is None."""
    config = {"settings": settings.to_json(), "seed": seed, "fold": fold, "folds": folds}
    return Run(name, config, settings.epochs)


def choose_settings(
    candidates: dict[str, list[GenerationSettings]],
    data: Datasets,
    folds: int,
    out: pathlib.Path,
    *,
    resume: bool,
    jobs: int | None,
) -> dict[str, Choice[GenerationSettings]]:
    """Choose the settings of every kind on the validation table, or on folds of whole series of the training table."""
    count = 1 if data.validation else folds
    return choose(
        candidates,
        lambda name, settings, index: make_run(name, settings, 0, index, count),
        Training(data),
        out,
        folds=count,
        minimise=(LIKELIHOOD.key,),
        average=statistics.fmean,
        resume=resume,
        jobs=jobs,
    )


@takes_settings(GenerationSettings)
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
) -> SeriesGenerator:
    """Train a model that generates series from their context.

    Args:
        train: Training table: a file or a data frame with one row per time step, in order.
        validation: Table to choose settings on, instead of folds of the training table.
        test: Table to report metrics on; nothing is chosen on it.
        folds: Number of folds of the training series, at least 2; used if a setting has several values.
        seed: Seed of weights, minibatches and noise.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run.
        jobs: Number of processes; by default, one per processor.

    Returns:
        The trained model; `model.report` shows its metrics.

    Raises:
        InputError: a table or a setting is wrong; says what and where.

    Example:
        contextual-rnn fit generation --train digits.csv --targets x y --context digit --series id --out runs/digits
    """
    check_seed(seed)
    check_count(least=2, folds=folds)
    check_count(**({} if jobs is None else {"jobs": jobs}))
    candidates = {"model": GenerationSettings.candidates(options)}
    check_accelerator(candidates["model"][0].accelerator)
    data = Datasets.read(train, validation, test, candidates["model"][0])
    config = {
        "candidates": [settings.to_json() for settings in candidates["model"]],
        **data.identity,
        "folds": folds,
        "seed": seed,
    }
    with run_directory(out) as path:
        folder = RunFolder.open(path, config, resume=resume)
        choice = choose_settings(candidates, data, folds, path / "tuning", resume=resume, jobs=jobs)["model"]
        run = make_run("final", choice.settings, seed)
        (result,) = run_all([run], Training(data), path, resume=resume, title="training", jobs=jobs)
        folder.copy(path / "final" / "model.safetensors")
        model: SeriesGenerator = load(folder.model_path, SeriesGenerator)
        model.backend = data.backend
        with one_thread():
            model.report = _report(model, data, choice, result, read_lines(path / "final" / "metrics.jsonl"))
            if out is not None:
                model.report.out = path
                _write(folder, model, data)
    return model


def _report(
    model: SeriesGenerator,
    data: Datasets,
    choice: Choice[GenerationSettings],
    result: dict[str, Any],
    history: list[dict[str, Any]],
) -> FitReport:
    """Return the report. The CRPS, which takes many samples, is computed on the test table only."""
    settings, metrics = model.settings, METRICS if data.test else (LIKELIHOOD,)
    scored, name = (data.test, "test") if data.test else (data.training, "training")
    rows = {"training table": scores(model, data.training, [LIKELIHOOD])}
    if data.test:
        rows["test table"] = result["metrics"]
    for baseline, generator in baselines(data.training).items():
        rows[f"{baseline}, {name} table"] = scores(generator, scored, metrics)
    chosen = choice.in_words()
    sentences = [
        f"Trained a {settings.cell} of {settings.hidden} units from the initial state {settings.kind.name!r} on "
        f"{len(data.training)} series for {settings.epochs} epochs.",
        *([f"Chosen on {'the validation table' if data.validation else 'folds'}: {chosen}."] if chosen else []),
        "Lower is better.",
    ]
    return FitReport(sentences, metrics, rows, history, choice.validation)


def _write(folder: RunFolder, model: SeriesGenerator, data: Datasets) -> None:
    from ...study.figures import write_figure
    from .figures import plot_bands

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
    write_figure(plot_bands({model.settings.kind.name: model}, shown), folder.figures, "bands")
    write_figure(model.report.plot_history(), folder.figures, "history")
