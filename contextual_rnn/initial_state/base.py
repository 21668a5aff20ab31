"""The base class of every initial state, and functions that its subclasses share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .._core.noise import TrajectorySeeds
from .._core.state import Shapes, State, map_state, state_shapes
from .._core.tracing import shapes_are_traced

Generator = torch.Generator | TrajectorySeeds | None


class InitialState(nn.Module):
    """Compute the state that a core starts from; the base class of every kind of initial state.

    Args:
        core: the core whose state this is (only the shapes are stored), or the nested tuple of shapes itself.

    Attributes:
        uses_context: whether the state may depend on the context. Where it does not, a state that is given as a context
            by mistake is refused.
    """

    uses_context: bool = True

    def __init__(self, core: Any) -> None:
        super().__init__()
        self.shapes: Shapes = state_shapes(core)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the state to start from.

        Args:
            batch_size: B.
            context: what is known about each sequence, B rows. Kinds that do not use it ignore it, so that one kind can
                be exchanged for another.
            sample: whether to draw noise, if the kind has any; None means in training mode only.
            generator: the source of the noise: a `torch.Generator`, or `TrajectorySeeds` for noise that does not depend
                on how trajectories are split into batches; None is the global generator of PyTorch.

        Returns:
            A state, (B, *shape) for every shape in `self.shapes`. It is batch first; `torch_layout(state)` converts it
            to the layout that `nn.LSTM` expects.
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Show the shapes."""
        return f"shapes={self.shapes}"


def tile(state: State, batch_size: int) -> State:
    """Repeat the state of one example for every row: (B, *shape) for every shape.

    With one row, the result is a copy, because writing to an expanded view would change the parameter.
    """
    tiled = map_state(lambda leaf: leaf.expand(batch_size, *leaf.shape), state)
    return map_state(torch.clone, tiled) if shapes_are_traced() or batch_size == 1 else tiled


def check_base(kind: str, base: Any) -> None:
    """Raise ValueError unless the base of a kind is an initial state.

    Args:
        kind: its name.
        base: what it was given.
    """
    if getattr(base, "shapes", None) is None:
        raise ValueError(
            f"the base of {kind} is an initial state, such as FreeState(core); found a {type(base).__name__}"
        )


def is_sampling(module: nn.Module, sample: bool | None) -> bool:
    """Return whether to draw noise: as `sample` says, or in training mode only if it is None."""
    return module.training if sample is None else sample
