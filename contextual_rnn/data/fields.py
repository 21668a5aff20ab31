"""The context columns of a table as fields: which of them are labels, and their values as vectors."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .._core.choices import nearest
from ..context import Field, Label, Quantity
from ..errors import DataWarning, InputError
from ..table_files.doubtful import labels_alike
from .columns import TargetSettings
from .remarks import leading_zeros, perhaps_numbers
from .table import Table, number

if TYPE_CHECKING:
    from .series import Series

FEW = 20  # distinct integers that may be labels
SHOWN = 10  # labels that a sentence lists
WHOLE = re.compile(r"([+-]?\d+)\.0+")


def fields_of(
    table: Table, series: Sequence[Series], columns: TargetSettings, inputs: Sequence[str]
) -> tuple[dict[str, Field], list[str]]:
    """Return the fields of the context columns of a training table, and what is to be said about them.

    Args:
        table: the training table.
        series: its series.
        columns: its columns.
        inputs: the names of its input columns.
    """
    check_roles(columns.context, columns.labels, columns.quantities, inputs)
    categories = [name for name in columns.context if table.is_category(name)]
    fields = learn_fields(series, columns, categories)
    labels = {name: list(field.names or []) for name, field in fields.items() if isinstance(field, Label)}
    inferred = {name: found for name, found in labels.items() if name not in (*columns.labels, *categories)}
    cells = {
        name: [one.context[name] for one in series] for name in fields if name not in (*labels, *columns.quantities)
    }
    return fields, [
        *perhaps_labels(series, fields, columns),
        *leading_zeros(cells),
        *perhaps_numbers(inferred),
        *labels_alike(labels),
    ]


def learn_fields(
    series: Sequence[Series], columns: TargetSettings, categories: Collection[str] = ()
) -> dict[str, Field]:
    """Return a field for every context column: a quantity if all its values are numbers, else a label.

    Quantities are standardised by the mean and standard deviation over the series.

    Args:
        series: the series of the training table.
        columns: the names of its columns; `labels` and `quantities` say what a column is.
        categories: the columns whose type in the training table makes them labels.

    Raises:
        InputError: a column is named as a quantity, and has a value that is no number.
    """
    fields: dict[str, Field] = {}
    for name in columns.context:
        values = [one.context[name] for one in series]
        numbers = [number(value) for value in values]
        is_label = name in columns.labels or name in categories
        if name in columns.quantities:
            is_label = False
            _check_numbers(name, series, numbers, "it is named in `quantities`")
        if is_label or None in numbers:
            fields[name] = Label(sorted({spelling(value) if is_label else value for value in values}, key=in_order))
        else:
            fields[name] = _quantity([value for value in numbers if value is not None])
    return fields


def check_roles(
    context: Sequence[str], labels: Sequence[str], quantities: Sequence[str], inputs: Sequence[str] = ()
) -> None:
    """Raise InputError unless labels and quantities are context or input columns, and no column is both."""
    for role, names in (("labels", labels), ("quantities", quantities)):
        for name in names:
            if name not in (*context, *inputs):
                known = {"context": context} | ({"inputs": inputs} if inputs else {})
                listed = " and ".join(f"of `{one}` ({_listed(columns)})" for one, columns in known.items())
                raise InputError(
                    f"`{role}` names {name!r}, but may only name columns {listed}; leave {name!r} out of `{role}`"
                    f"{nearest(name, [*context, *inputs])}"
                )
    both = set(labels) & set(quantities)
    if both:
        raise InputError(f"column {min(both)!r} is in both `labels` and `quantities`; name it in one of them")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def named_values(texts: Sequence[str]) -> dict[str, str]:
    """Return values by the names of their columns, from texts such as `period=2.0`.

    Raises:
        InputError: a text is not of the form NAME=VALUE.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"`context` must be NAME=VALUE, such as period=2.0; found {text!r}")
        if name in found:
            raise InputError(f"`context` has two values of {name!r}, {found[name]!r} and {value!r}; give one of them")
        found[name] = value
    return found


def spelling(value: str) -> str:
    """Return the one form of a label that tables write in several: `true` for `True`, and `7` for `7.0`."""
    if value.lower() in ("true", "false"):
        return value.lower()
    whole = WHOLE.fullmatch(value)
    return whole[1] if whole else value


