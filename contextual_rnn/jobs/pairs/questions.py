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
