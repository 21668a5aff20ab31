"""`fit series`, `compare series`, `predict` and `sample`: the user's own tables of series."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from typing import Annotated, Any, Literal

import tyro

from ..data.series import Columns
from ..errors import InputError
from ..jobs.series.model import KINDS, NEED_CONTEXT, Kind, Start
from .options import check_accelerator, check_seed, positive


@dataclasses.dataclass(frozen=True)
class SeriesModelOptions:
    """The table, the model, its training. Options of several values are chosen among on the folds, for every kind."""

    train: str
    """CSV or Parquet, one row a time step, in order."""
    targets: tuple[str, ...]
    """Columns to predict."""
    out: pathlib.Path
    """Run folder to make."""
    inputs: tuple[str, ...] = ()
    """Columns of inputs; without them the targets are generated from the context alone."""
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
        from ..jobs.series.purposes import purpose_of
        from ..jobs.series.runs import grid

        self._check()
        varied = ("hidden", "layers", "length", "washout", "learning_rate", "weight_decay", "epochs")
        fixed = ("updates", "batch_size", "clip", "accelerator")
        model = {"cell": self.cell, "window": self.window}
        training = {**{name: getattr(self, name) for name in fixed}, "scored_length": max(self.length)}
        purpose = purpose_of(self.columns())
        return grid(kind, purpose, model, training, {name: getattr(self, name) for name in varied})

    def files(self) -> Any:
        """Return the tables."""
        from ..jobs.series.runs import SeriesFiles

        return SeriesFiles(self.train, self.columns(), self.validation, self.test)

    def _check(self) -> None:
        positive(
            hidden=self.hidden,
            layers=self.layers,
            length=self.length,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            updates=self.updates,
            batch_size=self.batch_size,
            clip=self.clip,
        )
        for name in ("targets", "washout", "weight_decay"):
            if not getattr(self, name):
                raise InputError(f"--{name.replace('_', '-')} needs at least one value")
        self._check_generation()
        if self.window < 0 or min(self.washout) < 0 or not all(0 <= decay < math.inf for decay in self.weight_decay):
            raise InputError("--window, --washout and --weight-decay must be at least 0 and finite")
        if max(self.washout) >= min(self.length):
            raise InputError(f"--washout {max(self.washout)} leaves nothing of a --length of {min(self.length)} steps")
        if self.cell == "fast-weights" and max(self.layers) > 1:
            raise InputError(f"--layers must be 1 for --cell fast-weights; found {max(self.layers)}")
        check_accelerator(self.accelerator)
        if self.folds < 2 and not self.validation:
            raise InputError(f"--folds must be at least 2, or --validation given; found {self.folds}")

    def _check_generation(self) -> None:
        """Raise InputError for options that mean nothing where there are no inputs."""
        if self.inputs:
            return
        for name in ("window", "length", "washout", "updates"):
            if getattr(self, name) != SeriesModelOptions.__dataclass_fields__[name].default:
                raise InputError(f"--{name} is for series with --inputs; without them whole series are generated")


@dataclasses.dataclass(frozen=True)
class FitSeries(SeriesModelOptions):
    """Train one model on a table of series."""

    initial_state: Start | None = None
    """Kind of h0; context where a context or window is given, else zero."""
    seed: int = 0
    """Of weights, windows and noise."""

    def run(self) -> None:
        """Choose, train, and say what was done."""
        from ..jobs.series.fit import fit_series

        check_seed(self.seed)
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
        from ..jobs.series.compare import compare

        if self.test is None:
            raise InputError("compare series needs --test, a table that nothing is chosen on")
        positive(seeds=self.seeds)
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
        from ..jobs.series.predict import predict

        print(predict(self.run_folder, self.inputs, self.out, start=self.start, end=self.end))


@dataclasses.dataclass(frozen=True)
class Sample:
    """Generate series from a model that `fit series` trained without inputs."""

    run_folder: Annotated[pathlib.Path, tyro.conf.arg(name="run"), tyro.conf.Positional]
    """The folder that `fit series` made."""
    out: str
    """The table to write, CSV or Parquet."""
    context: tuple[str, ...] = ()
    """What is told of the series: NAME=VALUE for every context column, such as period=2.0."""
    n: int = 100
    """How many series."""
    steps: int = 1000
    """How many steps each has, at most."""
    temperature: float = 1.0
    """1 is the model itself; towards 0, what is likeliest."""
    seed: int = 0
    """Series i of a seed is always the same."""
    figure: str | None = None
    """A .png file to draw the bands of 200 such series in."""

    def run(self) -> None:
        """Generate, and say what was written."""
        from ..jobs.generation.sample import sample

        positive(n=self.n, steps=self.steps)
        check_seed(self.seed)
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"--temperature cannot be negative; found {self.temperature}")
        told = dict(self._told(text) for text in self.context)
        print(
            sample(
                self.run_folder,
                self.out,
                told,
                n=self.n,
                steps=self.steps,
                temperature=self.temperature,
                seed=self.seed,
                figure=self.figure,
            )
        )

    def _told(self, text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--context takes NAME=VALUE, such as period=2.0; found {text!r}")
        return name, value
