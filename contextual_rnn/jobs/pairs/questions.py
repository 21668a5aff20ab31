"""Questions: sources with all their correct targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...data.pairs import Pair

Symbols = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Question:
    """A source with its label and all its correct targets, the references."""

    source: Symbols
    label: str | None
    references: tuple[Symbols, ...]


def questions(pairs: Sequence[Pair]) -> list[Question]:
    """Return each distinct source once, in order of appearance, with all its targets."""
    found: dict[tuple[Symbols, str | None], dict[Symbols, None]] = {}
    for pair in pairs:
        found.setdefault((pair.source, pair.label), {})[pair.target] = None
    return [Question(source, label, tuple(targets)) for (source, label), targets in found.items()]


THIRDS = 3


def thirds(questions: Sequence[Question], symbol: str = "symbol") -> dict[str, list[int]]:
    """Return the places of the shortest third of sources, the middle and the longest, by the lengths that they have.

    Sources of one length are in one group, so that there may be fewer groups.

    Args:
        questions: the sources.
        symbol: what one symbol of a source is called, such as "subword".
    """
    lengths = [len(one.source) for one in questions]
    ordered = sorted(lengths)
    ends = dict.fromkeys(ordered[max(0, len(ordered) * third // THIRDS - 1)] for third in range(1, THIRDS + 1))
    found, least = {}, 1
    for most in ends:
        found[f"{least} to {most} {symbol}s"] = [row for row, length in enumerate(lengths) if least <= length <= most]
        least = most + 1
    return found
