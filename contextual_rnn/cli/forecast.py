"""`fit forecast`, `compare forecast` and `forecast`: the future of the user's own series by encoder and decoder."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from typing import Annotated, Any, Literal

import tyro

from ..data.series import Columns
from ..errors import InputError
from ..jobs.pairs.model import Bridge, Looks
from .options import check_accelerator, check_seed, into, once_each, positive

ForecastFeeding = Literal["truth", "output"]


@dataclasses.dataclass(frozen=True)
class ForecastOptions:
    """The tables, the model, its training."""

    train: str
    """CSV or Parquet, one row a time step, in order."""
    targets: tuple[str, ...]
    """Columns to forecast."""
    out: pathlib.Path
    """Run folder to make."""
    inputs: tuple[str, ...] = ()
    """Columns that are known of the future too."""
    test: str | None = None
    """A table for the errors that are reported; nothing is chosen on it."""
    validation: str | None = None
    """A table to choose the epoch by; without it the end of each training series that is long enough: a fifth, and at
    least --past and --horizon steps."""
    context: tuple[str, ...] = ()
    """Columns that are constant within a series, told in the encoder's h0: numbers are quantities, text is labels."""
    series: str | None = None
    """The column that tells series apart; without it the table is one series."""
    past: int = 50
    """Steps that are read before each forecast."""
    horizon: int = 20
    """Steps that are forecast."""
    cell: Literal["lstm", "gru"] = "gru"
    """Of encoder and decoder."""
    hidden: int = 32
    """Units of each layer of each."""
    layers: int = 1
    """Of each."""
    learning_rate: float = 5e-3
    """Of Adam, in the first epoch; it falls to nothing."""
    weight_decay: float = 0.1
    """Of AdamW."""
    epochs: int = 40
    """Of --updates batches; the best by validation is kept."""
    updates: int = 50
    """Batches in an epoch, of stretches drawn at random."""
    batch_size: int = 32
    """Stretches in a batch."""
    clip: float = 1.0
    """The greatest norm of the gradient."""
    sampling: float = 1.0
    """With --feeding output: the probability, in the last epoch, of feeding the decoder its own output; it grows from
    0."""
    accelerator: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def config(self, **factors: str) -> Any:
        """Return the model."""
        from ..jobs.forecast.model import ForecastConfig

        return dataclasses.replace(into(ForecastConfig, self, ForecastOptions), **factors)

    def training(self, **factors: str) -> Any:
        """Return how it is trained."""
        from ..jobs.forecast.train import ForecastTraining

        return dataclasses.replace(into(ForecastTraining, self, ForecastOptions), **factors)

    def files(self) -> Any:
        """Return the tables."""
        from ..jobs.series.runs import SeriesFiles

        columns = Columns(self.inputs, self.targets, self.context, self.series)
        return SeriesFiles(self.train, columns, self.validation, self.test)

    def check(self) -> None:
        """Raise InputError for an option out of its range."""
        if not self.targets:
            raise InputError("--targets needs at least one value")
        names = ("past", "horizon", "hidden", "layers", "learning_rate", "epochs", "updates", "batch_size", "clip")
        positive(**{name: getattr(self, name) for name in names})
        if not 0 <= self.sampling <= 1:
            raise InputError(f"--sampling must be from 0 to 1; found {self.sampling}")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"--weight-decay must be at least 0 and finite; found {self.weight_decay}")
        check_accelerator(self.accelerator)


@dataclasses.dataclass(frozen=True)
class FitForecast(ForecastOptions):
    """Train one model that reads the past of a series and writes its future."""

    bridge: Bridge = "project"
    """From the encoder's final state to the decoder's h0."""
    attention: Looks = "none"
    """Of the decoder, over the past."""
    feeding: ForecastFeeding = "output"
    """What the decoder is fed in training: the truth, or its own output now and then."""
    seed: int = 0
    """Of weights, stretches and coins."""

    def run(self) -> None:
        """Train, and say what was done."""
        from ..jobs.forecast.forecast import fit_forecast

        self.check()
        check_seed(self.seed)
        model, training = self.config(bridge=self.bridge, attention=self.attention), self.training(feeding=self.feeding)
        print(fit_forecast(model, training, self.files(), seed=self.seed, out=self.out, resume=self.resume))


@dataclasses.dataclass(frozen=True)
class CompareForecast(ForecastOptions):
    """What bridge, attention and feeding are worth to forecasts of these series. Needs --test.

    Of an option with several values the first is the base, and each other is tried alone against it.
    """

    bridge: tuple[Bridge, ...] = ("project", "zero")
    """From the encoder's final state to the decoder's h0."""
    attention: tuple[Looks, ...] = ("none",)
    """Of the decoder, over the past."""
    feeding: tuple[ForecastFeeding, ...] = ("output", "truth")
    """What the decoder is fed in training: the truth, or its own output now and then."""
    seeds: int = 5
    """How many seeds, from 0; under five, no difference is claimed."""

    def run(self) -> None:
        """Train, compare, and print a table and what each factor is worth."""
        from ..jobs.forecast.compare import FACTORS, compare

        self.check()
        positive(seeds=self.seeds)
        if self.test is None:
            raise InputError("compare forecast needs --test, a table that nothing is chosen on")
        values = {factor: tuple(once_each(getattr(self, factor), f"--{factor}")) for factor in FACTORS}
        model, training = self.config(), self.training()
        print(compare(values, model, training, self.files(), seeds=self.seeds, out=self.out, resume=self.resume))


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Forecast what comes after series, with a model that `fit forecast` trained."""

    run_folder: Annotated[pathlib.Path, tyro.conf.arg(name="run"), tyro.conf.Positional]
    """The folder that `fit forecast` made."""
    past: str
    """A table of series with their targets, of which the last steps are read."""
    out: str
    """The table to write, CSV or Parquet."""
    future: str | None = None
    """A table with the inputs of the steps that follow, where the model has inputs."""

    def run(self) -> None:
        """Forecast, and say what was written."""
        from ..jobs.forecast.forecast import forecast

        print(forecast(self.run_folder, self.past, self.out, self.future))
