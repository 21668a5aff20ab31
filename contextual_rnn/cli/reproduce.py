"""`contextual-rnn reproduce`: figures and tables of papers."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

from ..errors import InputError
from ..papers.common import KINDS as PAPER_KINDS
from ..papers.common import Kind as PaperKind
from .options import name_pictures, once_each, positive


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
    distribution: bool = False
    """Instead of the figures: whether trajectories from sampled h0 spread as the sequences do, told T alone, T and a
    noisy x(0), or T and x(0), as published and trained on a likelihood."""
    smoke: bool = False
    """Two epochs of few sequences, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Train, draw, and say what was found."""
        positive(seeds=self.seeds, epochs=self.epochs)
        print(self._spread() if self.distribution else self._figures())
        name_pictures(self.out)

    def _figures(self) -> str:
        from ..papers.decay.reproduce import DecayConfig, reproduce

        config = DecayConfig(epochs=2, each=50) if self.smoke else DecayConfig(epochs=self.epochs)
        return reproduce(once_each(self.initial_states), self.seeds, self.out, config, resume=self.resume)

    def _spread(self) -> str:
        from ..papers.decay.distribution import DistributionConfig, reproduce

        if self.initial_states != PAPER_KINDS:
            raise InputError("--initial-states is for the figures; with --distribution h0 is gaussian")
        small = {"epochs": 2, "each": 50, "tested": 5, "samples": 20}
        config = DistributionConfig(**small) if self.smoke else DistributionConfig(epochs=self.epochs)
        return reproduce(self.seeds, self.out, config, resume=self.resume)


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
        from ..papers.retrieval.reproduce import RetrievalConfig, reproduce

        positive(seeds=self.seeds, epochs=self.epochs)
        small = {"epochs": 2, "training": 500, "validation": 200} if self.smoke else {"epochs": self.epochs}
        config = RetrievalConfig(order=self.order, **small)
        print(reproduce(once_each(self.initial_states), self.seeds, self.out, config, resume=self.resume))
        name_pictures(self.out)


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
    finalists: int = 2
    """How many recipes are trained at length, to choose among by validation accuracy again."""
    smoke: bool = False
    """Two epochs of few sequences, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Choose, train, test, and print the table."""
        from ..papers.retrieval.table import TableConfig, reproduce

        options = ("epochs", "trial_epochs", "learning_rates", "embedding_scales", "finalists")
        given = {name: getattr(self, name) for name in options}
        positive(sizes=self.sizes, seeds=self.seeds, **given)
        config = TableConfig(**given)
        if self.smoke:
            config = TableConfig(2, 1, 500, 200, 200, self.learning_rates[:2], self.embedding_scales[:1])
        print(
            reproduce(
                once_each(self.cells, "--cells"),
                list(dict.fromkeys(self.sizes)),
                self.seeds,
                self.out,
                config,
                resume=self.resume,
            )
        )
        name_pictures(self.out)


@dataclasses.dataclass(frozen=True)
class ReproducePenDigits:
    """Handwritten digits (UCI) generated from their label: in h0 alone, at every step, or not told."""

    out: pathlib.Path
    """Run folder to make."""
    data: pathlib.Path | None = None
    """Folder that holds pendigits.tra and pendigits.tes; without it, and without the one that CONTEXTUAL_RNN_DATA
    names, they are fetched once into a cache."""
    labels: tuple[Literal["none", "every-step", "initial-state"], ...] = ("none", "every-step", "initial-state")
    """Where the label is told."""
    seeds: int = 5
    """How many seeds, from 0."""
    epochs: int = 120
    """Passes over the first 80 % of the training file; the rest is for validation."""
    smoke: bool = False
    """Two epochs of few digits, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Train, generate, and say what was found."""
        from ..papers.pen_digits.reproduce import PenConfig, reproduce

        positive(seeds=self.seeds, epochs=self.epochs)
        config = PenConfig(epochs=2, rows=300) if self.smoke else PenConfig(epochs=self.epochs)
        labels = once_each(self.labels, "--labels")
        print(reproduce(labels, self.seeds, self.out, config, self.data, resume=self.resume))
        name_pictures(self.out)


@dataclasses.dataclass(frozen=True)
class ReproduceImageContext:
    """Two handwritten digits (scikit-learn's) read out of an image: h0 zero, from the coarse or the full image, and
    the coarse image at every step.
    """

    out: pathlib.Path
    """Run folder to make."""
    images: tuple[Literal["none", "coarse", "full", "every-step"], ...] = ("none", "coarse", "full", "every-step")
    """What is told of the image, and where."""
    seeds: int = 5
    """How many seeds, from 0."""
    epochs: int = 40
    """Of 50 batches of 128 pairs."""
    smoke: bool = False
    """Two epochs, to see that it runs; its figures mean nothing."""
    resume: bool = False
    """Go on in a folder that holds this run already; skip what is done."""

    def run(self) -> None:
        """Train, read, and say what was found."""
        from ..papers.image_context.reproduce import ReadingConfig, reproduce

        positive(seeds=self.seeds, epochs=self.epochs)
        config = ReadingConfig(epochs=2, pairs=200) if self.smoke else ReadingConfig(epochs=self.epochs)
        print(reproduce(once_each(self.images, "--images"), self.seeds, self.out, config, resume=self.resume))
        name_pictures(self.out)
