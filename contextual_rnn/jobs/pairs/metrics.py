"""Metrics of the targets that a model writes. A new metric of `compare pairs` is one function and one entry here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ...data.units import join
from ...study.metric import RATE, SHARE, ItemMetric, Metric
from .text_metrics import bleu, bleu_lowercase, chrf, is_installed, signatures

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
    """A metric of targets: `compute(found, references)`, where every target has one or more references.

    Attributes:
        compute: of symbols, or of texts if `of_text` is true.
        of_text: whether it reads texts, and not their symbols.
    """

    compute: Callable[[Sequence[Any], Sequence[Sequence[Any]]], float] = word_error_rate
    of_text: bool = False


METRICS = (
    PairMetric("word_error_rate", "sequence error rate", "%", "difference", bounds=SHARE, compute=word_error_rate),
    PairMetric("phone_error_rate", "symbol error rate", "%", "difference", bounds=RATE, compute=phone_error_rate),
)
TEXT_METRICS = (
    PairMetric("bleu", "BLEU", "", "difference", bounds=SHARE, compute=bleu, of_text=True, higher_is_better=True),
    PairMetric(
        "bleu_lowercase",
        "BLEU in lower case",
        "",
        "difference",
        bounds=SHARE,
        compute=bleu_lowercase,
        of_text=True,
        higher_is_better=True,
    ),
    PairMetric("chrf", "chrF", "", "difference", bounds=SHARE, compute=chrf, of_text=True, higher_is_better=True),
)


def metrics_of(unit: str) -> tuple[PairMetric, ...]:
    """Return the metrics of targets of a unit: with BLEU and chrF for subwords, and for words if sacrebleu is there."""
    if unit == "subwords":
        return (*TEXT_METRICS, *METRICS)
    return (*METRICS, *TEXT_METRICS) if unit == "words" and is_installed() else METRICS


def scored_by(references: Sequence[Sequence[Symbols]], unit: str) -> list[str]:
    """Return the signature of each metric of texts, for references whose symbols have a unit; none for other units."""
    if not any(metric.of_text for metric in metrics_of(unit)):
        return []
    return signatures([[join(right, unit) for right in rights] for rights in references])


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
BY_TEXT = ItemMetric(
    "chrf_of_each",
    "chrF of a sentence",
    "",
    "difference",
    "chrf_of_each",
    "sources",
    "source",
    bounds=SHARE,
    higher_is_better=True,
)


def by_item(metrics: Sequence[PairMetric]) -> ItemMetric:
    """Return what variants are compared by, for other sources too: chrF if texts come first, else the error rate."""
    return BY_TEXT if metrics[0].of_text else BY_WORD
