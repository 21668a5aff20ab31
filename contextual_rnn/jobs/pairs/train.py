"""Training of a model of pairs: one run, and `fit`."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..._core.checkpoint import best_epoch
from ..._core.counted import counted
from ..._core.files import write_bytes
from ..._core.settings import takes_settings
from ...data.encoded_pairs import PairBatch, Vocabulary, bucketed, updates_of_epoch
from ...data.pairs import Pair, PairSource
from ...errors import InputError
from ...seq2seq import make_feeding
from ...serialization import save
from ...study import parallel
from ...study.fit import fit as train_module
from ...study.report import FitReport, epoch_in_words, fit_one
from ..choices import feeding_in_words
from .answers import Answers, answer
from .data import PairData, either
from .learned import SOURCES, Match, not_learned_in_words
from .metrics import metrics_of, scored_by
from .model import PairModel
from .network import PairLoss, PairNetwork, mean_loss
from .settings import PairSettings
from .stored import StoredPairs, is_stored, read_from_disk
from .subwords import number_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINIMISED = {
    "error": ("validation_word_error_rate", "validation_phone_error_rate"),
    "loss": ("validation_loss",),
    "bleu": ("-validation_bleu",),
}  # by the setting `choose_by`
WARMUP = 10  # the warm-up is at most the training over this number
BEST = {
    "error": "the lowest validation error",
    "loss": "the lowest validation loss",
    "bleu": "the highest validation BLEU",
}


@dataclasses.dataclass(frozen=True)
class Training(parallel.Training):
    """Does one run: a trial, whose result has validation errors only, or one that keeps and tests its model.

    Attributes:
        chosen_by: the metric that chooses the epoch and the settings, one of `MINIMISED`.
    """

    chosen_by: str = "error"

    @property
    def minimise(self) -> tuple[str, ...]:  # type: ignore[override]
        """The validation metrics to minimise, in order of priority."""
        return MINIMISED[self.chosen_by]

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics, and which answers are wrong."""
        settings, data = PairSettings.from_json(config["settings"]), self.data
        torch.manual_seed(config["seed"])
        sources, targets = vocabularies(data.training)
        model = PairModel(settings, sources, targets, data.units, data.labels, data.label_separator, data.subwords)
        updates, batches = minibatches(model, data.training)
        steps = settings.epochs * updates
        history = self._train(model, batches, steps, config["seed"], folder)
        best = history[best_epoch(history, self.minimise) - 1]
        metrics = {name: value for name, value in best.items() if name == "epoch" or name.startswith("validation_")}
        if config["fold"] is not None:
            return {"metrics": metrics}
        by_loss = self.chosen_by == "loss"  # then the epochs were not searched
        searched = answer([model], data.validation if by_loss else data.validation[:SOURCES])
        metrics |= _validation(searched) if by_loss else {}
        match = Match.of(searched)
        noted: dict[str, Any] = {} if match is None else {"match": dataclasses.asdict(match)}
        if warmup_of(settings, steps) < settings.warmup:
            noted["warmup"] = warmup_of(settings, steps)
        save(model, folder / "model.safetensors")
        if not data.test:
            return {"metrics": metrics, **noted}
        answers = answer([model], data.test, settings.beam, **settings.penalties)
        write_bytes(folder / "answers.tsv", answers.table(data.units).encode())
        found: dict[str, Any] = {
            "metrics": {**answers.metrics(), **metrics},
            **answers.of_each(),
            "wrong": answers.wrong,
            **noted,
        }
        return found | ({"by_length": answers.by_length()} if answers.unit == "subwords" else {})

    def _train(
        self,
        model: PairModel,
        batches: Callable[[], Iterator[PairBatch]],
        steps: int,
        seed: int,
        folder: pathlib.Path,
    ) -> list[dict[str, float]]:
        settings = model.settings
        feeding = make_feeding(settings.feeding, settings.sampling, steps, seed)
        return train_module(
            model,
            PairLoss(feeding, settings.unknown, settings.label_smoothing),
            batches,
            settings,
            seed=seed,
            schedule="cosine",
            warmup=warmup_of(settings, steps),
            count=lambda _, batch: float(batch.target_lengths.sum()) + len(batch.target_lengths),
            evaluate=self._evaluate,
            minimise=self.minimise,
            patience=settings.patience,
            folder=folder,
        )

    def _evaluate(self, model: PairNetwork) -> dict[str, float]:
        """Return the validation metrics of an epoch; those of a search only if they choose the epoch."""
        searched = {} if self.chosen_by == "loss" else _validation(answer([model], self.data.validation))
        if self.chosen_by == "error":
            return searched
        return searched | {"validation_loss": mean_loss(model, self.data.validation)}


