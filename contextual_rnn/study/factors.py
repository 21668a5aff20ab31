"""Comparisons of one factor at a time."""

from __future__ import annotations


def one_at_a_time(values: dict[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Return the base, the first value of every factor, and then every setting that differs from it in one factor."""
    base = {factor: options[0] for factor, options in values.items()}
    return [base, *({**base, factor: value} for factor, options in values.items() for value in options[1:])]
