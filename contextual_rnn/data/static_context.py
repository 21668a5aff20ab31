"""What is known of a whole series, as one vector: quantities standardised, labels one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .table import number


class StaticContext:
    """Turn a series' context columns into a vector, as learned from the training series.

    Attributes:
        fields: for every column, `{"mean", "scale"}` of a quantity or `{"labels": [...]}`.
    """

    def __init__(self, fields: dict[str, dict[str, Any]]) -> None:
        self.fields = fields

    @classmethod
    def learn(cls, contexts: Sequence[dict[str, str]]) -> StaticContext:
        """Learn means, scales and labels from the contexts of the training series."""
        columns = {name: [context[name] for context in contexts] for name in contexts[0]}
        return cls({name: _field(values) for name, values in columns.items()})

    @property
    def width(self) -> int:
        """How many numbers the vector has."""
        return sum(len(field.get("labels", [0])) for field in self.fields.values())

    def vector(self, series: str, context: dict[str, str]) -> np.ndarray:
        """Return the vector (width,) of one series' context.

        Raises:
            InputError: a label that training had not, or text where training had numbers; names series and column.
        """
        parts = [_encode(series, name, field, context[name]) for name, field in self.fields.items()]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _field(values: list[str]) -> dict[str, Any]:
    numbers = [number(value) for value in values]
    quantities = [value for value in numbers if value is not None]
    if len(quantities) < len(values):
        return {"labels": sorted(set(values))}
    varied = len(set(quantities)) > 1  # the deviation of equal numbers is not always 0
    return {"mean": float(np.mean(quantities)), "scale": float(np.std(quantities)) if varied else 1.0}


def _encode(series: str, name: str, field: dict[str, Any], value: str) -> np.ndarray:
    if "labels" not in field:
        quantity = number(value)
        if quantity is None:
            raise InputError(f"series {series!r}, column {name!r}: {value!r} is text, and training had numbers there")
        scaled = (quantity - field["mean"]) / field["scale"]
        if not abs(scaled) < float(np.finfo(np.float32).max):
            raise InputError(f"series {series!r}, column {name!r}: {value} is not finite, or too large to compute with")
        return np.array([scaled], np.float32)
    if value not in field["labels"]:
        known = ", ".join(field["labels"][:10])
        raise InputError(f"series {series!r}, column {name!r}: {value!r} is no label that training had ({known})")
    return np.array([label == value for label in field["labels"]], np.float32)
