"""A label: one of a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from .field import Field


class Label(Field):
    """One of n labels, as a one-hot vector, or as a vector that is learned.

    Args:
        labels: n, where labels are the integers 0 to n - 1; or their names, where they are text.
        size: the width of a vector that is learned; None is one-hot.
        unknown: whether it may be not known; see `Field`. A row that is not is -1, or None among names.
        drop: see `Field`.

    Raises:
        ValueError: there is no label, or two of one name.
    """

    def __init__(
        self, labels: int | Sequence[str], size: int | None = None, unknown: bool = False, drop: float = 0.0
    ) -> None:
        names = None if isinstance(labels, int) else list(labels)
        count = labels if isinstance(labels, int) else len(labels)
        if count < 1 or (names is not None and len(set(names)) < count):
            raise ValueError(f"labels must be their number or their names, each once; found {labels!r}")
        super().__init__(size or count, unknown, drop)
        self.names, self.count, self.size = names, count, size
        self.embedding = nn.Embedding(count, size) if size else None

    def check(self, value: Any) -> tuple[Tensor, Tensor]:
        """Return labels as integers (B,), from integers or from names, and which are not known."""
        index = torch.as_tensor(value) if self.names is None else self._numbers(self.names, value)
        if index.dim() != 1 or index.is_floating_point() or index.dtype == torch.bool:
            raise ValueError(f"labels must be integers (batch,); found {index.dtype} of shape {tuple(index.shape)}")
        wrong = ((index < -1) | (index >= self.count)).nonzero()
        if len(wrong):
            row = int(wrong[0, 0])
            raise ValueError(f"row {row} is {int(index[row])} where a label in 0 to {self.count - 1} is right")
        return index.clamp(min=0), index < 0

    def encode(self, value: Tensor) -> Tensor:
        """Return the labels' vectors, (B, F)."""
        if self.embedding is not None:
            return self.embedding(value)
        return one_hot(value.long(), self.count).to(torch.get_default_dtype() if self.unknown is None else self.unknown)

    def _numbers(self, names: list[str], value: Any) -> Tensor:
        known = {name: number for number, name in enumerate(names)} | {None: -1}
        strange = [row for row, label in enumerate(value) if isinstance(label, Tensor) or label not in known]
        if strange:
            row = strange[0]
            raise ValueError(f"row {row} is {value[row]!r} where one of {', '.join(names)} is right")
        place = None if self.unknown is None else self.unknown.device
        return torch.tensor([known[label] for label in value], dtype=torch.long, device=place)
