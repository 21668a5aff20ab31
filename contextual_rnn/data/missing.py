"""Missing values: how they are filled, which of them were filled, and how many there are, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

REFUSE = "refuse"
IN_WORDS = {
    "hold": "with the last known value",
    "interpolate": "by linear interpolation",
    "zero": "with the training mean",
}


def hold(values: np.ndarray) -> np.ndarray:
    """Fill each missing value of (T, F) with the last known one; it stays NaN before the first known one."""
    steps = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, steps), axis=0)
    return np.where(last < 0, np.nan, np.take_along_axis(values, last.clip(0), axis=0)).astype(values.dtype)


def interpolate(values: np.ndarray) -> np.ndarray:
    """Fill the missing values of (T, F) linearly, and with the nearest known value at the ends."""
    filled, steps = values.copy(), np.arange(len(values))
    for column in filled.T:
        known = ~np.isnan(column)
        if known.any():
            column[~known] = np.interp(steps[~known], steps[known], column[known])
    return filled


def keep(values: np.ndarray) -> np.ndarray:
    """Return the values as they are: the model replaces NaN by the training mean."""
    return values


FILLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"hold": hold, "interpolate": interpolate, "zero": keep}


def filled_with_indicators(values: np.ndarray, how: str, labelled: Sequence[int] = ()) -> np.ndarray:
    """Return columns (T, F) with missing values filled, and then an indicator of each column: (T, 2F), float32.

    An indicator is 1 where its column was missing, and 0 elsewhere. A value that stays NaN stands for the training
    mean.

    Args:
        values: (T, F), NaN where a value is missing.
        how: hold (the last known value; before the first one, the training mean), interpolate (linear between known
            values; the nearest known value at the ends) or zero (the training mean, which is 0 after scaling). A column
            without any known value is filled with the training mean.
        labelled: the columns of labels. They are never interpolated, but filled with the last known label; a label
            that stays NaN is none of the known ones.
    """
    missing = np.isnan(values).astype(np.float32)
    filled = FILLS[how](values)
    if labelled and how == "interpolate":
        filled[:, labelled] = hold(values[:, labelled])
    return np.concatenate([filled, missing], axis=1)


def hold_the_end(read: Tensor, size: int) -> Tensor:
    """Replace filled values at the end of windows, (B, T, 2F), by the last known ones of the window.

    Values after the window must not be read, but interpolation has used them. Without a known value in the window, the
    result is NaN, which stands for the training mean.

    Args:
        read: F columns, and then the indicators of those that were filled.
        size: F.
    """
    values, filled = read[..., :size], read[..., size:]
    steps = torch.arange(values.shape[1], device=read.device).view(1, -1, 1)
    last = torch.where(filled > 0, -1, steps).amax(dim=1, keepdim=True)
    held = values.gather(1, last.clamp(min=0)).masked_fill(last < 0, torch.nan)
    return torch.cat([torch.where(steps > last, held, values), filled], dim=2)


def check_known(values: np.ndarray, names: Sequence[str], table: str, series: str = "", after: str = "") -> None:
    """Raise InputError if a column of (T, F) has no known value."""
    unknown = np.isnan(values).all(axis=0)
    if len(values) and unknown.any():
        name = names[int(unknown.argmax())]
        of, what = (f" of series {series!r}", "series") if series else ("", "column")
        raise InputError(f"{table}, column {name!r}: every value{of} is missing{after}; leave the {what} out")


def in_words(table: str, series: Sequence[Any], how: str, reads_targets: bool) -> str:
    """Return a sentence that says how much of a table is missing, and what is done about it.

    Args:
        table: the name of the table.
        series: its series, with `inputs` (T, U), `targets` (T, Y) and `rows` (T,), in which -1 is an absent row.
        how: the setting `missing`.
        reads_targets: whether the model reads targets.
    """
    inputs, targets = _count([one.inputs for one in series]), _count([one.targets for one in series])
    absent = sum(int((one.rows < 0).sum()) for one in series)
    counts = [
        f"{number} of {of} {name} values" for name, (number, of) in (("input", inputs), ("target", targets)) if of
    ]
    rows = f" ({absent} absent row{'s' * (absent != 1)} included)" if absent else ""
    found = f"In {table}{rows}, {' and '.join(counts)} are missing"
    if not inputs[0] + targets[0]:
        return f"{found}."
    ends = [found]
    if how != REFUSE and (inputs[0] or reads_targets):
        what = "what the model reads of them is" if reads_targets and targets[0] else "missing inputs are"
        ends.append(f"{what} filled {IN_WORDS[how]} (missing {how}) and marked by an indicator input")
    if targets[0]:
        ends.append("missing targets are neither trained on nor scored")
    return "; ".join(ends) + "."


def _count(values: Sequence[np.ndarray]) -> tuple[int, int]:
    """Return the number of missing values, and of all values."""
    return sum(int(np.isnan(one).sum()) for one in values), sum(one.size for one in values)


def filled_in_words(tables: str, inputs: Sequence[Tensor], targets: Sequence[Tensor], how: str) -> list[str]:
    """Return a sentence that says how much of what a model read was filled; none if nothing was.

    Args:
        tables: the names of the tables.
        inputs: the indicators of the inputs.
        targets: the indicators of the targets.
        how: the setting `missing`.
    """
    counts = []
    for name, parts in (("input", inputs), ("target", targets)):
        filled, of = sum(int(part.sum()) for part in parts), sum(part.numel() for part in parts)
        counts += [f"{filled} of {of} {name} values"] if filled else []
    if not counts:
        return []
    return [f"Of what the model read in {tables}, {' and '.join(counts)} were missing, and filled {IN_WORDS[how]}."]
