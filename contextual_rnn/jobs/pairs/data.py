"""The data of a run: training pairs, and the sources and references to validate and test on."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from ..._core.extras import require
from ...data.held_out import held_out_in_words, tenth
from ...data.pairs import Pair, Pairs, PairSource, read_pairs
from ...data.pairs.parts import Parallel
from ...data.units import Units
from ...errors import InputError
from .questions import Question, questions
from .settings import PairSettings
from .subwords import Sides, cut, in_words, train_subwords

if TYPE_CHECKING:
    from .stored import StoredPairs

MANY = 10  # targets of a source, on average


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
        label_separator: what separates the tags of a label; None if a label is one.
        notes: sentences on what was inferred.
        subwords: what splits the sides whose symbols are subwords.
    """

    training: list[Pair] | StoredPairs
    validation: list[Question]
    test: list[Question]
    labels: list[str]
    units: Units
    identity: dict[str, Any]
    label_separator: str | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    subwords: Sides = dataclasses.field(default_factory=dict)

    @classmethod
    def read(
        cls,
        train: PairSource,
        validation: PairSource | None,
        test: PairSource | None,
        files: PairSettings | None = None,
    ) -> PairData:
        """Read all pairs once; raise InputError if data are invalid or have labels that `train` lacks.

        Subwords are found on the pairs to train on, and on no others.

        Without validation pairs, a part of the training pairs is held out; see `hold_out`.
        """
        files = files or PairSettings()
        if train is None:
            raise InputError("training pairs are missing: give `train`, or `source` and `target`")
        require("pairs", "Training on pairs")
        training = read_pairs(train, **files.options())
        read = {"train": training}
        for name, source in (("validation", validation), ("test", test)):
            if source is not None:
                read[name] = read_pairs(source, like=training, name=f"`{name}`", **files.options())
                check_labels(f"`{name}`", read[name], training)
        kept, held_out = training.pairs, []
        notes = list(dict.fromkeys(note for pairs in read.values() for note in pairs.notes))
        if "validation" in read:
            held_out = read["validation"].pairs
        else:
            kept, held_out, note = hold_out(training.pairs)
            notes += note
        identity = {
            "files": {name: pairs.files for name, pairs in read.items()},
            "sha256": {name: pairs.fingerprint() for name, pairs in read.items()},
        }
        tested = read["test"].pairs if "test" in read else []
        sides = train_subwords(kept, training.units, files.subwords, files.shared_subwords)
        return cls(
            cut(kept, sides),
            questions(cut(held_out, sides)),
            questions(cut(tested, sides)),
            training.labels,
            training.units,
            identity,
            training.label_separator,
            [*notes, *in_words(sides)],
            sides,
        )

    def overlap(self) -> list[str]:
        """Return a sentence on the validation and test sources that are also in the training data, if there are any.

        Errors on such sources underestimate those on new ones.
        """
        sources_of, sentences = {"validation": self.validation, "test": self.test}, []
        if isinstance(self.training, list):
            known = {(pair.source, pair.label) for pair in self.training}
            counts = {
                name: sum((one.source, one.label) in known for one in sources) for name, sources in sources_of.items()
            }
        else:
            counts = self.training.overlap
        for name, sources in sources_of.items():
            count = counts.get(name, 0)
            if count:
                sentences.append(f"Of the {len(sources)} {name} sources, {count} are in the training data too.")
        return sentences


def check_labels(name: str, pairs: Pairs, training: Pairs) -> None:
    """Raise InputError if pairs have other labels than the training pairs."""
    unknown = [label for label in pairs.labels if label not in training.labels]
    if not unknown and bool(pairs.labels) == bool(training.labels):
        return
    found, known = (", ".join(labels) or "none" for labels in (unknown, training.labels))
    raise InputError(f"{name} must have the labels of the training pairs ({known}); found {found}")


def either(
    pairs: PairSource | None,
    source: str | os.PathLike[str] | None,
    target: str | os.PathLike[str] | None,
    name: str = "",
) -> PairSource | None:
    """Return the pairs of an argument, or those of two parallel files in its place; None if neither is given.

    Args:
        pairs: the value of the argument.
        source: the file of the sources.
        target: the file of the targets.
        name: of the argument, such as "test"; empty for that of the training pairs.

    Raises:
        InputError: both are given, or one of two files is.
    """
    if source is None and target is None:
        return pairs
    one, other, whole = f"`{name}{'_' * bool(name)}source`", f"`{name}{'_' * bool(name)}target`", f"`{name or 'train'}`"
    if pairs is not None:
        raise InputError(f"{whole} and {one} with {other} cannot be given together: both are pairs")
    if source is None or target is None:
        raise InputError(f"{one} and {other} must be given together: line n of one belongs to line n of the other")
    return Parallel(source, target)


def hold_out(pairs: list[Pair]) -> tuple[list[Pair], list[Pair], list[str]]:
    """Hold out the pairs of a random tenth of the sources, always the same one; return the other pairs and these.

    If a source has `MANY` targets or more on average, a random tenth of the pairs is held out instead: few sources,
    such as the names of languages, could not be spared.

    Returns:
        The pairs to train on, those held out, and a sentence on the latter.

    Raises:
        InputError: if there is a single source, or a single pair.
    """
    sources = list(dict.fromkeys((pair.source, pair.label) for pair in pairs))
    if len(pairs) >= MANY * len(sources):
        chosen = set(tenth(len(pairs)))
        note = many_in_words(len(pairs) / len(sources))
        kept = [pair for place, pair in enumerate(pairs) if place not in chosen]
        return kept, [pair for place, pair in enumerate(pairs) if place in chosen], [note]
    if len(sources) < 2:
        raise single_source()
    held_out = {sources[place] for place in tenth(len(sources))}
    kept = [pair for pair in pairs if (pair.source, pair.label) not in held_out]
    note = held_out_in_words(len(held_out), len(sources), "training sources")
    return kept, [pair for pair in pairs if (pair.source, pair.label) in held_out], [note]


def many_in_words(targets: float) -> str:
    """Return a sentence that says why pairs were held out, and not sources."""
    return (
        "A tenth of the pairs, drawn at random and always the same one, is held out to validate on, as a source has "
        f"{targets:.0f} targets on average."
    )


def single_source() -> InputError:
    """Return the error of pairs of which none can be held out."""
    return InputError("`train` has a single source, and none can be held out: give more pairs, or `validation`")
