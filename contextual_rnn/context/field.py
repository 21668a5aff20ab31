"""What every field of a context is: a module from what is known to a vector, which may be not known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class Field(nn.Module):
    """One named thing that is known of a sequence.

    A subclass has `check(value)`, which raises ValueError where the value is not right, and returns it as a tensor,
    with which rows of it are not known; and `encode(value)`, its features.

    Args:
        features: F, the width of what it makes.
        unknown: whether it may be not known; features of its own, learned, then stand in its place.
        drop: how often a row that is known is taken not to be, in training, so that one model serves both.

    Raises:
        ValueError: `drop` is outside [0, 1), or is not 0 in a field that must be known.
    """

    def __init__(self, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise ValueError(f"drop is a share of the rows, at least 0 and less than 1; found {drop}")
        if drop and not unknown:
            raise ValueError("drop needs unknown=True: a field that must be known cannot be dropped")
        self.out_features, self.drop = features, drop
        self.unknown = nn.Parameter(torch.zeros(features)) if unknown else None

    def check(self, value: Any) -> tuple[Any, Tensor]:
        """Return what `encode` takes, of B rows, and which rows are not known (B,).

        Rows that are not known hold something that `encode` can take.
        """
        raise NotImplementedError

    def encode(self, value: Any) -> Tensor:
        """Return the features (B, F) of what `check` returned."""
        raise NotImplementedError

    def forward(self, value: Any, batch_size: int) -> Tensor:
        """Return the features (B, F) of a value of B rows, or of None, which is not known in any row.

        Raises:
            ValueError: the value is not right, or has another number of rows, or is not known where it must be.
        """
        if value is None:
            if self.unknown is None:
                raise ValueError("it is not there, and must be known: unknown=True lets it be left out")
            return self.unknown.expand(batch_size, -1)
        value, hidden = self.check(value)
        if rows(value) != batch_size:
            raise ValueError(f"it has {rows(value)} rows where another field has {batch_size}")
        features = self.encode(value)
        if self.unknown is None:
            if hidden.any():
                row = int(hidden.nonzero()[0, 0])
                raise ValueError(f"row {row} is not known, and must be: unknown=True lets it be left out")
            return features
        if self.training and self.drop:
            hidden = hidden | (torch.rand(batch_size, device=hidden.device) < self.drop)
        return torch.where(hidden.unsqueeze(1), self.unknown, features)


def numbers(value: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return a value as floating-point numbers (B, *shape), and which rows hold NaN, which are 0 in what is returned.

    Raises:
        ValueError: it is something else, or a number is infinite.
    """
    tensor = torch.as_tensor(value)
    tensor = tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())
    if tensor.dim() < 1 or tensor.shape[1:] != shape:
        wanted = ", ".join(["batch", *map(str, shape)])
        raise ValueError(f"it has shape {tuple(tensor.shape)} where ({wanted}{'' if shape else ','}) is right")
    in_rows = tensor.reshape(len(tensor), math.prod(shape))
    if in_rows.isinf().any():
        raise ValueError(f"row {int(in_rows.isinf().nonzero()[0, 0])} holds a number that is infinite")
    hidden = in_rows.isnan().any(1)
    return torch.where(hidden.view(-1, *[1] * len(shape)), 0, tensor), hidden


def rows(value: Any) -> int:
    """Return how many rows a value has; of a sequence with its lengths, (x, lengths), those of x."""
    return len(value[0]) if isinstance(value, tuple) else len(value)
