"""What the two experiments of arXiv 1902.03455 share: the kinds of h0 that it compares, and how dense layers start."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from torch import nn

from ..initial_state import ConstantState, ContextState, FreeState, GaussianState, InitialState

Kind = Literal["zero", "free", "context", "gaussian"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SCALE = 0.25  # what softplus(sigma) starts at


def initial_state(kind: str, core: nn.Module, context: ContextState) -> InitialState:
    """Return the initial state of a kind: zero (2a), free (2b), `context` (2c), or a distribution around it (4)."""
    makers: dict[str, Callable[[], InitialState]] = {
        "zero": lambda: ConstantState(core),
        "free": lambda: FreeState(core),
        "context": lambda: context,
        "gaussian": lambda: GaussianState(context, SCALE),
    }
    return makers[kind]()


def he_truncated_normal(layer: nn.Linear) -> None:
    """He's initialisation, from a normal distribution truncated at two deviations, and a bias of zero."""
    deviation = math.sqrt(2 / layer.in_features) / 0.87962566  # what truncation takes away
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    nn.init.zeros_(layer.bias)
