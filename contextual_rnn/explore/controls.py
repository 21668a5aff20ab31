"""What the browser shows for each context field: a slider with the training range, or a list of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Field, Label, Quantity

WIDER = 0.25  # of the training range, on either side of it, that a slider reaches


def controls(fields: Mapping[str, Field]) -> list[dict[str, Any]]:
    """Return a description of the control of every field."""
    return [{"name": name, "unknown": field.unknown is not None, **_control(field)} for name, field in fields.items()]


def _control(field: Field) -> dict[str, Any]:
    if isinstance(field, Label):
        return {"kind": "label", "labels": field.names or [str(number) for number in range(field.count)]}
    low, high, meaning = training_range(field)
    room = WIDER * (high - low) or 1.0
    step = (high - low) / 200 or 0.01
    return {
        "kind": "number",
        "low": low,
        "high": high,
        "range": meaning,
        "least": low - room,
        "most": high + room,
        "step": step,
        "value": (low + high) / 2,
    }


def training_range(field: Field) -> tuple[float, float, str]:
    """Return a range of the training values of a quantity, and what the range is."""
    if isinstance(field, Quantity):
        if field.observed is not None:
            return *field.observed, "range of the training table"
        if field.low is not None and field.high is not None:
            return field.low, field.high, "range of the training table"
        if field.mean is not None and field.deviation is not None:
            return field.mean - 2 * field.deviation, field.mean + 2 * field.deviation, "training mean ± 2 deviations"
    return -2.0, 2.0, "usual values"
