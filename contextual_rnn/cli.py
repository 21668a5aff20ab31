"""The command line: `contextual-rnn reproduce | fit | compare | predict`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # runs go side by side, one thread each; read when torch is imported

import dataclasses
import math
import pathlib
import sys
from typing import Annotated, Any, Literal

import torch
import tyro

from .data.series import Columns
from .errors import InputError
from .tasks.paper import KINDS as PAPER_KINDS
from .tasks.paper import Kind as PaperKind
from .tasks.series import KINDS, NEED_CONTEXT, Kind, Start


@dataclasses.dataclass(frozen=True)
class ReproduceDecay:
    """Figures 4, 5 and 6 of arXiv 1902.03455: linear cosine decay."""

    out: pathlib.Path
    """Run folder to make."""
    initial_states: tuple[PaperKind, ...] = PAPER_KINDS
    """Kinds of h0. With zero and context, the two by two is completed: h0 from context or not, T at every step or
    not."""
    seeds: int = 5
    """How many seeds, from 0."""
    epochs: int = 65
    """Passes over the 5000 training sequences."""
    smoke: bool = False
    """Two epochs of few sequences, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Train, draw, and say what was found."""
        from .experiments.lcd import DecayConfig, reproduce

        _positive(seeds=self.seeds, epochs=self.epochs)
        config = DecayConfig(epochs=2, each=50) if self.smoke else DecayConfig(epochs=self.epochs)
        print(reproduce(_kinds(self.initial_states), self.seeds, self.out, config, resume=self.resume))
        _name_pictures(self.out)


@dataclasses.dataclass(frozen=True)
class ReproduceRetrieval:
    """Figure 2 of arXiv 1902.03455: associative retrieval with fast weights."""

    out: pathlib.Path
    """Run folder to make."""
    initial_states: tuple[PaperKind, ...] = ("zero", "free", "context")
    """Kinds of h0 and of the initial fast weights; gaussian is beyond the paper."""
    order: Literal["paired", "grouped"] = "paired"
    """Of a sequence: each letter before its digit, or all letters before all digits (beyond the paper)."""
    seeds: int = 5
    """How many seeds, from 0."""
    epochs: int = 200
    """Passes over the 100,000 training sequences, at most; training stops when all of validation is right."""
    smoke: bool = False
    """Two epochs of few sequences, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Train, draw, and say what was found."""
        from .experiments.art import RetrievalConfig, reproduce

        _positive(seeds=self.seeds, epochs=self.epochs)
        small = {"epochs": 2, "training": 500, "validation": 200} if self.smoke else {"epochs": self.epochs}
        config = RetrievalConfig(order=self.order, **small)
        print(reproduce(_kinds(self.initial_states), self.seeds, self.out, config, resume=self.resume))
        _name_pictures(self.out)


@dataclasses.dataclass(frozen=True)
class ReproduceRetrievalTable:
    """Table 1 of Ba et al. (arXiv 1610.06258): test error of associative retrieval."""

    out: pathlib.Path
    """Run folder to make."""
    cells: tuple[Literal["irnn", "lstm", "fast-weights"], ...] = ("irnn", "lstm", "fast-weights")
    """Recurrent cores."""
    sizes: tuple[int, ...] = (20, 50, 100)
    """Units."""
    seeds: int = 3
    """How many seeds, from 0."""
    epochs: int = 60
    """Passes over the 100,000 training sequences, at most; training stops when all of validation is right."""
    trial_epochs: int = 15
    """Passes of the short runs, of seed 0, by whose validation accuracy the recipe is chosen."""
    learning_rates: tuple[float, ...] = (5e-4, 2e-3, 6e-3)
    """Of Adam in the first epoch, to choose among."""
    embedding_scales: tuple[float, ...] = (0.1, 1.0)
    """Standard deviations that the embedding starts with, to choose among."""
    smoke: bool = False
    """Two epochs of few sequences, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Choose, train, test, and print the table."""
        from .experiments.associative_retrieval_table import TableConfig, reproduce

        options = ("epochs", "trial_epochs", "learning_rates", "embedding_scales")
        given = {name: getattr(self, name) for name in options}
        _positive(sizes=self.sizes, seeds=self.seeds, **given)
        config = TableConfig(**given)
        if self.smoke:
            config = TableConfig(2, 1, 500, 200, 200, self.learning_rates[:2], self.embedding_scales[:1])
        print(
            reproduce(
                _kinds(self.cells, "--cells"),
                list(dict.fromkeys(self.sizes)),
                self.seeds,
                self.out,
                config,
                resume=self.resume,
            )
        )
        _name_pictures(self.out)


@dataclasses.dataclass(frozen=True)
class SeriesModelOptions:
    """The table, the model, its training. Options of several values are chosen among on the folds, for every kind."""

    train: str
    """CSV or Parquet, one row a time step, in order."""
    inputs: tuple[str, ...]
    """Columns of inputs."""
    targets: tuple[str, ...]
    """Columns to predict."""
    out: pathlib.Path
    """Run folder to make."""
    test: str | None = None
    """A table for the errors that are reported; nothing is chosen on it."""
    validation: str | None = None
    """A table to choose on, instead of folds of the training table."""
    context: tuple[str, ...] = ()
    """Columns that are constant within a series: numbers are quantities, text is labels."""
    series: str | None = None
    """The column that tells series apart; without it the table is one series."""
    window: int = 0
    """The first k steps, whose inputs and targets are known."""
    cell: Literal["lstm", "gru", "rnn", "fast-weights"] = "gru"
    """Recurrent core; fast-weights has one layer."""
    hidden: tuple[int, ...] = (32,)
    """Units of each layer."""
    layers: tuple[int, ...] = (1,)
    """Layers of the core."""
    length: tuple[int, ...] = (128,)
    """Steps of a training window after the known ones."""
    washout: tuple[int, ...] = (0,)
    """Further steps left out of the training loss."""
    learning_rate: tuple[float, ...] = (0.01,)
    """Of Adam, in the first epoch."""
    weight_decay: tuple[float, ...] = (0.1,)
    """Of AdamW."""
    epochs: tuple[int, ...] = (40,)
    """Passes of --updates batches; the learning rate falls over them to nothing."""
    updates: int = 50
    """Batches in an epoch, of windows drawn at random."""
    batch_size: int = 32
    """Windows in a batch."""
    clip: float = 1.0
    """The greatest norm of the gradient."""
    folds: int = 4
    """Folds of the training table to choose on."""
    accelerator: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def columns(self) -> Columns:
        """Return the columns by their role."""
        return Columns(self.inputs, self.targets, self.context, self.series)

    def grid(self, kind: str) -> list[Any]:
        """Return the options to choose among for a kind."""
        from .experiments.series_runs import grid

        self._check()
        varied = ("hidden", "layers", "length", "washout", "learning_rate", "weight_decay", "epochs")
        fixed = ("updates", "batch_size", "clip", "accelerator")
        model = {"cell": self.cell, "window": self.window}
        training = {**{name: getattr(self, name) for name in fixed}, "scored_length": max(self.length)}
        return grid(kind, model, training, {name: getattr(self, name) for name in varied})

    def files(self) -> Any:
        """Return the tables."""
        from .experiments.series_runs import SeriesFiles

        return SeriesFiles(self.train, self.columns(), self.validation, self.test)

    def _check(self) -> None:
        _positive(
            hidden=self.hidden,
            layers=self.layers,
            length=self.length,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            updates=self.updates,
            batch_size=self.batch_size,
            clip=self.clip,
        )
        for name in ("inputs", "targets", "washout", "weight_decay"):
            if not getattr(self, name):
                raise InputError(f"--{name.replace('_', '-')} needs at least one value")
        if self.window < 0 or min(self.washout) < 0 or not all(0 <= decay < math.inf for decay in self.weight_decay):
            raise InputError("--window, --washout and --weight-decay cannot be negative")
        if max(self.washout) >= min(self.length):
            raise InputError(f"--washout {max(self.washout)} leaves nothing of a --length of {min(self.length)} steps")
        if self.cell == "fast-weights" and max(self.layers) > 1:
            raise InputError(f"--layers must be 1 for --cell fast-weights; found {max(self.layers)}")
        if self.folds < 2 and not self.validation:
            raise InputError(f"--folds must be at least 2, or --validation given; found {self.folds}")


@dataclasses.dataclass(frozen=True)
class FitSeries(SeriesModelOptions):
    """Train one model on a table of series."""

    initial_state: Start | None = None
    """Kind of h0; context where a context or window is given, else zero."""
    seed: int = 0
    """Of weights, windows and noise."""

    def run(self) -> None:
        """Choose, train, and say what was done."""
        from .experiments.fit_series import fit_series

        if self.seed < 0:
            raise InputError(f"--seed cannot be negative; found {self.seed}")
        kind = self.initial_state or ("context" if self.window or self.context else "zero")
        print(
            fit_series(
                kind, self.grid(kind), self.files(), folds=self.folds, seed=self.seed, out=self.out, resume=self.resume
            )
        )


@dataclasses.dataclass(frozen=True)
class CompareSeries(SeriesModelOptions):
    """Does the initial state matter on these series, and by how much? Needs --test."""

    initial_states: tuple[Kind, ...] = ()
    """Kinds of h0, and the controls warm-up and every-step; none: all that the window and context allow."""
    seeds: int = 5
    """How many seeds, from 0; under five, no difference is claimed."""

    def run(self) -> None:
        """Choose, train, compare, and print a table and a verdict."""
        from .experiments.compare_series import compare

        if self.test is None:
            raise InputError("compare series needs --test, a table that nothing is chosen on")
        _positive(seeds=self.seeds)
        options: dict[str, list[Any]] = {
            kind: self.grid(kind) for kind in dict.fromkeys(self.initial_states or self._possible())
        }
        table, verdict = compare(
            options, self.files(), folds=self.folds, seeds=self.seeds, out=self.out, resume=self.resume
        )
        print(f"{table}\n\n{verdict}")

    def _possible(self) -> list[Kind]:
        told = bool(self.window or self.context)
        kinds = [kind for kind in KINDS if told or kind not in NEED_CONTEXT]
        return kinds if self.window else [kind for kind in kinds if kind != "warm-up"]


@dataclasses.dataclass(frozen=True)
class Predict:
    """Run a trained model of series freely over new inputs."""

    run_folder: Annotated[pathlib.Path, tyro.conf.arg(name="run"), tyro.conf.Positional]
    """The folder that `fit series` made."""
    inputs: str
    """A table with the input columns, and the targets of the first steps where the model has a window."""
    out: str
    """The table to write, CSV or Parquet."""
    start: str | None = None
    """A file of states to start from, written by --end of an earlier call."""
    end: str | None = None
    """Where to write the states that the series ended in, so that the next call can go on."""

    def run(self) -> None:
        """Predict, and say what was written."""
        from .experiments.predict_series import predict

        print(predict(self.run_folder, self.inputs, self.out, start=self.start, end=self.end))


COMMANDS: dict[str, Any] = {
    "reproduce": {
        "lcd": ReproduceDecay,
        "art": ReproduceRetrieval,
        "associative-retrieval-table": ReproduceRetrievalTable,
    },
    "fit": {"series": FitSeries},
    "compare": {"series": CompareSeries},
    "predict": Predict,
}


def parse(arguments: list[str]) -> Any:
    """Return the command, with its arguments; tyro prints help and ends the program where they are no command."""
    group = COMMANDS.get(arguments[0]) if arguments else None
    if isinstance(group, dict):
        prog = f"contextual-rnn {arguments[0]}"
        return tyro.extras.subcommand_cli_from_dict(group, prog=prog, args=arguments[1:])
    flat = {name: command for name, command in COMMANDS.items() if not isinstance(command, dict)}
    for name, commands in COMMANDS.items():
        if isinstance(commands, dict):
            flat |= {f"{name} {what}": command for what, command in commands.items()}
    return tyro.extras.subcommand_cli_from_dict(flat, prog="contextual-rnn", args=arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; bad input ends it with one sentence and exit code 2."""
    torch.set_num_threads(1)  # the variable above reaches the workers; here torch was imported before it was set
    command = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        command.run()
    except InputError as error:
        print(f"contextual-rnn: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("contextual-rnn: stopped; --resume goes on from here", file=sys.stderr)
        sys.exit(130)


def _name_pictures(out: pathlib.Path) -> None:
    pictures = sorted(path.name for path in (out / "figures").glob("*.png"))
    print(f"The pictures are in {out / 'figures'}: {', '.join(pictures)}.")


def _positive(**values: Any) -> None:
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value == ():
            raise InputError(f"{option} needs at least one value")
        for number in value if isinstance(value, tuple) else (value,):
            if not 0 < number < math.inf:
                raise InputError(f"{option} must be greater than 0; found {number}")


def _kinds(kinds: tuple[Any, ...], option: str = "--initial-states") -> list[Any]:
    """Return them once each."""
    if not kinds:
        raise InputError(f"{option} needs at least one value")
    return list(dict.fromkeys(kinds))
