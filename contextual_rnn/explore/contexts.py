"""Contexts drawn at random from the training range, and sentences on what a model reads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..context import Field, Label
from ..kinds import Kind
from .controls import training_range


def made_up_contexts(fields: Mapping[str, Field], count: int) -> list[dict[str, Any]]:
    """Return values of every field: labels that are all equally likely, and numbers uniform over the training range.

    Fields that are all labels, with at most `count` combinations, have each combination once.
    """
    if combinations := _combinations(fields, count):
        return combinations
    random = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {}
    for name, field in fields.items():
        if isinstance(field, Label):
            columns[name] = random.choice(_labels(field), count).tolist()
        else:
            low, high, _ = training_range(field)
            columns[name] = [float(f"{value:.4g}") for value in random.uniform(low, high, count)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def drawn_as(fields: Mapping[str, Field], count: int) -> str:
    """Return what a context of `made_up_contexts` is, in words."""
    if not _combinations(fields, count):
        return "a context drawn at random from the training range"
    return f"one {' and one '.join(fields)}"


def _combinations(fields: Mapping[str, Field], count: int) -> list[dict[str, Any]]:
    """Return every combination of labels; none if a field is a number, or if there are more than `count`."""
    names = [_labels(field) for field in fields.values() if isinstance(field, Label)]
    if not fields or len(names) < len(fields) or math.prod(map(len, names)) > count:
        return []
    return [dict(zip(fields, row, strict=True)) for row in itertools.product(*names)]


def _labels(field: Label) -> Sequence[str]:
    return field.names or list(map(str, range(field.count)))


def context_facts(names: Sequence[str], what: str) -> str:
    """Return a sentence on the context columns of a model."""
    if not names:
        return f"The model is given nothing that is known about a {what}."
    return f"The model is given {listed([f'the {name}' for name in names])} of a {what}."


def listed(names: Sequence[str]) -> str:
    """Return names in words, such as "a, b and c"."""
    return " and ".join([*[", ".join(names[:-1])] * (len(names) > 1), *names[-1:]])


def meaning_of(kind: Kind) -> str:
    """Return what a kind of initial state is, in words."""
    return f"{kind.meaning} (kind: {kind.name})"
