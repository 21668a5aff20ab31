"""Training of a model of pairs: one run, and `fit`."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import torch

from ..._core.checkpoint import best_epoch
from ..._core.files import write_bytes
from ..._core.settings import takes_settings
from ...data.encoded_pairs import Vocabulary, bucketed
from ...data.pairs import PairSource
from ...errors import InputError
from ...seq2seq import make_feeding
from ...serialization import save
from ...study import parallel
from ...study.fit import fit as train_module
from ...study.report import FitReport, fit_one
from .answers import answer
from .data import PairData, either
from .metrics import METRICS
from .model import PairModel
from .network import PairLoss, PairNetwork
from .settings import PairSettings


@dataclasses.dataclass(frozen=True)
class Training(parallel.Training):
    """Does one run: a trial, whose result has validation errors only, or one that keeps and tests its model."""

    minimise = ("validation_word_error_rate", "validation_phone_error_rate")

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics, and which answers are wrong."""
        settings, data = PairSettings.from_json(config["settings"]), self.data
        torch.manual_seed(config["seed"])
        sources = Vocabulary.of(pair.source for pair in data.training).symbols
        targets = Vocabulary.of(pair.target for pair in data.training).symbols
        model = PairModel(settings, sources, targets, data.units, data.labels, data.label_separator)
        history = self._train(model, config["seed"], folder)
        best = history[best_epoch(history, self.minimise) - 1]
        metrics = {name: best[name] for name in (*self.minimise, "epoch")}
        if config["fold"] is not None:
            return {"metrics": metrics}
        save(model, folder / "model.safetensors")
        if not data.test:
            return {"metrics": metrics}
        answers = answer([model], data.test, settings.beam)
        write_bytes(folder / "answers.tsv", answers.table(data.units).encode())
        return {"metrics": {**answers.metrics(), **metrics}, "wrong": answers.wrong}

    def _train(self, model: PairModel, seed: int, folder: pathlib.Path) -> list[dict[str, float]]:
        settings, encoded = model.settings, model.encode(self.data.training)
        steps = settings.epochs * -(-len(encoded) // settings.batch_size)
        feeding = make_feeding(settings.feeding, settings.sampling, steps, seed)

        def evaluate(model: PairNetwork) -> dict[str, float]:
            metrics = answer([model], self.data.validation).metrics()
            return {f"validation_{metric.key}": metrics[metric.key] for metric in METRICS}

        return train_module(
            model,
            PairLoss(feeding, settings.unknown),
            lambda: bucketed(encoded, settings.batch_size),
            settings,
            seed=seed,
            schedule="cosine",
            count=lambda _, batch: float(batch.target_lengths.sum()) + len(batch.target_lengths),
            evaluate=evaluate,
            minimise=self.minimise,
            patience=settings.patience,
            folder=folder,
        )


def check_label(labels: Sequence[str], data: PairData) -> None:
    """Raise InputError if the settings read labels, or compare ways of reading them, and the pairs have none."""
    if not data.labels and ("token" in labels or len(labels) > 1):
        raise InputError(f"`label` {', '.join(labels)}: the pairs have no labels")


@takes_settings(PairSettings)
def fit(
    train: PairSource | None = None,
    *,
    validation: PairSource | None = None,
    test: PairSource | None = None,
    source: str | os.PathLike[str] | None = None,
    target: str | os.PathLike[str] | None = None,
    validation_source: str | os.PathLike[str] | None = None,
    validation_target: str | os.PathLike[str] | None = None,
    test_source: str | os.PathLike[str] | None = None,
    test_target: str | os.PathLike[str] | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int = 1,
    nodes: int = 1,
    **options: Any,
) -> PairModel:
    """Train an encoder-decoder to write the target of a source text, such as the pronunciation of a spelling.

    Args:
        train: Training pairs: files with one pair per line (source, tab, target), also as LABEL=PATH, or a folder; in
            Python, also a data frame, a list of tuples, or a dict from labels to any of these.
        validation: Pairs to choose the epoch and the settings on; by default, a tenth of the training sources is
            held out.
        test: Pairs to report errors on; nothing is chosen on them.
        source: Text file of training sources, one per line, in place of `train`; line n of `target` is the target.
        target: Text file of training targets.
        validation_source: Text file of validation sources, in place of `validation`.
        validation_target: Text file of validation targets.
        test_source: Text file of test sources, in place of `test`.
        test_target: Text file of test targets.
        seed: Random seed of the weights, the minibatches and the noise.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run.
        jobs: Number of processes that try settings side by side; by default, one per processor.
        devices: Number of processes per machine that train the model together, each on a processor or a GPU of its own.
        nodes: Number of machines; start the command on each with torchrun or srun.

    Returns:
        The trained model; `model.report` shows its errors.

    Raises:
        InputError: if a pair or a setting is invalid.

    Example:
        contextual-rnn fit pairs --train train.tsv --validation dev.tsv --test test.tsv --out runs/spelling
    """
    candidates = PairSettings.candidates(options)
    read = {
        "train": either(train, source, target),
        "validation": either(validation, validation_source, validation_target, "validation"),
        "test": either(test, test_source, test_target, "test"),
    }
    data = PairData.read(**read, files=candidates[0])
    check_label([candidates[0].label], data)
    report = functools.partial(_report, data)
    model = fit_one(
        Training(data),
        candidates,
        report,
        lambda _: {},
        seed=seed,
        out=out,
        resume=resume,
        jobs=jobs,
        devices=devices,
        nodes=nodes,
    )
    if data.test and model.report.out is not None:
        model.report.files["Answers"] = model.report.out / "final" / "answers.tsv"
    return model


def _report(data: PairData, model: PairModel, result: dict[str, Any], history: list[dict[str, Any]]) -> FitReport:
    settings, metrics = model.settings, result["metrics"]
    rows = {"validation": {metric.key: metrics[f"validation_{metric.key}"] for metric in METRICS}}
    if data.test:
        rows["test"] = {metric.key: metrics[metric.key] for metric in METRICS}
    sentences = [
        f"Trained an encoder-decoder ({settings.cell}, {settings.hidden} units, bridge {settings.bridge}, attention "
        f"{settings.attention}) on {len(data.training)} pairs.",
        f"The weights are those of epoch {metrics['epoch']} of {len(history)}, which has the lowest validation error.",
        data.units.in_words(),
        *data.notes,
        *data.overlap(),
    ]
    return FitReport(sentences, METRICS, rows)
