"""Training of a model of texts: one run, and `fit`."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..._core.checkpoint import best_epoch
from ..._core.counted import counted
from ..._core.settings import takes_settings
from ...cores import IN_WORDS
from ...data.parquet import texts_are_larger
from ...data.table import Source
from ...data.units import in_words
from ...serialization import save
from ...study import parallel
from ...study.differences import worse_than_baselines
from ...study.fit import check_finite
from ...study.fit import fit as train_module
from ...study.report import FitReport, epoch_in_words, fit_one
from .baselines import baselines
from .batches import Encoded, TextBatch, dropped
from .data import TextData, Texts
from .metrics import BITS, BY_TEXT, METRICS, bits_by_text
from .model import TextModel
from .settings import TextSettings
from .stored import StoredTexts, read_from_disk

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VALIDATION = "validation_bits_per_symbol"


@dataclasses.dataclass(frozen=True)
class Training(parallel.Training):
    """Does one run: a trial, whose result has validation metrics only, or one that keeps and tests its model."""

    minimise = (VALIDATION,)

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics."""
        settings, data = TextSettings.from_json(config["settings"]), self.data
        torch.manual_seed(config["seed"])
        seen = data.seen
        model = TextModel(settings, data.symbols, data.fields, len(seen), data.training.longest)
        model.remember(seen)
        training, validation = encode(data.training, data.symbols), Encoded.of(data.validation, data.symbols)

        def evaluate(model: TextModel) -> dict[str, float]:
            return {VALIDATION: float(bits_by_text(model, validation).mean())}

        history = train_module(
            model,
            text_loss,
            lambda: training.bucketed(settings.batch_size, settings.updates),
            settings,
            seed=config["seed"],
            schedule="cosine",
            count=lambda _, batch: float(batch.lengths.sum()),
            evaluate=evaluate,
            minimise=self.minimise,
            patience=settings.patience,
            folder=folder,
        )
        best = history[best_epoch(history, self.minimise) - 1]
        metrics = {VALIDATION: best[VALIDATION], "epoch": best["epoch"]}
        check_finite(metrics)
        if config["fold"] is not None:
            return {"metrics": metrics}
        save(model, folder / "model.safetensors")
        if not len(data.test):
            return {"metrics": metrics}
        bits = bits_by_text(model, Encoded.of(data.test, data.symbols))
        metrics = {BITS.key: float(bits.mean()), **metrics}
        return {"metrics": metrics, BY_TEXT.values: bits.tolist()}


def encode(texts: Texts | StoredTexts, symbols: Sequence[str]) -> Encoded | StoredTexts:
    """Return training texts as numbers, or as they are if they stay on the disk."""
    return Encoded.of(texts, symbols) if isinstance(texts, Texts) else texts


def read_tables(train: Source, validation: Source | None, test: Source | None, settings: TextSettings) -> TextData:
    """Read every table once, or leave the training table on the disk; see `TextData.read`."""
    columns = [settings.text, *settings.context]
    if settings.memory is not None and texts_are_larger(train, columns, settings.memory):
        return read_from_disk(train, validation, test, settings)
    return TextData.read(train, validation, test, settings)


def text_loss(model: TextModel, batch: TextBatch) -> Tensor:
    """Return the mean negative log-likelihood per symbol of a minibatch, in nats; some context values are dropped."""
    context = dropped(batch.context, model.settings.drop, len(batch.lengths))
    return model.losses(batch._replace(context=context)).sum() / batch.lengths.sum()


@takes_settings(TextSettings)
def fit(
    train: Source,
    *,
    validation: Source | None = None,
    test: Source | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int = 1,
    nodes: int = 1,
    **options: Any,
) -> TextModel:
    """Train a model to write texts from what is known about them, such as molecules from their properties.

    Args:
        train: Training table with one row per text: a CSV, TSV or Parquet file; in Python, also a data frame.
        validation: Table to choose the epoch and the settings on; by default, a tenth of the training texts is held
            out.
        test: Table to report metrics on; nothing is chosen on it.
        seed: Random seed of the weights, the minibatches and the noise.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run.
        jobs: Number of processes that try settings side by side; by default, one per processor.
        devices: Number of processes per machine that train the model together, each on a processor or a GPU of its own.
        nodes: Number of machines; start the command on each with torchrun or srun.

    Returns:
        The trained model; `model.report` shows its metrics.

    Raises:
        InputError: if a table or a setting is invalid.

    Example:
        contextual-rnn fit texts --train molecules.csv --text smiles --context logp qed --unit smiles --out runs/drugs
    """
    candidates = TextSettings.candidates(options)
    data = read_tables(train, validation, test, candidates[0])
    report = functools.partial(_report, data)
    model = fit_one(
        Training(data),
        candidates,
        report,
        _no_figures,
        seed=seed,
        out=out,
        resume=resume,
        jobs=jobs,
        devices=devices,
        nodes=nodes,
    )
    model.backend = data.backend
    return model


def _no_figures(model: TextModel) -> dict[str, Callable[[], Figure]]:
    return {}


def _report(data: TextData, model: TextModel, result: dict[str, Any], history: list[dict[str, Any]]) -> FitReport:
    settings, metrics = model.settings, result["metrics"]
    rows = {"validation texts": {BITS.key: metrics[VALIDATION]}}
    if len(data.test):
        rows["test texts"] = {BITS.key: metrics[BITS.key]}
    last = list(rows)[-1]
    loss = rows[last][BITS.key]
    scored = Encoded.of(data.test if len(data.test) else data.validation, data.symbols)
    found = baselines(encode(data.training, data.symbols), scored, 1 + len(data.symbols))
    simple = {name: {BITS.key: float(bits.mean())} for name, bits in found.items()}
    rows |= {f"{name}, {last}": values for name, values in simple.items()}
    sentences = [
        f"Trained {IN_WORDS[settings.cell]} of {counted(settings.hidden, 'unit')} on "
        f"{counted(len(data.training), 'text')} of up to {counted(model.usual_length, 'symbol')} ("
        f"{in_words(settings.unit)}, {len(data.symbols)} distinct), with the context in: {settings.context_in}.",
        epoch_in_words(metrics["epoch"], len(history), "the lowest validation loss"),
        *data.remarks,
        "Lower is better.",
        *worse_than_baselines(f"On the {last}, the model", loss, simple, BITS),
    ]
    return FitReport(sentences, METRICS, rows)
