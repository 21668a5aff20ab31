"""Bridges: initial states of a decoder, whose context is the final state of its encoder.

    decoder's h0 = bridge(encoder's final state)

Encoder and decoder may differ in depth, width, direction and kind of cell. A bridge keeps the shapes of both and
neither of the cores. To start from nothing, use `ConstantState`; for noise, `GaussianState(bridge)`.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .._core.choices import check_choice
from .._core.state import Shapes, State, fill, leaves, map_state, shape_leaves, state_shapes
from .._core.tracing import shapes_are_traced
from ..initial_state import ConstantState, Generator, InitialState, LeafMaps

Joined = Literal["state", "learned"]
BridgeName = Literal["zero", "project", "concat", "copy"]
BRIDGES: tuple[BridgeName, ...] = get_args(BridgeName)


def make_bridge(name: str, encoder: Any, decoder: Any) -> InitialState:
    """Make the decoder's initial state from its name.

    Args:
        name: one of `BRIDGES`: `"zero"` for `ConstantState`, which ignores the encoder, `"project"` for
            `ProjectBridge`, `"concat"` for `ConcatBridge` and `"copy"` for `CopyBridge`.
        encoder: the encoder's core, or the nest of its state's shapes.
        decoder: the decoder's core, or the nest of its state's shapes.

    Raises:
        InputError: `name` is not one of `BRIDGES`.
    """
    check_choice(name, BRIDGES, "bridge")
    if name == "zero":
        return ConstantState(decoder)
    return {"project": ProjectBridge, "concat": ConcatBridge, "copy": CopyBridge}[name](encoder, decoder)


class ProjectBridge(InitialState):
    """Every leaf and layer is a projection of the encoder's whole state: h_l = tanh(W_l s + b_l).

    s has all leaves, layers and directions of the encoder side by side; the c of an LSTM is projected as h is, by a map
    of its own. (Cho et al. 2014, arXiv 1406.1078, section 2.2, of the whole of s; Bahdanau et al. 2015, of its
    backward half.)

    Args:
        encoder: the encoder's core, or the nest of its state's shapes.
        decoder: the decoder's core, or that of its.
    """

    def __init__(self, encoder: Any, decoder: Any) -> None:
        super().__init__(decoder)
        self.source_shapes = state_shapes(encoder)
        self.maps = LeafMaps(self.shapes, _width(self.source_shapes))

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the decoder's state; the context is the encoder's, batch first."""
        return map_state(torch.tanh, self.maps(_joined(context, self.source_shapes, batch_size)))


