"""The base class of the fields of a context: modules that encode one value as a vector of features."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._core.arrays import as_tensor
from .._core.recorded import recorded_arguments
from .._core.tracing import shapes_are_traced, values_are_known


class Field(nn.Module):
    """Encode one named value that is known about a sequence; the base class of all fields.

    A subclass has two methods: `check(value)` raises ValueError if the value is invalid, and returns it as a tensor
    with a mask of its unknown rows; `encode(value)` returns the features of that tensor. The features are converted to
    the dtype and device of the field, which follow `.to()`, `.double()` and the like.

    Values are not checked under `torch.export`, `torch.compile`, `torch.jit.trace` and `torch.func.vmap`, where they
    cannot be read. In these modes, a missing row of a required field yields NaN features instead of an error.

    Args:
        features: F, the width of the features.
        unknown: whether the value may be unknown; a learned vector then replaces its features.
        drop: the share of known rows that are treated as unknown in training mode, so that one model learns both cases.

    Raises:
        ValueError: `drop` is outside [0, 1), or is not 0 in a required field.
    """

    _placement: Tensor

    def __init__(self, features: int, unknown: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise ValueError(f"drop is a share of the rows and must be at least 0 and less than 1; found {drop}")
        if drop and not unknown:
            raise ValueError("drop needs unknown=True: a required field cannot be dropped")
        self.out_features, self.drop = features, drop
        self.unknown = nn.Parameter(torch.zeros(features)) if unknown else None
        # An empty buffer, which stores the dtype and device of the features.
        self.register_buffer("_placement", torch.empty(0), persistent=False)

    def check(self, value: Any) -> tuple[Any, Tensor]:
        """Return the input of `encode`, with B rows, and a mask (B,) that is true for unknown rows.

        Unknown rows contain a placeholder that `encode` accepts.
        """
        raise NotImplementedError

    def encode(self, value: Any) -> Tensor:
        """Return the features (B, F) of a value that `check` returned."""
        raise NotImplementedError

    def forward(self, value: Any, batch_size: int | None = None) -> Tensor:
        """Return the features (B, F) of a value.

        Args:
            value: the value, with B rows; or None if it is unknown in every row.
            batch_size: B; None means the number of rows of the value.

        Raises:
            ValueError: the value is invalid, has another number of rows, or is missing in a required field.
        """
        if value is None:
            if self.unknown is None:
                raise ValueError("no value was given; pass one, or create the field with unknown=True")
            if batch_size is None:
                raise ValueError("neither a value nor batch_size was given; pass one of them")
            return self.unknown.expand(batch_size, -1)
        value, missing = self.check(value)
        size = rows(value)
        if batch_size is not None and not shapes_are_traced() and size != batch_size:
            raise ValueError(f"it has {size} rows; expected {batch_size}, as in the other fields")
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
            raise ValueError(f"row {row} is missing; create the field with unknown=True to allow missing values")
        return features

    def numbers(self, value: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Return a value as numbers (B, *shape) in the field's dtype, and a mask of the rows with NaN, which become 0.

        Raises:
            ValueError: the value is not numbers (B, *shape), or a number is infinite or too large for the dtype.
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
    """Replace every row that contains NaN by 0; return the numbers, and a mask (B,) of these rows.

    Raises:
        ValueError: the tensor is not (B, *shape), or is complex.
    """
    fits = tensor.dim() == 1 + len(shape) and not tensor.is_complex()
    if not fits or (not shapes_are_traced() and tensor.shape[1:] != shape):
        wanted = ", ".join(["batch", *map(str, shape)])
        raise ValueError(f"expected shape ({wanted}{'' if shape else ','}), found {tuple(tensor.shape)}")
    missing = tensor.isnan().flatten(1).any(1) if shape else tensor.isnan()
    return torch.where(missing.view(-1, *[1] * len(shape)), 0, tensor), missing


def check_finite(tensor: Tensor) -> None:
    """Raise ValueError if a number is infinite; the message gives its row."""
    if not values_are_known() or tensor.isfinite().all():
        return
    row = int((~tensor.isfinite()).nonzero()[0, 0])
    kind = str(tensor.dtype).removeprefix("torch.")
    raise ValueError(f"row {row} contains a number that is infinite or too large for {kind}")


def rows(value: Any) -> int:
    """Return the number of rows of a value; for a sequence with its lengths, (x, lengths), that of x.

    Raises:
        ValueError: the value has no rows.
    """
    value = value[0] if isinstance(value, tuple) else value
    if isinstance(value, Tensor) and value.dim():
        return value.shape[0]
    try:
        return len(value)
    except TypeError:
        raise ValueError(f"expected one row for each sequence, found {value!r}") from None
