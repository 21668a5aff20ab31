"""Contexts as vectors, and generated series as the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ..._core.choices import nearest
from ...coding import Coding
from ...context import Field, Label, Quantity
from ...data.series import Series, context_of
from ...data.table import Table, free_name
from ...errors import InputError
from ...sequence_model import Samples
from .settings import GenerationSettings

SHOWN = 10  # labels that a sentence lists


def context_vector(context: dict[str, Any], settings: GenerationSettings, fields: dict[str, Field]) -> Tensor:
    """Return the context vector (1, C) of a value for every context column.

    Raises:
        InputError: a column is missing or unknown, or its value is not one that the training table allows.
    """
    names = settings.context
    if not isinstance(context, dict):
        raise InputError(f"`context` must be a dict of values by column; found {type(context).__name__}")
    for name in context:
        if name not in names:
            if not names:
                raise InputError(f"`context` names {name!r}, but the model has no context columns; leave `context` out")
            known = f"only {', '.join(map(repr, names))}"
            raise InputError(f"`context`: the model has no context column {name!r}, {known}{nearest(name, names)}")
    missing = [name for name in names if name not in context]
    if missing:
        raise InputError(f"`context` needs a value of every context column: {typed(missing, fields)}")
    values: dict[str, str] = {}
    if names:
        table = Table(pl.DataFrame({name: [context[name]] for name in names}, strict=False), "`context`")
        values = {name: table.context(name, isinstance(fields[name], Label))[0] for name in names}
    empty = np.empty((0, 0), np.float32)
    one = Series("sample", empty, empty, values, np.empty(0, int), place="`context`")
    return context_of([one], fields, names)


def typed(names: Sequence[str], fields: Mapping[str, Field]) -> str:
    """Return values of context columns as they are typed, such as `kind=a or kind=b`, in words."""
    found = []
    for name in names:
        field = fields[name]
        if isinstance(field, Label) and field.names:
            choices = [f"{name}={label}" for label in field.names[:SHOWN]]
            more = f" or {len(field.names) - SHOWN} more" * (len(field.names) > SHOWN)
            found.append(f"give {' or '.join(choices)}{more}")
        elif isinstance(field, Quantity) and field.observed is not None:
            low, high = field.observed
            found.append(f"give {name}={low:g}, or another number up to {name}={high:g}")
        else:
            found.append(f"give {name}=VALUE")
    return "; ".join(found)


def context_vectors(contexts: Sequence[dict[str, Any]], fields: dict[str, Field]) -> Tensor:
    """Return the context vectors (N, C) of contexts, whose values are known to be right."""
    empty = np.empty((0, 0), np.float32)
    rows = [{name: str(value) for name, value in context.items()} for context in contexts]
    series = [Series("sample", empty, empty, row, np.empty(0, int)) for row in rows]
    return context_of(series, fields, tuple(fields))


def sampled_columns(
    found: Samples, context: dict[str, Any], settings: GenerationSettings, coding: Coding
) -> dict[str, Any]:
    """Return the columns of generated series, one row per step; see `SeriesGenerator.sample`."""
    taken = (*settings.targets, *settings.context)
    lengths = found.lengths.cpu()
    inside = torch.arange(found.elements.shape[1]) < lengths.unsqueeze(1)
    values = found.elements.cpu()[inside].numpy()
    number, step = inside.nonzero().unbind(1)
    series = free_name(settings.series or "series", taken)
    columns: dict[str, Any] = {
        series: [f"sample-{one}" for one in number.tolist()],
        free_name("step", (*taken, series)): step.numpy(),
    }
    columns |= {target: coding.restored(target, values[:, place]) for place, target in enumerate(settings.targets)}
    return columns | {name: [context[name]] * len(values) for name in settings.context}
