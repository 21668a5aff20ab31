"""Bridges: initial states of a decoder whose context is the final state of its encoder.

    decoder's h0 = bridge(encoder's final state)

Encoder and decoder may differ in depth, width, direction and kind of cell. A bridge stores the shapes of both states,
but neither core. `ConstantState` starts a decoder independently of its encoder; `GaussianState(bridge)` adds noise.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .._core.choices import check_choice
from .._core.state import Shapes, State, fill, leaves, map_state, shape_leaves, state_shapes, unwrap
from .._core.tracing import shapes_are_traced
from ..errors import InputError
from ..initial_state import ConstantState, Generator, InitialState, LeafMaps

Joined = Literal["state", "learned"]
BridgeName = Literal["zero", "project", "concat", "copy"]
BRIDGES: tuple[BridgeName, ...] = get_args(BridgeName)


def make_bridge(name: str, encoder: Any, decoder: Any) -> InitialState:
    """Make the decoder's initial state from its name.

    Args:
        name: one of `BRIDGES`: `"zero"` for `ConstantState`, which ignores the encoder, `"project"` for
            `ProjectBridge`, `"concat"` for `ConcatBridge` and `"copy"` for `CopyBridge`.
        encoder: the encoder's core, or the nested tuple of its state's shapes.
        decoder: the decoder's core, or the nested tuple of its state's shapes.

    Raises:
        InputError: `name` is not one of `BRIDGES`.
    """
    check_choice(name, BRIDGES, "bridge")
    if name == "zero":
        return ConstantState(decoder)
    return {"project": ProjectBridge, "concat": ConcatBridge, "copy": CopyBridge}[name](encoder, decoder)


class ProjectBridge(InitialState):
    """Project the encoder's whole state to every leaf and layer of the decoder's state: h_l = tanh(W_l s + b_l).

    s is the concatenation of all leaves, layers and directions of the encoder's state (B, F). The c of an LSTM has its
    own projection. (Cho et al. 2014, arXiv 1406.1078, section 2.2, project the whole state; Bahdanau et al. 2015, arXiv
    1409.0473, project the state of the backward direction.)

    Args:
        encoder: the encoder's core, or the nested tuple of its state's shapes.
        decoder: the decoder's core, or the nested tuple of its state's shapes.
    """

    def __init__(self, encoder: Any, decoder: Any) -> None:
        super().__init__(decoder)
        self.source_shapes = state_shapes(encoder)
        self.maps = LeafMaps(self.shapes, _width(self.source_shapes))

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the decoder's initial state; `context` is the encoder's final state, batch first."""
        return map_state(torch.tanh, self.maps(_concatenated(context, self.source_shapes, batch_size)))


