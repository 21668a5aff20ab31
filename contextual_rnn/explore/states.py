"""Initial states as points of a plane: their first two principal components."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._core.state import Shapes, State, fill, leaves, shape_leaves
from ..recurrent import ContextualRNN

MOST = 300  # points of a map


@dataclasses.dataclass(frozen=True)
class Plane:
    """The plane of the first two principal components of initial states.

    Attributes:
        shapes: of one state.
        mean: (H,), the mean of the states.
        axes: (2, H), orthonormal.
        places: (N, 2), where the states are.
        shares: (2,), of the variance of the states.
    """

    shapes: Shapes
    mean: Tensor
    axes: Tensor
    places: Tensor
    shares: Tensor

    @classmethod
    def of(cls, rnn: ContextualRNN, context: Any, count: int) -> Plane | None:
        """Return the plane of the h0 of `count` contexts; None if they are all the same.

        Args:
            rnn: whose initial state it is.
            context: of `count` rows.
            count: the number of states.
        """
        with torch.no_grad():
            states = flat(rnn.start(count, context, sample=False)).double()
        mean = states.mean(0)
        _, values, axes = torch.linalg.svd(states - mean, full_matrices=False)
        if count < 2 or float(values[0]) < 1e-6 * (1 + float(mean.norm())):
            return None
        axes = torch.nn.functional.pad(axes[:2], (0, 0, 0, 2 - len(axes[:2])))
        signs = torch.where(axes.gather(1, axes.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)
        axes = axes * signs
        shares = torch.nn.functional.pad(values.square(), (0, 2))[:2] / values.square().sum()
        return cls(rnn.state_shapes, mean, axes, (states - mean) @ axes.T, shares)

    def state(self, place: list[float], like: Tensor) -> State:
        """Return the state at a place of the plane, one row: mean + a_1 x + a_2 y."""
        found = self.mean + torch.tensor(place, dtype=torch.float64) @ self.axes
        return unflat(found.unsqueeze(0).to(like), self.shapes)

    def place_of(self, state: State) -> list[float]:
        """Return the place (2,) that is nearest to a state of one row."""
        return ((flat(state)[0].double().cpu() - self.mean) @ self.axes.T).tolist()

    def described(self) -> dict[str, Any]:
        """Return the map for the browser, without what its points are."""
        return {
            "places": rounded(self.places),
            "shares": self.shares.tolist(),
            "zero": (-self.mean @ self.axes.T).tolist(),
        }


def flat(state: State) -> Tensor:
    """Return states as rows, (B, H)."""
    return torch.cat([leaf.flatten(1).cpu() for leaf in leaves(state)], dim=1)


def unflat(rows: Tensor, shapes: Shapes) -> State:
    """Return rows (B, H) as states."""
    sizes = [int(torch.Size(shape).numel()) for shape in shape_leaves(shapes)]
    parts = zip(rows.split(sizes, dim=1), shape_leaves(shapes), strict=True)
    return fill(shapes, (part.reshape(len(rows), *shape) for part, shape in parts))


def zeros(rnn: ContextualRNN, rows: int = 1) -> State:
    """Return states of zeros."""
    like = next(rnn.parameters())
    return fill(rnn.state_shapes, (like.new_zeros(rows, *shape) for shape in shape_leaves(rnn.state_shapes)))


def rounded(values: Any, digits: int = 5) -> Any:
    """Return a tensor or an array as lists of numbers with few digits, which take less time to send.

    The largest magnitude has `digits` digits, and all numbers have the same number of decimals.
    """
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values, dtype=np.float64)
    finite = np.abs(array[np.isfinite(array)])
    largest = float(finite.max()) if finite.size else 0.0
    return np.round(array, digits - 1 - math.floor(math.log10(largest)) if largest else 0).tolist()
