"""Metrics of the targets that a model writes. A new metric of `compare pairs` is one function and one entry here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from ...study.differences import ItemMetric, Metric

Symbols = Sequence[str]


def word_errors(found: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> list[bool]:
    """Return for every target whether it differs from all its references."""
    return [all(list(one) != list(right) for right in rights) for one, rights in zip(found, references, strict=True)]


def word_error_rate(found: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> float:
    """Return the sequence error rate: the percentage of targets that equal none of their references."""
    errors = word_errors(found, references)
    return 100 * sum(errors) / len(errors)


def phone_error_rate(found: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> float:
    """Return the symbol error rate: insertions, deletions and substitutions per 100 symbols of the references.

    If a target has several references, the one with the fewest edits is used; among those, the longest.
    """
    from rapidfuzz.distance import Levenshtein

    edits = length = 0
    for one, rights in zip(found, references, strict=True):
        distance, size = min((Levenshtein.distance(one, right), -len(right)) for right in rights)
        edits, length = edits + distance, length - size
    return 100 * edits / length


@dataclasses.dataclass(frozen=True)
class PairMetric(Metric):
    """A metric of targets: `compute(found, references)`, where every target has one or more references."""

    compute: Callable[[Sequence[Symbols], Sequence[Sequence[Symbols]]], float] = word_error_rate


METRICS = (
    PairMetric("word_error_rate", "sequence error rate", "%", "difference", compute=word_error_rate),
    PairMetric("phone_error_rate", "symbol error rate", "%", "difference", compute=phone_error_rate),
)
BY_WORD = ItemMetric(
    "word_error_rate",
    "sequence error rate",
    "%",
    "difference",
    values="wrong",
    items="sources",
    item="source",
    factor=100,
)
