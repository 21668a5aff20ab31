"""How the columns of a table become numbers: labels as one-hot vectors, and large numbers as their differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Coding:
    """How the cells of the columns of a table become numbers.

    Attributes:
        labels: the labels of every input column of labels, in order. A cell becomes the position of its label.
        offsets: numbers that are subtracted, in double precision, from the cells of input and target columns whose
            numbers single precision does not tell apart. All else is computed with the differences; `restored` adds
            the offset to results.
        complete: the input and target columns that have an indicator of missing values and no missing value in the
            training table, so that the indicator was always 0 there. A model reads it as 0 ever after, since its
            weights are not trained.
    """

    labels: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    offsets: Mapping[str, float] = dataclasses.field(default_factory=dict)
    complete: Sequence[str] = ()

    @classmethod
    def of(cls, given: Coding | dict[str, Any] | None) -> Coding:
        """Return a coding, from one, from the dict that a model file keeps, or from None, which has neither."""
        return given if isinstance(given, Coding) else cls(**given or {})

    def counts(self, names: Sequence[str]) -> dict[int, int]:
        """Return the number of labels of each column of labels, by its place among `names`."""
        return {place: len(self.labels[name]) for place, name in enumerate(names) if name in self.labels}

    def trained_indicators(self, names: Sequence[str]) -> Tensor | None:
        """Return 1 for each of F columns whose indicator varied in training, and else 0, (F,); None if all did."""
        if not set(names) & set(self.complete):
            return None
        return torch.tensor([float(name not in self.complete) for name in names])

    def restored(self, name: str, values: Any) -> np.ndarray:
        """Return results for a column, an array or tensor of any shape, in the column's own numbers."""
        offset, found = self.offsets.get(name), np.asarray(values)
        return found if offset is None else found.astype(np.float64) + offset


def one_hot_columns(values: Tensor, original: Tensor, counts: Mapping[int, int]) -> Tensor:
    """Replace the columns of labels by one-hot vectors; a missing label, NaN, becomes a vector of 0.

    Args:
        values: (..., F), the columns to keep.
        original: (..., F), where a column of labels has the positions of the labels.
        counts: n, the number of labels, by the place of the column among the F.

    Returns:
        (..., F - L + the sum of n) for L columns of labels.
    """
    if not counts:
        return values
    labels = {count: torch.arange(count, device=values.device) for count in counts.values()}
    parts = [
        (original[..., place, None] == labels[counts[place]]).to(values)
        if place in counts
        else values[..., place, None]
        for place in range(values.shape[-1])
    ]
    return torch.cat(parts, dim=-1)


def encoded_width(width: int, counts: Mapping[int, int]) -> int:
    """Return the number of columns of (..., width) after `one_hot_columns`."""
    return width + sum(counts.values()) - len(counts)


def places_of(columns: Sequence[int], width: int, counts: Mapping[int, int]) -> list[int]:
    """Return where columns of (..., width) are after `one_hot_columns`."""
    starts = [0]
    for place in range(width):
        starts.append(starts[-1] + counts.get(place, 1))
    return [at for column in columns for at in range(starts[column], starts[column + 1])]
