"""Values that context columns take in turn when texts are scored: the forms in which a grid is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...context import Label
from ...errors import InputError
from .model import TextModel

Grid = Mapping[str, Any] | Sequence[Any] | str
FORMS = 'a text such as "language" or "logp=1,2,3", a list of such texts, or a dictionary such as {"logp": [1, 2, 3]}'


def read_grid(model: TextModel, grid: Grid) -> dict[str, list[Any]]:
    """Return the values of every column of a grid.

    Args:
        model: the model that scores.
        grid: a text, NAME for all labels of a column or NAME=VALUE,VALUE; a list of such texts; a dictionary of values
            by column, in which an empty list takes all labels; or a tuple of one column and its values.

    Raises:
        InputError: the grid has another form, an unknown column, a column twice, or a value that a column refuses.
    """
    given = _by_column(grid)
    if not given:
        raise InputError(f"`grid` names no column; give {FORMS}")
    return {name: _values(model, name, several) for name, several in given.items()}


def _by_column(grid: Grid) -> dict[str, list[Any]]:
    if isinstance(grid, Mapping):
        return {name: _listed(several) for name, several in grid.items()}
    if isinstance(grid, str):
        return _parsed([grid])
    if isinstance(grid, tuple) and len(grid) == 2 and isinstance(grid[0], str) and not isinstance(grid[1], str):
        return {grid[0]: _listed(grid[1])}
    if not isinstance(grid, Sequence) or not all(isinstance(one, str) for one in grid):
        raise InputError(f"`grid` must be {FORMS}; found {grid!r:.100}")
    return _parsed(grid)


def _parsed(texts: Sequence[str]) -> dict[str, list[Any]]:
    parts = [text.partition("=") for text in texts]
    found: dict[str, list[Any]] = {}
    for name, _, values in parts:
        if name in found:
            raise InputError(f"`grid` has the column {name!r} twice; give all of its values at once: {name}=1,2,3")
        found[name] = [value for value in values.split(",") if value]
    return found


def _listed(several: Any) -> list[Any]:
    """Return values as a list: also those of an array or a column of a data frame, or a single one."""
    if several is None:
        return []
    if isinstance(several, str) or not hasattr(several, "__iter__"):
        return [several]
    return list(several)


def _values(model: TextModel, name: str, several: Sequence[Any]) -> list[Any]:
    """Return the values of a column: those given, or all of its labels."""
    field = model.fields.get(name)
    if not several and isinstance(field, Label):
        return list(field.names or [])
    if not several:
        model.values({name: None}, "grid")  # raises InputError for an unknown column
        raise InputError(f"`grid` {name} needs values, such as {name}=1,2,3, because it is a column of numbers")
    return [model.values({name: value}, "grid")[name] for value in several]
