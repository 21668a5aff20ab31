"""The base class of the fields of a context: a module from one known thing to a vector of features."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._core.arrays import as_tensor
from .._core.recorded import recorded_arguments
from .._core.tracing import shapes_are_traced, values_are_known


class Field(nn.Module):
    """One named thing that is known of a sequence.

    A subclass has two methods: `check(value)` raises ValueError if the value is not right, and returns it as a tensor
    and which of its rows are unknown; `encode(value)` returns the features of that tensor. The features are converted
    to the dtype and device of the field, which follow `.to()`, `.double()` and the like.

    Values are not checked where PyTorch cannot read them: under `torch.export`, `torch.compile`, `torch.jit.trace` and
    `torch.func.vmap`. A row that is unknown and must not be then has features of NaN.

    Args:
        features: F, the width of the features.
        unknown: whether the value may be unknown; a learned vector then stands for its features.
        drop: the share of known rows that are treated as unknown in training mode, so that one model serves both.

    Raises:
        ValueError: `drop` is outside [0, 1), or is not 0 in a field that must be known.
    """

    _placement: Tensor

    def __init__(self, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise ValueError(f"drop is a share of the rows, at least 0 and less than 1; found {drop}")
        if drop and not unknown:
            raise ValueError("drop needs unknown=True: a field that must be known cannot be dropped")
        self.out_features, self.drop = features, drop
        self.unknown = nn.Parameter(torch.zeros(features)) if unknown else None
        # Empty: it has the dtype and device of the features.
        self.register_buffer("_placement", torch.empty(0), persistent=False)

    def check(self, value: Any) -> tuple[Any, Tensor]:
        """Return what `encode` takes, of B rows, and which rows are unknown (B,).

        An unknown row holds something that `encode` can take.
        """
        raise NotImplementedError

    def encode(self, value: Any) -> Tensor:
        """Return the features (B, F) of what `check` returned."""
        raise NotImplementedError

    def forward(self, value: Any, batch_size: int | None = None) -> Tensor:
        """Return the features (B, F) of a value.

        Args:
            value: the value in B rows; or None, which is unknown in every row.
            batch_size: B; None takes the rows of the value.

        Raises:
            ValueError: the value is not right, has another number of rows, or is unknown and must not be.
        """
        if value is None:
            if self.unknown is None:
                raise ValueError("it is not there, and must be known: unknown=True lets it be left out")
            if batch_size is None:
                raise ValueError("it is not there, and no batch_size is given")
            return self.unknown.expand(batch_size, -1)
        value, missing = self.check(value)
        size = rows(value)
        if batch_size is not None and not shapes_are_traced() and size != batch_size:
            raise ValueError(f"it has {size} rows where another field has {batch_size}")
        features, missing = self.encode(value).to(self._placement), missing.to(self._placement.device)
        if self.unknown is None:
            return self._all_known(features, missing)
        if self.training and self.drop:
            missing = missing | (torch.rand(size, device=missing.device) < self.drop)
        return torch.where(missing.unsqueeze(1), self.unknown, features)

    def _all_known(self, features: Tensor, missing: Tensor) -> Tensor:
        if not values_are_known():
            return features.masked_fill(missing.unsqueeze(1), math.nan)
        if missing.any():
            row = int(missing.nonzero()[0, 0])
            raise ValueError(f"row {row} is not known, and must be: unknown=True lets it be left out")
        return features

    def numbers(self, value: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Return a value as numbers (B, *shape) in the field's dtype, and which rows hold NaN, which become 0.

        Raises:
            ValueError: it is something else, or a number is infinite or too large for the dtype.
        """
        tensor, missing = without_nan(as_tensor(value), shape)
        tensor = tensor.to(self._placement)
        check_finite(tensor)
        return tensor, missing.to(tensor.device)

    def extra_repr(self) -> str:
        """Show the arguments that are not None or False."""
        _, named = recorded_arguments(self) or ([], {})
        shown = {name: value for name, value in named.items() if not isinstance(value, nn.Module)}
        shown = {name: value for name, value in shown.items() if value is not None and value is not False}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items() if (name, value) != ("drop", 0))


def without_nan(tensor: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return numbers with 0 in place of every row that holds NaN, and which rows those are (B,).

    Raises:
        ValueError: the tensor is not (B, *shape), or is complex.
    """
    fits = tensor.dim() == 1 + len(shape) and not tensor.is_complex()
    if not fits or (not shapes_are_traced() and tensor.shape[1:] != shape):
        wanted = ", ".join(["batch", *map(str, shape)])
        raise ValueError(f"it has shape {tuple(tensor.shape)} where ({wanted}{'' if shape else ','}) is right")
    missing = tensor.isnan().flatten(1).any(1) if shape else tensor.isnan()
    return torch.where(missing.view(-1, *[1] * len(shape)), 0, tensor), missing


def check_finite(tensor: Tensor) -> None:
    """Raise ValueError, naming the row, if a number is infinite."""
    if not values_are_known() or tensor.isfinite().all():
        return
    row = int((~tensor.isfinite()).nonzero()[0, 0])
    kind = str(tensor.dtype).removeprefix("torch.")
    raise ValueError(f"row {row} holds a number that is infinite, or too large for {kind}")


def rows(value: Any) -> int:
    """Return how many rows a value has; of a sequence with its lengths, (x, lengths), those of x.

    Raises:
        ValueError: it has no rows.
    """
    value = value[0] if isinstance(value, tuple) else value
    if isinstance(value, Tensor) and value.dim():
        return value.shape[0]
    try:
        return len(value)
    except TypeError:
        raise ValueError(f"it must have a row for each sequence; found {value!r}") from None
