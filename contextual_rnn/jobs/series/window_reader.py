"""Read the window of a series with a recurrent core."""

from __future__ import annotations

import torch
from torch import Tensor

from ...cores import make_core
from ...window_reader import WindowReader


class SeriesWindowReader(WindowReader):
    """A `WindowReader` of the vector of what is known of a series.

    Args:
        cell: the name of the core; see `make_core`.
        hidden: H, its hidden units of each layer.
        layers: the number of its layers.
        sizes: the widths of context, inputs and targets of a step, C, U and Y.
        window: k, the steps of the window.
    """

    def __init__(self, cell: str, hidden: int, layers: int, sizes: tuple[int, int, int], window: int) -> None:
        super().__init__(make_core(cell, sum(sizes), hidden, layers))
        self.sizes, self.window = sizes, window

    def forward(self, vector: Tensor) -> Tensor:
        """Return all tensors of the final state in one vector, (B, F), from (B, C + k U + k Y)."""
        context, inputs, targets = self.sizes
        known, first, second = vector.split([context, self.window * inputs, self.window * targets], dim=1)
        steps = [first.unflatten(1, (self.window, inputs)), second.unflatten(1, (self.window, targets))]
        return super().forward(torch.cat([*steps, known.unsqueeze(1).expand(-1, self.window, -1)], dim=2))
