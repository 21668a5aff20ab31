"""`Unroll`: a core, which takes a whole sequence, made of a cell, which takes one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .state import State, check_state, state_shapes, unwrap
from .tracing import shapes_are_traced

_TORCH_CELLS = (nn.RNNCell, nn.GRUCell, nn.LSTMCell)


class Unroll(nn.Module):
    """Run a cell over time: `core(x, state) -> (output, state)` with x (B, T, D), output (B, T, H), state (B, ...).

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
        self._check_dtype(x, state)
        outputs = []
        for x_t in x.unbind(dim=1):
            output, state = self._step(x_t, state)
            outputs.append(output)
        return torch.stack(outputs, dim=1), state

    def _step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        inner = unwrap(self.cell)
        result = self.cell(x_t, state)
        if isinstance(inner, nn.RNNCellBase) or (self._returns_state_alone and not hasattr(inner, "state_shapes")):
            if type(inner) not in _TORCH_CELLS:
                check_state(result, self.state_shapes, x_t.shape[0], name=f"what {type(inner).__name__} returned")
            return (result[0] if isinstance(result, tuple) else result), result
        return self._check_result(type(inner).__name__, result, x_t)

    def _check_result(self, name: str, result: Any, x_t: Tensor) -> tuple[Tensor, State]:
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"{name} returned a {type(result).__name__}; a cell returns (output, state)")
        output, state = result
        rows = x_t.shape[0]
        if not isinstance(output, Tensor) or not (shapes_are_traced() or output.shape[:1] == (rows,)):
            found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise ValueError(f"{name} returned an output of {found}, not ({rows}, H); a cell returns (output, state)")
        check_state(state, self.state_shapes, rows, name=f"a cell returns (output, state), and the state of {name}")
        return output, state

    def _check_dtype(self, x: Tensor, state: State) -> None:
        weight = next(self.cell.parameters(), None)
        if isinstance(self.cell, nn.RNNCellBase) and weight is not None:
            dtype = None if torch.is_autocast_enabled(x.device.type) else weight.dtype
            check_state(state, self.state_shapes, x.shape[0], dtype)
