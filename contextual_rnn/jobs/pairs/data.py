"""The data of a run: training pairs, and the sources and references to validate and test on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import torch

from ...data.pairs import Pair, Pairs, PairSource, read_pairs
from ...data.units import Units
from ...errors import InputError

HELD_OUT = 0.1  # the share of the training sources that is held out if there are no validation pairs

Symbols = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Question:
    """A source with its label and all its correct targets, the references."""

    source: Symbols
    label: str | None
    references: tuple[Symbols, ...]


def questions(pairs: Sequence[Pair]) -> list[Question]:
    """Return each distinct source once, in order of appearance, with all its targets."""
    found: dict[tuple[Symbols, str | None], list[Symbols]] = {}
    for pair in pairs:
        targets = found.setdefault((pair.source, pair.label), [])
        if pair.target not in targets:
            targets.append(pair.target)
    return [Question(source, label, tuple(targets)) for (source, label), targets in found.items()]


@dataclasses.dataclass(frozen=True)
class PairData:
    """The training pairs, the questions to validate and test on, and their identity.

    Attributes:
        training: the pairs to train on.
        validation: the questions on which the epoch and the settings are chosen.
        test: the questions on which errors are reported; empty if there are no test pairs.
        labels: of the sources; empty if pairs have none.
        units: what a symbol of each side is.
        identity: the names and SHA-256 of the data, so that a run is not resumed on other data.
    """

    training: list[Pair]
    validation: list[Question]
    test: list[Question]
    labels: list[str]
    units: Units
    identity: dict[str, Any]

    @classmethod
    def read(
        cls,
        train: PairSource,
        validation: PairSource | None,
        test: PairSource | None,
        columns: Sequence[str] = (),
        source_unit: str | None = None,
        target_unit: str | None = None,
        label_column: int | None = None,
    ) -> PairData:
        """Read all pairs once; raise InputError if data are invalid or have labels that `train` lacks.

        Without validation pairs, a tenth of the training sources is held out.
        """
        read_side = functools.partial(read_pairs, columns=columns, label_column=label_column)
        training = read_side(train, source_unit=source_unit, target_unit=target_unit)
        read = {"train": training}
        for name, source in (("validation", validation), ("test", test)):
            if source is not None:
                read[name] = read_side(source, units=training.units, name=f"`{name}`")
                _check_labels(f"`{name}`", read[name], training)
        kept, held_out = training.pairs, []
        if "validation" in read:
            held_out = read["validation"].pairs
        else:
            kept, held_out = hold_out(training.pairs)
        identity = {
            "files": {name: pairs.files for name, pairs in read.items()},
            "sha256": {name: pairs.fingerprint() for name, pairs in read.items()},
        }
        tested = questions(read["test"].pairs) if "test" in read else []
        return cls(kept, questions(held_out), tested, training.labels, training.units, identity)

    def overlap(self) -> list[str]:
        """Return a sentence on the validation and test sources that are also in the training data, if there are any.

        Errors on such sources underestimate those on new ones.
        """
        known = {(pair.source, pair.label) for pair in self.training}
        sentences = []
        for name, sources in (("validation", self.validation), ("test", self.test)):
            count = sum((one.source, one.label) in known for one in sources)
            if count:
                sentences.append(f"Of the {len(sources)} {name} sources, {count} are in the training data too.")
        return sentences


def _check_labels(name: str, pairs: Pairs, training: Pairs) -> None:
    unknown = [label for label in pairs.labels if label not in training.labels]
    if not unknown and bool(pairs.labels) == bool(training.labels):
        return
    found, known = (", ".join(labels) or "none" for labels in (unknown, training.labels))
    raise InputError(f"{name} must have the labels of the training pairs ({known}); found {found}")


def hold_out(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Hold out the pairs of a random tenth of the sources, always the same one; return the other pairs and these.

    Raises:
        InputError: if there is a single source.
    """
    sources = list(dict.fromkeys((pair.source, pair.label) for pair in pairs))
    if len(sources) < 2:
        raise InputError("`train` has a single source, and none can be held out: give more pairs, or `validation`")
    order = torch.randperm(len(sources), generator=torch.Generator().manual_seed(0)).tolist()
    held_out = {sources[place] for place in order[: max(1, int(HELD_OUT * len(sources)))]}
    kept = [pair for pair in pairs if (pair.source, pair.label) not in held_out]
    return kept, [pair for pair in pairs if (pair.source, pair.label) in held_out]
