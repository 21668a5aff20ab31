"""`Asked`: the values of a call of the browser, which may hold anything and are checked one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .._core.choices import check_choice
from ..errors import InputError


class Asked:
    """The JSON object of a call.

    Args:
        values: what JSON held.

    Raises:
        InputError: it is no object.
    """

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise InputError("the request must be an object of JSON")
        self.values: dict[str, Any] = values

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a finite number in a range; `default` where it is absent."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InputError(f"`{name}` must be a number from {low:g} to {high:g}; found {_shown(value)}")
        return float(value)

    def count(self, name: str, default: int, low: int, high: int) -> int:
        """Return an integer in a range; `default` where it is absent."""
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(f"`{name}` must be an integer from {low} to {high}; found {_shown(value)}")
        return value

    def seed(self) -> int:
        """Return the seed of random numbers; 0 where it is absent."""
        return self.count("seed", 0, 0, 2**53 - 1)

    def flag(self, name: str) -> bool:
        """Return whether something is wanted; False where it is absent."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise InputError(f"`{name}` must be true or false; found {_shown(value)}")
        return value

    def text(self, name: str, longest: int) -> str:
        """Return a text; an empty one where it is absent."""
        value = self.values.get(name) or ""
        if not isinstance(value, str) or len(value) > longest:
            raise InputError(f"`{name}` must be a text of at most {longest} characters; found {_shown(value)}")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of several names; the first where it is absent."""
        value = self.values.get(name, choices[0])
        if not isinstance(value, str):
            raise InputError(f"`{name}` must be a text; found {_shown(value)}")
        check_choice(value, choices, f"`{name}`")
        return value

    def object(self, name: str) -> dict[str, Any]:
        """Return an object; an empty one where it is absent."""
        value = self.values.get(name) or {}
        if not isinstance(value, dict):
            raise InputError(f"`{name}` must be an object; found {_shown(value)}")
        return value

    def numbers(self, name: str, size: int) -> list[float] | None:
        """Return a list of finite numbers; None where it is absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != size or not all(map(_is_finite, value)):
            raise InputError(f"`{name}` must be {size} finite numbers; found {_shown(value)}")
        return [float(one) for one in value]

    def rows(self, name: str, rows: int, columns: int) -> list[list[float | None]] | None:
        """Return rows of finite numbers, or None where one is missing; None where the whole is absent."""
        value = self.values.get(name)
        if value is None:
            return None
        cells = [one for row in value for one in row] if _is_table(value, rows, columns) else [math.nan]
        if not all(one is None or _is_finite(one) for one in cells):
            raise InputError(f"`{name}` must be {rows} rows of {columns} finite numbers; found {_shown(value)}")
        return [[None if one is None else float(one) for one in row] for row in value]


def _is_table(value: Any, rows: int, columns: int) -> bool:
    is_rows = isinstance(value, list) and len(value) == rows
    return is_rows and all(isinstance(row, list) and len(row) == columns for row in value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30  # NaN is not less


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
