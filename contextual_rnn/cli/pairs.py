"""`fit pairs`, `compare pairs` and `transcribe`: the user's own files of pairs of texts."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import tyro

from ..errors import InputError
from ..jobs.pairs.model import Bridge, Feeding, Looks, Told
from .options import check_accelerator, check_seed, into, once_each, positive

VARIED = ("hidden", "layers", "embedding", "dropout", "learning_rate", "weight_decay")


@dataclasses.dataclass(frozen=True)
class PairOptions:
    """The files, the model, its training. Options of several values are chosen among on validation."""

    train: tuple[str, ...]
    """A text file: a line a pair, source and target parted by a tab, each of characters or of symbols parted by
    spaces. Several as LABEL=PATH, such as fre=fre.tsv gre=gre.tsv."""
    out: pathlib.Path
    """Run folder to make."""
    validation: tuple[str, ...] = ()
    """Pairs to choose the epoch by; without them a tenth of the training sources is held out."""
    test: tuple[str, ...] = ()
    """Pairs for the errors that are reported; nothing is chosen on them."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Of encoder and decoder."""
    hidden: tuple[int, ...] = (256,)
    """Units of the decoder; each direction of the encoder has half."""
    layers: tuple[int, ...] = (1,)
    """Of each."""
    embedding: tuple[int, ...] = (128,)
    """The width of a symbol's vector."""
    dropout: tuple[float, ...] = (0.5,)
    """Of embedded symbols and of what the output layer reads."""
    input_feeding: bool = False
    """Feed what attention made of a step to the decoder's next one, too; slower."""
    learning_rate: tuple[float, ...] = (2e-3,)
    """Of Adam, in the first epoch; it falls to nothing."""
    weight_decay: tuple[float, ...] = (0.3,)
    """Of AdamW."""
    epochs: int = 40
    """Passes over the pairs, at most."""
    patience: int = 20
    """Epochs without a better validation error that end the training."""
    batch_size: int = 32
    """Pairs."""
    clip: float = 1.0
    """The greatest norm of the gradient."""
    sampling: float = 0.3
    """The probability, in the last epoch, that the decoder is fed its own prediction; it grows from 0."""
    unknown: float = 0.005
    """The share of source symbols that training hides, to learn what to make of those it has not seen."""
    beam: int = 5
    """Width of the search for the answers to the test."""
    accelerator: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def options(self, **factors: str) -> Any:
        """Return the options to choose among."""
        from ..jobs.pairs.choice import PairOption, grid
        from ..jobs.pairs.model import PairConfig
        from ..jobs.pairs.train import PairTraining

        option = PairOption(into(PairConfig, self, PairOptions), into(PairTraining, self, PairOptions))
        option = option.with_factors(**factors) if factors else option
        return grid(
            option, {name: tuple(once_each(getattr(self, name), f"--{name.replace('_', '-')}")) for name in VARIED}
        )

    def files(self) -> Any:
        """Return the files."""
        from ..jobs.pairs.train import PairFiles

        return PairFiles(self.train, self.validation, self.test)

    def check(self) -> None:
        """Raise InputError for an option out of its range."""
        if not self.train:
            raise InputError("--train needs at least one file")
        more = ("hidden", "layers", "embedding", "learning_rate", "epochs", "patience", "batch_size", "clip", "beam")
        positive(**{name: getattr(self, name) for name in more})
        odd = [size for size in self.hidden if size % 2]
        if odd:
            raise InputError(f"--hidden must be even, for each direction of the encoder has half; found {odd[0]}")
        for share in (*self.dropout, self.unknown):
            if not 0 <= share < 1:
                raise InputError(f"--dropout and --unknown must be at least 0 and less than 1; found {share}")
        if not 0 <= self.sampling <= 1:
            raise InputError(f"--sampling must be from 0 to 1; found {self.sampling}")
        for name in ("dropout", "weight_decay"):
            if not getattr(self, name):
                raise InputError(f"--{name.replace('_', '-')} needs at least one value")
        if not all(0 <= decay < math.inf for decay in self.weight_decay):
            found = ", ".join(map(str, self.weight_decay))
            raise InputError(f"--weight-decay must be at least 0 and finite; found {found}")
        check_accelerator(self.accelerator)


