"""Read the window of a series with a recurrent core."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._core.state import leaves
from ...cores import make_core
from ...initial_state import ConstantState
from ...recurrent import ContextualRNN


class WindowReader(nn.Module):
    """The final state of a core that reads the inputs, targets and context of a window, from zero.

    Args:
        cell: the name of the core; see `make_core`.
        hidden: H, its hidden units of each layer.
        layers: the number of its layers.
        sizes: the widths of context, inputs and targets of a step, C, U and Y.
        window: k, the steps of the window.
    """

    def __init__(self, cell: str, hidden: int, layers: int, sizes: tuple[int, int, int], window: int) -> None:
        super().__init__()
        core = make_core(cell, sum(sizes), hidden, layers)
        self.rnn, self.sizes, self.window = ContextualRNN(core, ConstantState(core)), sizes, window
        self.out_features = sum(leaf[0].numel() for leaf in leaves(self.rnn.initial_state(1)))

    def forward(self, vector: Tensor) -> Tensor:
        """Return all tensors of the final state in one vector, (B, F), from (B, C + k U + k Y)."""
        context, inputs, targets = self.sizes
        known, first, second = vector.split([context, self.window * inputs, self.window * targets], dim=1)
        steps = [first.unflatten(1, (self.window, inputs)), second.unflatten(1, (self.window, targets))]
        _, state = self.rnn(torch.cat([*steps, known.unsqueeze(1).expand(-1, self.window, -1)], dim=2))
        return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
