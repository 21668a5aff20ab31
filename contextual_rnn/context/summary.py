"""A field that summarises another sequence with a recurrent network."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .._core.arrays import as_tensor
from .._core.state import leaves
from .._core.tracing import shapes_are_traced, values_are_known
from .field import Field

Kind = Literal["first", "last", "mean", "final"]


class Summary(Field):
    """The output or final state of a recurrent network that reads another sequence.

    The value is a sequence (B, T, D), or a tuple of a sequence and its lengths (B,), each at least 1.

    Args:
        network: a `ContextualRNN` that needs no context and is batch first, or any module called as
            `network(x, lengths=lengths) -> (outputs (B, T, F), state)`.
        features: F; for `"final"`, the number of units in its state.
        kind: `"first"`, `"last"` or `"mean"` for the output at the first or last step or the mean output; `"final"` for
            the state after the last step, all its tensors concatenated.
        unknown: whether it may be unknown; an unknown row contains NaN. See `Field`.
        drop: the share of rows that are treated as unknown in training mode.

    Raises:
        ValueError: `kind` is none of these, or the network is not batch first.
    """

    def __init__(
        self, network: nn.Module, features: int, kind: Kind = "final", unknown: bool = False, drop: float = 0.0
    ) -> None:
        super().__init__(features, unknown, drop)
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}; found {kind!r}")
        if not getattr(network, "batch_first", True):
            raise ValueError("the network of a summary must be batch first")
        self.network, self.kind = network, kind

    def check(self, value: Any) -> tuple[tuple[Tensor, Tensor | None], Tensor]:
        """Return the sequence and its lengths, and a mask (B,) of the unknown rows."""
        x, lengths = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
        x = as_tensor(x)
        if x.dim() != 3 or (not shapes_are_traced() and not x.shape[1]):
            raise ValueError(
                "expected a sequence (batch, time, features) or a tuple (sequence, lengths), found shape "
                f"{tuple(x.shape)}"
            )
        x = x.to(self._placement)
        if lengths is None and not values_are_known():  # packed sequences cannot be traced
            return (x, None), x.isnan().flatten(1).any(1)
        lengths = self._lengths(lengths, x)
        inside = torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(1)
        x = torch.where(inside.unsqueeze(2), x, 0)
        missing = x.isnan().flatten(1).any(1)
        return (torch.where(missing.view(-1, 1, 1), 0, x), lengths), missing

    def _lengths(self, lengths: Any, x: Tensor) -> Tensor:
        size, steps, _ = x.shape
        lengths = torch.full((size,), steps) if lengths is None else as_tensor(lengths)
        right = tuple(lengths.shape) == (size,) and not lengths.is_floating_point()
        if right and size and values_are_known():
            right = 1 <= int(lengths.min()) <= int(lengths.max()) <= steps
        if not right:
            raise ValueError(f"its lengths must be {size} integers from 1 to {steps}")
        return lengths.to(x.device)

    def encode(self, value: tuple[Tensor, Tensor | None]) -> Tensor:
        """Return the summary (B, F)."""
        x, lengths = value
        output, state = self.network(x, lengths=lengths)
        if self.kind == "final":
            return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
        if self.kind == "first":
            return output[:, 0]
        if lengths is None:
            return output.mean(1) if self.kind == "mean" else output[:, -1]
        if self.kind == "mean":
            return output.sum(1) / lengths.to(output).unsqueeze(1)
        return output[torch.arange(x.shape[0], device=x.device), lengths - 1]
