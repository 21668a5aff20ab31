"""One run of a model of pairs: its files, its settings, its training, its answers to the test."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import Any

import torch

from ...data.pairs import Pair, Units, Vocabulary, bucketed, label_and_path, read_labelled
from ...errors import InputError
from ...seq2seq import make_feeding
from ...serialization import save
from ...study.fit import FitConfig, fit
from ...study.parallel import Job
from .metrics import Question, answer, questions, table
from .model import PairConfig, PairLoss, PairModel

HELD_OUT = 0.1  # the share of the sources that is held out to choose by, where there is no validation file
CHOSEN_BY = ("validation_word_error_rate", "validation_phone_error_rate")  # by the second where the first is equal


@dataclasses.dataclass(frozen=True)
class PairFiles:
    """The files of pairs, each `PATH`, or several as `LABEL=PATH`.

    Attributes:
        train: to train on.
        validation: to choose the epoch by; without it, a tenth of the training sources is held out.
        test: for the errors that are reported; nothing is chosen on it.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def paths(self) -> list[str]:
        """Return every path."""
        return [label_and_path(file)[1] for file in (*self.train, *self.validation, *self.test)]


@dataclasses.dataclass(frozen=True)
class PairTraining:
    """How to train.

    Attributes:
        epochs: passes over the pairs, at most.
        learning_rate: of Adam in the first epoch; it falls to nothing by a cosine.
        weight_decay: of AdamW.
        clip: the greatest norm of the gradient.
        batch_size: pairs.
        feeding: what the decoder is fed: truth, or its own predictions now and then, as embedding or output.
        sampling: the probability of an own prediction in the last epoch; it grows from 0.
        unknown: the share of source symbols that training replaces by the one for those not seen.
        patience: how many epochs without a better validation error end the training.
        beam: the width of the search for the answers to the test.
        accelerator: where to train.
    """

    epochs: int = 40
    learning_rate: float = 2e-3
    weight_decay: float = 0.3
    clip: float = 1.0
    batch_size: int = 32
    feeding: str = "truth"
    sampling: float = 0.3
    unknown: float = 0.005
    patience: int = 20
    beam: int = 5
    accelerator: str = "cpu"


@dataclasses.dataclass(frozen=True)
class PairData:
    """The pairs to train on, what to choose by, and what to report."""

    training: list[Pair]
    validation: list[Question]
    test: list[Question]
    labels: list[str]
    units: Units

    @classmethod
    def read(cls, files: PairFiles) -> PairData:
        """Read all files; raise InputError where one is wrong, or has labels that the training files have not."""
        training, labels, units = read_labelled(files.train)
        test = _read_more(files.test, labels, units)
        if files.validation:
            return cls(training, questions(_read_more(files.validation, labels, units)), questions(test), labels, units)
        kept, held = hold_out(training)
        return cls(kept, questions(held), questions(test), labels, units)

    def seen(self) -> list[str]:
        """Return a sentence for each file that shares sources with the training file, of which its error says less."""
        known = {(pair.source, pair.label) for pair in self.training}
        found = []
        for name, asked in (("validation", self.validation), ("test", self.test)):
            count = sum((one.source, one.label) in known for one in asked)
            if count:
                found.append(f"Of the {len(asked)} {name} sources {count} are in the training file too.")
        return found


def _read_more(files: tuple[str, ...], labels: list[str], units: Units) -> list[Pair]:
    if not files:
        return []
    pairs, found, _ = read_labelled(files, units)
    strange = [label for label in found if label not in labels]
    if strange or (labels and not found):
        wanted = ", ".join(labels) or "none"
        raise InputError(
            f"{files[0]}: its label is {', '.join(strange) or 'missing'}; the training files have {wanted}"
        )
    return pairs


def hold_out(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to train on and those of a tenth of the sources, drawn at random, always the same.

    Raises:
        InputError: there are too few sources to hold one out.
    """
    sources = list(dict.fromkeys((pair.source, pair.label) for pair in pairs))
    if len(sources) < 2:
        raise InputError("the training file has a single source; two are needed to hold one out, or --validation")
    order = torch.randperm(len(sources), generator=torch.Generator().manual_seed(0)).tolist()
    held = {sources[place] for place in order[: max(1, int(HELD_OUT * len(sources)))]}
    return [pair for pair in pairs if (pair.source, pair.label) not in held], [
        pair for pair in pairs if (pair.source, pair.label) in held
    ]


def fingerprints(files: PairFiles) -> dict[str, str]:
    """Return the SHA-256 of every file, so that a run is not resumed on other data."""
    return {path: hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() for path in files.paths()}


def job(name: str, model: PairConfig, training: PairTraining, files: PairFiles, seed: int) -> Job:
    """Return a run."""
    config = {
        "model": dataclasses.asdict(model),
        "training": dataclasses.asdict(training),
        "files": dataclasses.asdict(files),
        "seed": seed,
    }
    return Job(name, config, training.epochs)


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Do one run; return its metrics, and which answers to the test are wrong."""
    training, seed = PairTraining(**config["training"]), config["seed"]
    data = PairData.read(PairFiles(**{name: tuple(files) for name, files in config["files"].items()}))
    torch.manual_seed(seed)
    source, target = (Vocabulary.of(side).symbols for side in _sides(data.training))
    model = PairModel(PairConfig(**config["model"]), source, target, data.units, data.labels)
    history = _fit(model, data, training, seed, folder)
    save(model, folder / "model.safetensors")
    best = min(history, key=lambda metrics: [metrics[name] for name in CHOSEN_BY])
    metrics = {name: best[name] for name in (*CHOSEN_BY, "epoch")}
    if not data.test:
        return {"metrics": metrics}
    answers = answer([model], data.test, training.beam)
    (folder / "answers.tsv").write_text(table(answers, data.units), encoding="utf-8")
    return {"metrics": {**answers.metrics(), **metrics}, "wrong": answers.wrong}


def _sides(pairs: list[Pair]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return [pair.source for pair in pairs], [pair.target for pair in pairs]


def _fit(
    model: PairModel, data: PairData, training: PairTraining, seed: int, folder: pathlib.Path
) -> list[dict[str, float]]:
    encoded = model.encode(data.training)
    steps = training.epochs * -(-len(encoded) // training.batch_size)
    loss = PairLoss(make_feeding(training.feeding, training.sampling, steps, seed), training.unknown)

    def evaluate(model: PairModel) -> dict[str, float]:
        metrics = answer([model], data.validation).metrics()
        return {f"validation_{name}": metrics[name] for name in ("word_error_rate", "phone_error_rate")}

    settings = FitConfig(
        training.epochs,
        training.learning_rate,
        training.clip,
        training.weight_decay,
        "cosine",
        seed,
        training.accelerator,
        CHOSEN_BY,
        training.patience,
    )
    return fit(model, loss, lambda: bucketed(encoded, training.batch_size), settings, evaluate=evaluate, folder=folder)
