"""Error rates of sequences: how many are wrong, and how far they are from right."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

Symbols = Sequence[str]


def word_errors(found: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> list[bool]:
    """Return, for every sequence, whether it is none of its references."""
    return [all(list(one) != list(right) for right in rights) for one, rights in zip(found, references, strict=True)]


def word_error_rate(found: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> float:
    """Return the share of sequences that are none of their references, %."""
    errors = word_errors(found, references)
    return 100 * sum(errors) / len(errors)


def phone_error_rate(found: Sequence[Symbols], references: Sequence[Sequence[Symbols]]) -> float:
    """Return the edits (insertions, deletions, substitutions) for every 100 symbols of the references, %.

    Where there are several references the nearest counts, by its edits; of equal ones, the longest.
    """
    edits = length = 0
    for one, rights in zip(found, references, strict=True):
        distance, size = min((Levenshtein.distance(one, right), -len(right)) for right in rights)
        edits, length = edits + distance, length - size
    return 100 * edits / length