class ConcatBridge(InitialState):
    """Map a projection of the encoder's state, concatenated with that state or with a learned vector.

        h_l = W_l [tanh(P s + b); s] + b_l,  or  h_l = W_l [tanh(P s + b); v] + b_l  with a learned v

    s is the concatenation of all leaves, layers and directions of the encoder's state (B, F).

    Args:
        encoder: the encoder's core, or the nested tuple of its state's shapes.
        decoder: the decoder's core, or the nested tuple of its state's shapes.
        joined: what is concatenated: `"state"` for s, `"learned"` for v, which is as wide as s.

    Raises:
        InputError: `joined` is not one of these.
    """

    def __init__(self, encoder: Any, decoder: Any, joined: Joined = "state") -> None:
        super().__init__(decoder)
        check_choice(joined, get_args(Joined), "joined")
        self.source_shapes, self.joined = state_shapes(encoder), joined
        width = _width(self.source_shapes)
        self.projection = nn.Linear(width, width)
        self.variable = nn.Parameter(torch.zeros(width)) if joined == "learned" else None
        self.maps = LeafMaps(self.shapes, 2 * width)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the decoder's initial state; `context` is the encoder's final state, batch first."""
        state = _concatenated(context, self.source_shapes, batch_size)
        other = state if self.variable is None else self.variable.expand_as(state)
        return self.maps(torch.cat([self.projection(state).tanh(), other], dim=1))


class CopyBridge(InitialState):
    """Copy the encoder's state, and map it linearly only where sizes differ.

    For every leaf and layer of the decoder's state:

    - A layer takes the encoder's layer at the same distance from the top, or its lowest layer if the encoder has fewer.
    - The two directions of an encoder's layer are concatenated.
    - If the widths agree, the values are copied. Otherwise, each layer has its own linear map to the decoder's width.
    - A leaf without layers, such as fast weights, is copied from a leaf of the same shape.
    - A leaf that the encoder lacks (the c of an LSTM after a GRU, fast weights after an LSTM) is mapped from the
      encoder's first leaf. A leaf that the decoder lacks is ignored.

    Args:
        encoder: the encoder's core, or the nested tuple of its state's shapes.
        decoder: the decoder's core, or the nested tuple of its state's shapes.
        directions: the number of directions of the encoder. None reads it from the core; if `encoder` is a tuple of
            shapes, None means 1.
    """

    def __init__(self, encoder: Any, decoder: Any, directions: int | None = None) -> None:
        super().__init__(decoder)
        self.source_shapes = state_shapes(encoder)
        self.directions = directions or (2 if getattr(unwrap(encoder), "bidirectional", False) else 1)
        sources, targets = list(shape_leaves(self.source_shapes)), list(shape_leaves(self.shapes))
        self.origins = [number if _has_leaf(number, sources, targets) else None for number in range(len(targets))]
        self.source_sizes = [self._source_size(shape, sources[0]) for shape in sources]
        self.maps = nn.ModuleList()
        for origin, shape in zip(self.origins, targets, strict=True):
            width = self.source_sizes[origin or 0][1]
            depth, size = _depth_and_width(shape, targets[0])
            copied = origin is not None and width == size
            self.maps.append(nn.ModuleList(nn.Identity() if copied else nn.Linear(width, size) for _ in range(depth)))

    def _source_size(self, shape: tuple[int, ...], first: tuple[int, ...]) -> tuple[int, int]:
        """Return the number of layers of a leaf of the encoder's state, and their width with both directions."""
        depth, size = _depth_and_width(shape, first)
        return (depth // self.directions, size * self.directions) if _is_layered(shape, first) else (depth, size)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the decoder's initial state; `context` is the encoder's final state, batch first."""
        _concatenated(context, self.source_shapes, batch_size)  # checks the shapes
        sized = zip(leaves(context), self.source_sizes, strict=True)
        sources = [leaf.reshape(batch_size, *size) for leaf, size in sized]
        found = []
        for origin, shape, maps in zip(self.origins, shape_leaves(self.shapes), self.maps, strict=True):
            source = sources[origin or 0]
            assert isinstance(maps, nn.ModuleList)
            layers = [max(source.shape[1] - len(maps) + layer, 0) for layer in range(len(maps))]
            rows = [one(source[:, layer]) for one, layer in zip(maps, layers, strict=True)]
            found.append(torch.stack(rows, dim=1).reshape(batch_size, *shape))
        return fill(self.shapes, iter(found))


def _depth_and_width(shape: tuple[int, ...], first: tuple[int, ...]) -> tuple[int, int]:
    """Return the number of layers of a leaf and their width, such as (L, H) for `nn.LSTM`; 1 layer if it has none.

    A leaf has layers if it has the same number of dimensions, and of layers, as the state's first leaf, `first`. So the
    leaves of ((H,), (H,)) are one layer each, while the fast weights in ((H,), (H, H)) are not layers.
    """
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 and _is_layered(shape, first) else (1, math.prod(shape))


def _is_layered(shape: tuple[int, ...], first: tuple[int, ...]) -> bool:
    return len(shape) == len(first) and (len(shape) <= 1 or shape[0] == first[0])


def _has_leaf(number: int, sources: list[tuple[int, ...]], targets: list[tuple[int, ...]]) -> bool:
    """Return whether the encoder's state has a leaf for the decoder's leaf `number`."""
    if number >= len(sources):
        return False
    both = _is_layered(sources[number], sources[0]), _is_layered(targets[number], targets[0])
    return all(both) or (not any(both) and sources[number] == targets[number])


def _width(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shape_leaves(shapes))


def _concatenated(state: Any, shapes: Shapes, batch_size: int) -> Tensor:
    """Return the concatenation of all leaves of an encoder's state, (B, F)."""
    if shapes_are_traced():
        return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
    wanted = [(batch_size, *shape) for shape in shape_leaves(shapes)]
    found = [] if state is None else [tuple(leaf.shape) for leaf in leaves(state)]
    if found != wanted:
        raise InputError(f"the context of a bridge must be the encoder's final state; expected {wanted}, found {found}")
    return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