def warmup_of(settings: PairSettings, steps: int) -> int:
    """Return the number of updates of the warm-up: that of the settings, but at most a tenth of all `steps` updates."""
    return min(settings.warmup, max(steps // WARMUP, 1))


def warmup_in_words(settings: PairSettings, result: dict[str, Any]) -> list[str]:
    """Return a sentence on a warm-up that was shortened; none if it was not."""
    if "warmup" not in result:
        return []
    shortened = counted(result["warmup"], "update")
    return [f"The warm-up was shortened from {settings.warmup} to {shortened}, a tenth of the training (`warmup`)."]


def vocabularies(training: list[Pair] | StoredPairs) -> tuple[list[str], list[str]]:
    """Return the symbols of the sources and of the targets, sorted."""
    if isinstance(training, StoredPairs):
        return sorted(training.sources), sorted(training.targets)
    sides = (pair.source for pair in training), (pair.target for pair in training)
    return Vocabulary.of(sides[0]).symbols, Vocabulary.of(sides[1]).symbols


def minibatches(
    model: PairNetwork, training: list[Pair] | StoredPairs
) -> tuple[int, Callable[[], Iterator[PairBatch]]]:
    """Return the number of minibatches of an epoch, and what draws them."""
    size, symbols = model.settings.batch_size, model.settings.batch_symbols
    if isinstance(training, StoredPairs):
        return training.updates(model, size, symbols), lambda: training.batches(model, size, symbols)
    encoded = model.encode(training)
    return updates_of_epoch(encoded, size, symbols), lambda: bucketed(encoded, size, symbols=symbols)


def read_tables(
    train: PairSource | None, validation: PairSource | None, test: PairSource | None, settings: PairSettings
) -> PairData:
    """Read all pairs once, or leave the training pairs on the disk; see `PairData.read`."""
    if train is not None and settings.memory is not None and is_stored(train, settings):
        return read_from_disk(train, validation, test, settings)
    return PairData.read(train=train, validation=validation, test=test, files=settings)


def _validation(answers: Answers) -> dict[str, float]:
    metrics = answers.metrics()
    return {f"validation_{metric.key}": metrics[metric.key] for metric in metrics_of(answers.unit)}


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
    """Train an encoder-decoder to write the target of a source text: a translation, or the sounds of a spelling.

    For sentences, give `source_unit` subwords and `target_unit` subwords.

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
    data = read_tables(**read, settings=candidates[0])
    candidates = [one.replace(subwords=number_of(data.subwords, one.subwords)) for one in candidates]
    check_label([candidates[0].label], data)
    report = functools.partial(_report, data)
    training = Training(data, chosen_by=candidates[0].chosen_by(data.units.target))
    return fit_one(
        training,
        candidates,
        report,
        lambda model: _figures(data, model),
        seed=seed,
        out=out,
        resume=resume,
        jobs=jobs,
        devices=devices,
        nodes=nodes,
    )


def _figures(data: PairData, model: PairModel) -> dict[str, Callable[[], Figure]]:
    """Return what draws each figure of the run folder: the attention on test or validation sources, if there is one."""
    if model.settings.attention == "none":
        return {}

    def draw() -> Figure:
        from .figures import plot_attention

        return plot_attention(model, data.test or data.validation)

    return {"attention": draw}


def _report(data: PairData, model: PairModel, result: dict[str, Any], history: list[dict[str, Any]]) -> FitReport:
    settings, metrics, shown = model.settings, result["metrics"], metrics_of(data.units.target)
    rows = {"validation": {metric.key: metrics[f"validation_{metric.key}"] for metric in shown}}
    if data.test:
        rows["test"] = {metric.key: metrics[metric.key] for metric in shown}
    references = [one.references for one in data.test or data.validation]
    best = BEST[settings.chosen_by(data.units.target)]
    feeding = feeding_in_words(settings.feeding, settings.sampling, settings.epochs)
    sentences = [
        f"Trained an encoder-decoder ({settings.cell}, {counted(settings.hidden, 'unit')}, bridge {settings.bridge}, "
        f"attention {settings.attention}, {feeding}) on {counted(len(data.training), 'pair')}.",
        epoch_in_words(metrics["epoch"], len(history), best),
        *not_learned_in_words(Match.from_results(result)),
        *warmup_in_words(settings, result),
        data.units.in_words(),
        *data.notes,
        *data.overlap(),
        *(f"Metric: {one}." for one in scored_by(references, data.units.target)),
    ]
    return FitReport(sentences, shown, rows)