class ConcatBridge(InitialState):
    """A projection of the encoder's state is joined with that state, or with a learned one, and mapped.

        h_l = W_l [tanh(P s + b); s] + b_l,  or  W_l [tanh(P s + b); v] + b_l  with v learned

    Args:
        encoder: the encoder's core, or the nest of its state's shapes.
        decoder: the decoder's core, or that of its.
        joined: `"state"` for s, `"learned"` for v, which is as wide as s.

    Raises:
        ValueError: `joined` is neither.
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
        """Return the decoder's state; the context is the encoder's, batch first."""
        state = _joined(context, self.source_shapes, batch_size)
        other = state if self.variable is None else self.variable.expand_as(state)
        return self.maps(torch.cat([self.projection(state).tanh(), other], dim=1))


class CopyBridge(InitialState):
    """The encoder's state as it is, adapted only where sizes differ.

    Leaf by leaf, layer by layer:

    - a decoder's layer takes the encoder's layer as far from the top; where the encoder is shallower, its lowest;
    - the two directions of an encoder's layer are taken side by side;
    - where the widths agree the numbers are copied, else a linear map of that layer's own adapts them;
    - a leaf that is not layers of a width, such as fast weights, is copied whole from one of the same shape;
    - a leaf that the encoder has not (the c of an LSTM after a GRU, fast weights after an LSTM) is adapted from its
      first leaf by a linear map; one that the decoder has not is left.

    Args:
        encoder: the encoder's core, or the nest of its state's shapes.
        decoder: the decoder's core, or that of its.
        directions: 2 where the encoder is bidirectional; None asks the core, and is 1 for shapes.
    """

    def __init__(self, encoder: Any, decoder: Any, directions: int | None = None) -> None:
        super().__init__(decoder)
        self.source_shapes = state_shapes(encoder)
        self.directions = directions or (2 if getattr(encoder, "bidirectional", False) else 1)
        sources, targets = list(shape_leaves(self.source_shapes)), list(shape_leaves(self.shapes))
        self.origins = [number if _is_there(number, sources, targets) else None for number in range(len(targets))]
        self.source_sizes = [self._side_by_side(shape, sources[0]) for shape in sources]
        self.maps = nn.ModuleList()
        for origin, shape in zip(self.origins, targets, strict=True):
            width = self.source_sizes[origin or 0][1]
            depth, size = _depth_and_width(shape, targets[0])
            as_it_is = origin is not None and width == size
            self.maps.append(nn.ModuleList(nn.Identity() if as_it_is else nn.Linear(width, size) for _ in range(depth)))

    def _side_by_side(self, shape: tuple[int, ...], first: tuple[int, ...]) -> tuple[int, int]:
        """Return how many layers a leaf of the encoder has, and how wide its directions are side by side."""
        depth, size = _depth_and_width(shape, first)
        return (depth // self.directions, size * self.directions) if _is_layered(shape, first) else (depth, size)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the decoder's state; the context is the encoder's, batch first."""
        _joined(context, self.source_shapes, batch_size)  # says what is wrong with it
        sized = zip(leaves(context), self.source_sizes, strict=True)
        sources = [leaf.reshape(batch_size, *size) for leaf, size in sized]
        found = []
        for origin, shape, maps in zip(self.origins, shape_leaves(self.shapes), self.maps, strict=True):
            source = sources[origin or 0]
            assert isinstance(maps, nn.ModuleList)
            places = [max(source.shape[1] - len(maps) + layer, 0) for layer in range(len(maps))]
            rows = [one(source[:, place]) for one, place in zip(maps, places, strict=True)]
            found.append(torch.stack(rows, dim=1).reshape(batch_size, *shape))
        return fill(self.shapes, iter(found))


def _depth_and_width(shape: tuple[int, ...], first: tuple[int, ...]) -> tuple[int, int]:
    """Return how many layers a leaf has and how wide each is: (L, H) of `nn.LSTM`; what is not layered is one.

    A leaf is layered as the state's first leaf is: (H,) is a layer of one that begins with (H,), while the fast weights
    (H, H) after it are not.
    """
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 and _is_layered(shape, first) else (1, math.prod(shape))


def _is_layered(shape: tuple[int, ...], first: tuple[int, ...]) -> bool:
    return len(shape) == len(first) and (len(shape) <= 1 or shape[0] == first[0])


def _is_there(number: int, sources: list[tuple[int, ...]], targets: list[tuple[int, ...]]) -> bool:
    """Return whether the encoder has what the decoder's leaf of a number is."""
    if number >= len(sources):
        return False
    both = _is_layered(sources[number], sources[0]), _is_layered(targets[number], targets[0])
    return all(both) or (not any(both) and sources[number] == targets[number])


def _width(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shape_leaves(shapes))


def _joined(state: Any, shapes: Shapes, batch_size: int) -> Tensor:
    """Return an encoder's state as one vector a row (B, F)."""
    if shapes_are_traced():
        return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
    wanted = [(batch_size, *shape) for shape in shape_leaves(shapes)]
    found = [] if state is None else [tuple(leaf.shape) for leaf in leaves(state)]
    if found != wanted:
        raise ValueError(f"the context of a bridge is the encoder's final state, of shapes {wanted}; found {found}")
    return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
