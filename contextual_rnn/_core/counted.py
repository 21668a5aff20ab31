"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 epoch", "3 epochs"."""
    return f"{number} {noun}{'s' * (number != 1)}"
