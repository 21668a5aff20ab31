"""A field for labels."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._core.arrays import as_tensor, is_missing
from .._core.tracing import values_are_known
from .field import Field


class Label(Field):
    """One of n labels, as a one-hot vector or as a learned vector.

    Args:
        labels: n, if the labels are the integers 0 to n - 1; or the list of their names, if they are strings.
        size: the width of the learned vector; None means one-hot.
        unknown: whether it may be unknown; an unknown row is -1 (None in a list of names). See `Field`.
        drop: the share of rows that are treated as unknown in training mode.

    Raises:
        ValueError: there is no label, or a name is not a string or occurs twice.
    """

    def __init__(
        self, labels: int | Sequence[str], size: int | None = None, unknown: bool = False, drop: float = 0.0
    ) -> None:
        known = _names_or_number(labels)
        names, count = (None, known) if isinstance(known, int) else (known, len(known))
        super().__init__(size or count, unknown, drop)
        self.labels = known
        self.names, self.count, self.size = names, count, size
        self.embedding = nn.Embedding(count, size) if size else None

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Convert integers or names to integers (B,); return these, and a mask (B,) of the unknown rows."""
        index = _integers(value) if self.names is None else self._numbers(self.names, value)
        if index.dim() != 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
            raise ValueError(f"labels must be integers (batch,); found {index.dtype} of shape {tuple(index.shape)}")
        index = index.to(self._placement.device, torch.long)
        wrong = (index < -1) | (index >= self.count)
        if not values_are_known():
            return index.clamp(0, self.count - 1), wrong | (index < 0)
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            raise ValueError(f"row {row} has label {int(index[row])}; labels must be from 0 to {self.count - 1}")
        return index.clamp(min=0), index < 0

    def encode(self, value: Tensor) -> Tensor:
        """Return the vectors of the labels, (B, F)."""
        if self.embedding is not None:
            return self.embedding(value)
        return value.unsqueeze(1) == torch.arange(self.count, device=value.device)

    def _numbers(self, names: list[str], value: Any) -> Tensor:
        if isinstance(value, (str, Tensor)):
            kind = "a string" if isinstance(value, str) else "a tensor"
            raise ValueError(f"labels must be a list of names, one for each sequence; found {kind}")
        number = {name: place for place, name in enumerate(names)}
        labels = list(value)
        for row, label in enumerate(labels):
            if not is_missing(label) and not (isinstance(label, str) and label in number):
                raise ValueError(f"row {row} has label {label!r}; labels must be one of {', '.join(names)}")
        return torch.tensor([-1 if is_missing(label) else number[label] for label in labels], dtype=torch.long)


def _names_or_number(labels: Any) -> int | list[str]:
    if isinstance(labels, numbers.Integral) and not isinstance(labels, bool) and int(labels) >= 1:
        return int(labels)
    names = [] if isinstance(labels, (str, numbers.Number)) else list(labels)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"`labels` must be a positive integer or a list of distinct names; found {labels!r}")
    return [str(name) for name in names]


def _integers(value: Any) -> Tensor:
    """Return labels as integers.

    Lists, arrays and columns with missing values become floats; their NaN is converted to -1. A tensor is returned as
    it is.
    """
    tensor = as_tensor(value)
    if isinstance(value, Tensor) or not tensor.is_floating_point():
        return tensor
    if not tensor.numel():
        return tensor.long()
    whole = torch.where(tensor.isnan(), -1, tensor)
    return whole.long() if (whole == whole.round()).all() and tensor.isnan().any() else tensor
