"""A summary of another sequence, by a recurrent network."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .._core.state import leaves
from .field import Field

Kind = Literal["first", "last", "mean", "final"]


class Summary(Field):
    """What a network makes of a sequence: its first, last or mean output, or its final state.

    The value is a sequence (B, T, D), or a pair of it and its lengths (B,), each at least 1.

    Args:
        network: a `ContextualRNN` that needs no context and is batch first, or any module called as
            `network(x, lengths=lengths) -> (outputs (B, T, F), state)`.
        features: F; of `"final"`, the numbers in its state.
        kind: `"first"`, `"last"`, `"mean"` or `"final"`.
        unknown: whether it may be not known; see `Field`. A row that is not holds NaN.
        drop: see `Field`.

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

    def check(self, value: Any) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return the sequence and its lengths, and which rows are not known."""
        x, lengths = value if isinstance(value, tuple) else (value, None)
        if not isinstance(x, Tensor) or x.dim() != 3 or not x.shape[1]:
            found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"it must be a sequence (batch, time, features) or (sequence, lengths); found {found}")
        size, steps, _ = x.shape
        lengths = torch.full((size,), steps) if lengths is None else torch.as_tensor(lengths)
        if tuple(lengths.shape) != (size,) or (size and not 1 <= int(lengths.min()) <= int(lengths.max()) <= steps):
            raise ValueError(f"its lengths must be {size} integers in 1 to {steps}")
        lengths = lengths.to(x.device)
        inside = torch.arange(steps, device=x.device) < lengths.unsqueeze(1)
        x = torch.where(inside.unsqueeze(2), x, 0)
        hidden = x.isnan().flatten(1).any(1)
        return (torch.where(hidden.view(-1, 1, 1), 0, x), lengths), hidden

    def encode(self, value: tuple[Tensor, Tensor]) -> Tensor:
        """Return the summary (B, F)."""
        x, lengths = value
        output, state = self.network(x, lengths=lengths)
        if self.kind == "final":
            return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
        if self.kind == "mean":
            return output.sum(1) / lengths.to(output).unsqueeze(1)
        return output[:, 0] if self.kind == "first" else output[torch.arange(len(x)), lengths - 1]