@dataclasses.dataclass(frozen=True)
class FitPairs(PairOptions):
    """Train one model on a file of pairs of texts, such as spelling and pronunciation."""

    bridge: Bridge = "project"
    """From the encoder's final state to the decoder's h0."""
    attention: Looks = "additive"
    """Of the decoder."""
    feeding: Feeding = "truth"
    """What the decoder is fed in training."""
    label: Told = "h0"
    """Where the label of a file is told, if files have labels: in the encoder's h0, in a first symbol, or nowhere."""
    seed: int = 0
    """Of weights, order and noise."""

    def run(self) -> None:
        """Train, and say what was done."""
        from ..jobs.pairs.fit import fit_pairs

        self.check()
        if self.input_feeding and self.attention == "none":
            raise InputError("--input-feeding feeds what attention read: give an --attention, or leave it out")
        check_seed(self.seed)
        options = self.options(bridge=self.bridge, attention=self.attention, feeding=self.feeding, label=self.label)
        print(fit_pairs(options, self.files(), seed=self.seed, out=self.out, resume=self.resume))


@dataclasses.dataclass(frozen=True)
class ComparePairs(PairOptions):
    """What bridge, attention, feeding and label are worth on these pairs, and how good an ensemble is. Needs --test.

    Of --bridge, --attention, --feeding and --label the first value is the base; each other is tried alone against it.
    """

    bridge: tuple[Bridge, ...] = ("project", "zero")
    """From the encoder's final state to the decoder's h0."""
    attention: tuple[Looks, ...] = ("additive",)
    """Of the decoder."""
    feeding: tuple[Feeding, ...] = ("truth",)
    """What the decoder is fed in training."""
    label: tuple[Told, ...] = ("h0",)
    """Where the label of a file is told, if files have labels: in the encoder's h0, in a first symbol, or nowhere."""
    seeds: int = 5
    """How many seeds, from 0; under five, no difference is claimed."""

    def run(self) -> None:
        """Train, compare, and print a table and what each factor is worth."""
        from ..jobs.pairs.compare import FACTORS, compare

        self.check()
        positive(seeds=self.seeds)
        if not self.test:
            raise InputError("compare pairs needs --test, pairs that nothing is chosen on")
        values = {factor: tuple(once_each(getattr(self, factor), f"--{factor}")) for factor in FACTORS}
        if len(self.train) == 1:
            if len(self.label) > 1:
                raise InputError(f"--label {' '.join(self.label)}: of one file there are no labels to tell")
            values["label"] = ("none",)
        print(compare(values, self.options(), self.files(), seeds=self.seeds, out=self.out, resume=self.resume))


@dataclasses.dataclass(frozen=True)
class Transcribe:
    """Write the targets of new sources, a line each: source, tab, target."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.arg(name="run"), tyro.conf.Positional]
    """The folder that `fit pairs` made; of several the predictions are averaged."""
    input: str = "-"
    """A text file, UTF-8, a source a line; - is standard input."""
    label: str | None = None
    """Of all sources, where the model knows labels."""
    beam: int = 5
    """Width of the search; 1 is greedy."""
    n_best: int = 1
    """Targets for a source, at most --beam."""
    alpha: float = 0.0
    """Of the length penalty: the score is the log probability over length to this power."""
    scores: bool = False
    """Write the score of each target after it, parted by a tab."""
    longest: int = 100
    """The most symbols of a target, its end not counted."""
    batch_size: int | None = None
    """Lines that are answered at once; 1 where a person types them, else 64."""

    def run(self) -> None:
        """Transcribe to standard output."""
        from ..jobs.pairs.transcribe import check_label, read_models, transcribe

        size = 1 if self.batch_size is None else self.batch_size
        positive(beam=self.beam, n_best=self.n_best, longest=self.longest, batch_size=size)
        if self.n_best > self.beam:
            raise InputError(f"--n-best can be at most --beam, {self.beam}; found {self.n_best}")
        if not 0 <= self.alpha < math.inf:
            raise InputError(f"--alpha must be at least 0 and finite; found {self.alpha}")
        if not self.runs:
            raise InputError("transcribe needs the folder of a run that fit pairs made")
        models = read_models(self.runs)
        check_label(models[0], self.label)
        options = {"beam": self.beam, "n_best": self.n_best, "alpha": self.alpha, "longest": self.longest}
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as what is read, whatever the terminal's language
        with _opened(self.input) as lines:
            name = "standard input" if self.input == "-" else self.input
            size = self.batch_size or (1 if self.input == "-" and sys.stdin.isatty() else 64)
            told: dict[str, Any] = {"label": self.label, "scores": self.scores, "batch_size": size, **options}
            for text, said in transcribe(models, lines, name, **told):
                print(text, flush=True)
                if said:
                    print(f"contextual-rnn: {said}", file=sys.stderr)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Iterable[bytes]]:
    if path == "-" and sys.stdin is None:
        raise InputError("standard input is closed; give a file of sources: --input")
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InputError(f"--input {path} cannot be read: {error.strerror}") from None
    with file:
        yield file