def perhaps_labels(series: Sequence[Series], fields: dict[str, Field], columns: TargetSettings) -> list[str]:
    """Return a sentence for each quantity that may be a label: 2 to 20 distinct integers, in twice as many series.

    Args:
        series: the series of the training table.
        fields: as returned by `learn_fields`.
        columns: the names of the columns; those of `quantities` are left out.
    """
    sentences = []
    for name, field in fields.items():
        values = {number(one.context[name]) for one in series}
        whole = all(value is not None and value == int(value) for value in values)
        few = 2 <= len(values) <= min(FEW, len(series) // 2)
        if isinstance(field, Quantity) and name not in columns.quantities and whole and few:
            sentences.append(
                f"The context column {name!r} has {len(values)} distinct integers and is read as a quantity; if its "
                f"numbers are names, give `labels` {name}."
            )
    return sentences


def context_vectors(fields: dict[str, Field], names: Sequence[str], series: Sequence[Series]) -> Tensor:
    """Return the context vector of every series, (N, C). Warn of quantities outside the range of the training table.

    Args:
        fields: as returned by `learn_fields`.
        names: the context columns, at least one, in the order of the vector.
        series: N series.

    Raises:
        InputError: if a label is not in the training table, or a column of numbers contains text.
    """
    return torch.cat([_encoded(name, fields[name], series) for name in names], dim=1)


def _quantity(values: list[float]) -> Quantity:
    found = Quantity.standardised(values)
    return Quantity(mean=found.mean, deviation=found.deviation, observed=(min(values), max(values)))


def in_order(label: str) -> tuple[bool, float, str]:
    """Return the key that sorts labels: numbers by their value, before texts."""
    value = number(label)
    return value is None, value or 0.0, label


def known_labels(labels: Sequence[str]) -> str:
    """Return the first labels, in words."""
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _encoded(name: str, field: Field, series: Sequence[Series]) -> Tensor:
    values = [one.context[name] for one in series]
    if isinstance(field, Label):
        return _labels(name, field, series, values)
    numbers = [number(value) for value in values]
    _check_numbers(name, series, numbers, "the training table has numbers there")
    rows = []
    for one, value, quantity in zip(series, values, numbers, strict=True):
        try:
            with torch.no_grad():
                rows.append(field(torch.tensor([quantity], dtype=torch.float64), 1).float())
        except ValueError:
            raise InputError(f"{one.where(name)}: {value} is not finite, or too large to compute with") from None
    if isinstance(field, Quantity):
        _warn_outside(name, field, series, numbers)
    return torch.cat(rows)


def _check_numbers(name: str, series: Sequence[Series], numbers: Sequence[float | None], why: str) -> None:
    for one, found in zip(series, numbers, strict=True):
        if found is None:
            raise InputError(f"{one.where(name)}: {one.context[name]!r} is text, but {why}")


def _warn_outside(name: str, field: Quantity, series: Sequence[Series], numbers: Sequence[float | None]) -> None:
    outside = [
        (one, value)
        for one, value in zip(series, numbers, strict=True)
        if value is not None and field.is_outside(value)
    ]
    if outside:
        assert field.observed is not None
        (one, value), more = outside[0], len(outside) - 1
        others = f"; so are the values of {more} other series" if more else ""
        warnings.warn(
            f"{one.where(name)}: {value:g} is outside the range of the training table, "
            f"{field.observed[0]:g} to {field.observed[1]:g}{others}",
            DataWarning,
            stacklevel=2,
        )


def _labels(name: str, field: Label, series: Sequence[Series], values: list[str]) -> Tensor:
    known = field.names or []
    exact = dict(zip(known, known, strict=True))
    same = {spelling(label): label for label in known} | exact
    for one, value in zip(series, values, strict=True):
        if value not in same and spelling(value) not in same:
            raise InputError(
                f"{one.where(name)}: the training table has no label {value!r}; it has {known_labels(known)}"
            )
    with torch.no_grad():
        return field([same.get(value) or same[spelling(value)] for value in values], len(series)).float()
