"""`Unroll`: a core over whole sequences that calls a cell once per time step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .state import State, check_state, leaves, state_shapes, unwrap, weight_dtype
from .tracing import shapes_are_traced

_TORCH_CELLS = (nn.RNNCell, nn.GRUCell, nn.LSTMCell)


class Unroll(nn.Module):
    """Run a cell over time: `Unroll(cell)(x, state) -> (output, state)`, x (B, T, D), output (B, T, H), state (B, ...).

    Args:
        cell: `nn.RNNCell`, `nn.GRUCell`, `nn.LSTMCell`, or any module called as `cell(x_t, state) -> (output_t, state)`
            with x_t (B, D), output_t (B, H), and an attribute `state_shapes`.

    Raises:
        TypeError: the cell has no `state_shapes`.
    """

    batch_first = True
    causal = True

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.state_shapes = state_shapes(cell)
        self._returns_state_alone = isinstance(unwrap(cell), nn.RNNCellBase)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over a sequence.

        Args:
            x: inputs (B, T, D).
            state: the state before the first step, (B, ...).

        Returns:
            The outputs (B, T, H) and the state after the last step.

        Raises:
            ValueError: the state has another shape or dtype than the cell's, or the cell does not return
                `(output, state)`.
        """
        cell = unwrap(self.cell)
        if isinstance(cell, nn.RNNCellBase):
            self._check_dtype(x, state)
        returns_state_alone = isinstance(cell, nn.RNNCellBase) or (
            self._returns_state_alone and not hasattr(cell, "state_shapes")
        )
        outputs = []
        for x_t in x.unbind(dim=1):
            result = self.cell(x_t, state)
            output, state = self._state_alone(result, x_t) if returns_state_alone else self._pair(result, x_t)
            outputs.append(output)
        return torch.stack(outputs, dim=1), state

    def _state_alone(self, state: State, x_t: Tensor) -> tuple[Tensor, State]:
        """Return the output and the state of a cell that returns its state only, as PyTorch's cells do."""
        if type(self.cell) not in _TORCH_CELLS:
            check_state(state, self.state_shapes, x_t.shape[0], name=f"the state that {self._cell_name} returned")
        return (state[0] if isinstance(state, tuple) else state), state

    def _pair(self, result: Any, x_t: Tensor) -> tuple[Tensor, State]:
        """Return the output and the state of any other cell."""
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"{self._cell_name} returned a {type(result).__name__}; a cell returns (output, state)")
        output, state = result
        rows = x_t.shape[0]
        if not isinstance(output, Tensor) or not (shapes_are_traced() or output.shape[:1] == (rows,)):
            found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise ValueError(
                f"{self._cell_name} returned an output of {found}; expected ({rows}, H): a cell returns (output, state)"
            )
        name = f"a cell returns (output, state), and the state that {self._cell_name} returned"
        check_state(state, self.state_shapes, rows, name=name)
        return output, state

    def _check_dtype(self, x: Tensor, state: State) -> None:
        dtype = weight_dtype(self.cell)
        if torch.is_autocast_enabled(x.device.type) or all(leaf.dtype == dtype for leaf in leaves(state)):
            return
        check_state(state, self.state_shapes, x.shape[0], dtype)

    @property
    def _cell_name(self) -> str:
        return type(unwrap(self.cell)).__name__
