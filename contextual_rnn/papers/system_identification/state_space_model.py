"""A neural state-space model as a recurrent core.

    x_t = x_(t-1) + A x_(t-1) + B u_t + C tanh(W x_(t-1) + V u_t + b)

This is the state equation of Suykens, Vandewalle and De Moor (1995) with a residual connection, so that a core with
small weights holds its state. Its output is the state.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..._core.module_config import register
from ..._core.state import check_state
from ..._core.tracing import is_eager


@register
class StateSpace(nn.Module):
    """Run the state equation over sequences; it is called like `nn.RNN`.

    Compiled loops run on the CPU in float32 and float64 where Numba is installed, and PyTorch's operations elsewhere.
    The compiled loops have no second derivatives.

    Args:
        inputs: U, the width of the inputs.
        states: N, the width of the state.
        units: H, the tanh units.
    """

    causal = True

    def __init__(self, inputs: int, states: int, units: int) -> None:
        super().__init__()
        self.inputs, self.states, self.units = inputs, states, units
        spread = (states + inputs) ** -0.5
        self.state_weight = nn.Parameter(torch.zeros(states, states))  # A
        self.input_weight = nn.Parameter(0.05 * torch.randn(states, inputs))  # B
        self.unit_weight = nn.Parameter(0.1 * units**-0.5 * torch.randn(states, units))  # C
        self.unit_state_weight = nn.Parameter(spread * torch.randn(units, states))  # W
        self.unit_input_weight = nn.Parameter(spread * torch.randn(units, inputs))  # V
        self.unit_bias = nn.Parameter(2 * torch.rand(units) - 1)  # b

    @property
    def state_shapes(self) -> tuple[int]:
        """The shape of one example's state, (N,)."""
        return (self.states,)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the states (B, T, N) after every step, and the last of them (B, N).

        Args:
            inputs: (B, T, U).
            state: (B, N); None is zero.

        Raises:
            ValueError: the state has another shape.
        """
        state = inputs.new_zeros(len(inputs), self.states) if state is None else state
        check_state(state, self.state_shapes, len(inputs))  # compiled loops read past the end of smaller states
        identity = torch.eye(self.states, dtype=inputs.dtype, device=inputs.device)
        recurrent = torch.cat([identity + self.state_weight, self.unit_state_weight])
        driven = inputs @ torch.cat([self.input_weight, self.unit_input_weight]).T
        driven = driven + nn.functional.pad(self.unit_bias, (self.states, 0))
        run = _Compiled.apply if _compiled_loops_run(driven, state, recurrent) else recurrence
        outputs: Tensor = run(driven, state, recurrent, self.unit_weight)
        return outputs, outputs[:, -1]


def recurrence(driven: Tensor, state: Tensor, recurrent: Tensor, mixed: Tensor) -> Tensor:
    """Return the states (B, T, N) of `StateSpace`, step by step, as the equation is written.

    Args:
        driven: (B, T, N + H), B u_t and V u_t + b.
        state: (B, N), the first state.
        recurrent: (N + H, N), I + A and W.
        mixed: (N, H), C.
    """
    found = []
    for step in driven.unbind(1):
        linear, units = (step + state @ recurrent.T).split(list(mixed.shape), dim=1)
        state = linear + units.tanh() @ mixed.T
        found.append(state)
    return torch.stack(found, dim=1)


class _Compiled(torch.autograd.Function):
    """`recurrence` in compiled loops; the gradients of the weights are one product each."""

    @staticmethod
    def forward(ctx: Any, driven: Tensor, state: Tensor, recurrent: Tensor, mixed: Tensor) -> Tensor:
        rows, steps, _ = driven.shape
        states, activations = (
            driven.new_empty(rows, steps + 1, len(mixed)),
            driven.new_empty(rows, steps, mixed.shape[1]),
        )
        states[:, 0] = state
        tanh = getattr(_loops(), f"tanh_{driven.dtype}".replace("torch.", ""))
        _loops().forward(tanh, *map(_array, (driven, states, activations, recurrent.T, mixed)))
        ctx.save_for_backward(states, activations, recurrent, mixed)
        return states[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, activations, recurrent, mixed = ctx.saved_tensors
        to_driven = upstream.new_empty(*upstream.shape[:2], len(recurrent))
        to_state = torch.zeros_like(states[:, 0])
        _loops().backward(*map(_array, (upstream, activations, recurrent.T, mixed, to_driven, to_state)))
        flat = to_driven.flatten(0, 1)
        to_mixed = flat[:, : len(mixed)].T @ activations.flatten(0, 1)
        return to_driven, to_state, flat.T @ states[:, :-1].flatten(0, 1), to_mixed


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _compiled_loops_run(*tensors: Tensor) -> bool:
    kinds = {(tensor.device.type, tensor.dtype) for tensor in tensors}
    supported = len(kinds) == 1 and kinds <= {("cpu", torch.float32), ("cpu", torch.float64)}
    return supported and is_eager() and importlib.util.find_spec("numba") is not None


@functools.cache
def _loops() -> ModuleType:
    return importlib.import_module(".state_space_loops", __package__)
