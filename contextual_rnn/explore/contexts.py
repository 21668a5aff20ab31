"""Contexts drawn at random from the training range, and sentences on what a model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..context import Field, Label
from ..kinds import Kind
from .controls import training_range


def made_up_contexts(fields: Mapping[str, Field], count: int) -> list[dict[str, Any]]:
    """Return values of every field: labels that are all equally likely, and numbers uniform over the training range."""
    random = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {}
    for name, field in fields.items():
        if isinstance(field, Label):
            columns[name] = random.choice(field.names or list(map(str, range(field.count))), count).tolist()
        else:
            low, high, _ = training_range(field)
            columns[name] = [float(f"{value:.4g}") for value in random.uniform(low, high, count)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def context_facts(names: Sequence[str], what: str) -> str:
    """Return a sentence on the context columns of a model."""
    if not names:
        return f"The model is given nothing that is known about a {what}."
    listed = [", ".join(names[:-1])] * bool(names[1:]) + [names[-1]]
    return f"The model is given the {' and the '.join(listed)} of a {what}."


def meaning_of(kind: Kind) -> str:
    """Return what a kind of initial state is, in words."""
    return f"{kind.meaning} (kind: {kind.name})"
