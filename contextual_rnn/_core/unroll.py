"""A cell, which takes one step, made into a core, which takes a whole sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .state import State, state_shapes


class Unroll(nn.Module):
    """Run a cell over time: `core(x, state) -> (output, state)` with x (B, T, D), output (B, T, H), state (B, ...).

    Args:
        cell: `nn.RNNCell`, `nn.GRUCell`, `nn.LSTMCell`, or any module called as `cell(x_t, state) -> (output_t, state)`
            with x_t (B, D), output_t (B, H), and an attribute `state_shapes`.
    """

    batch_first = True

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.state_shapes = state_shapes(cell)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the outputs (B, T, H) and the state after the last step."""
        outputs = []
        for x_t in x.unbind(dim=1):
            output, state = self._step(x_t, state)
            outputs.append(output)
        return torch.stack(outputs, dim=1), state

    def _step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        if not isinstance(self.cell, nn.RNNCellBase):
            return self.cell(x_t, state)
        state = self.cell(x_t, state)
        return (state[0] if isinstance(state, tuple) else state), state
