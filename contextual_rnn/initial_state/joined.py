"""An initial state made of several: each gives an item of the state, or the units that a mask selects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .._core.noise import TrajectorySeeds
from .._core.state import Shapes, State, fill, is_shape, leaves, map_state
from .base import Generator, InitialState


class JoinedState(InitialState):
    """Join initial states into one, so that parts of h0 start in different ways.

    Without a mask, state i of `states` gives item i of the state: for an LSTM, two states give h and c, such as h from
    context and c = 0. Each state is made for the shapes of its item. If all are made for the whole core, each gives its
    item, and its parameters for the other items are not used.

    With a mask, two states are made for the whole core, and the first gives the units where the mask is true, such as
    those of the first layer only (as in Sonnet's `TrainableState.for_core(core, mask)`).

    Args:
        states: the initial states.
        mask: a nested tuple like the state, in which the mask of each leaf is a bool, or a list or tensor of bools over
            the first dimensions of the leaf, such as one bool for each layer; a single mask applies to every leaf.

    Raises:
        ValueError: there are fewer than two states; there is a mask, but not exactly two states of equal shapes; or the
            mask does not fit their shapes.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import MLP, ConstantState, ContextState, FreeState, JoinedState, state_shapes
        >>> core = nn.LSTM(3, 8, num_layers=2, batch_first=True)
        >>> h, c = state_shapes(core)
        >>> h_from_context = JoinedState(ContextState(h, MLP(2, 50)), ConstantState(c))
        >>> first_layer_learned = JoinedState(FreeState(core), ConstantState(core), mask=[True, False])
    """

    def __init__(self, *states: InitialState, mask: Any = None) -> None:
        if len(states) < 2 or not all(isinstance(state, InitialState) for state in states):
            raise ValueError("JoinedState needs two or more initial states, such as JoinedState(first, second)")
        alike = all(state.shapes == states[0].shapes for state in states)
        if mask is not None and not (alike and len(states) == 2):
            raise ValueError("a mask needs exactly two initial states of the same shapes")
        whole = alike and not is_shape(states[0].shapes) and len(states[0].shapes) == len(states)
        super().__init__(states[0].shapes if whole or mask is not None else tuple(state.shapes for state in states))
        self.states, self.whole, self.mask = nn.ModuleList(states), whole, None
        self.uses_context = any(state.uses_context for state in states)
        if mask is not None:
            tensors = list(_mask_leaves(mask, self.shapes))
            self.mask = fill(self.shapes, (tensor.tolist() for tensor in tensors))
            for number, tensor in enumerate(tensors):
                self.register_buffer(f"mask_{number}", tensor, persistent=False)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the state, each part from its own initial state: (B, *shape) for every shape."""
        found, stream = [], 0
        for state in self.states:
            seeds = generator.next_stream(stream) if isinstance(generator, TrajectorySeeds) else generator
            found.append(state(batch_size, context, sample=sample, generator=seeds))
            stream += sum(isinstance(module, InitialState) for module in state.modules())  # each uses at most one
        if self.mask is not None:
            return map_state(_choose, *found, fill(self.shapes, iter(self._buffers.values())))
        parts = [state[number] for number, state in enumerate(found)] if self.whole else found
        return fill(self.shapes, leaves(tuple(parts)))


def _choose(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask.view(1, *mask.shape, *[1] * (first.dim() - 1 - mask.dim())), first, second)


def _mask_leaves(mask: Any, shapes: Shapes) -> Iterator[Tensor]:
    """Yield a tensor of bools for every leaf; one mask for all leaves is repeated."""
    if is_shape(shapes):
        tensor = torch.as_tensor(mask)
        if tensor.dtype != torch.bool or tuple(tensor.shape) != shapes[: tensor.dim()]:
            raise ValueError(
                f"the mask of a leaf of shape {shapes} must be bools over its first dimensions; found {mask!r}"
            )
        yield tensor
        return
    masks = mask if isinstance(mask, tuple) else [mask] * len(shapes)
    if len(masks) != len(shapes):
        raise ValueError(f"the mask has {len(masks)} items; expected {len(shapes)}, as many as the state")
    for item, inner in zip(masks, shapes, strict=True):
        yield from _mask_leaves(item, inner)
