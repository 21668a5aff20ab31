"""Run a gated core one step at a time without gradients, for free runs, sampling and controllers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import loops
from .backend import unsuitable
from .operation import Plan, pointers


class GatedSteps:
    """Take steps of an `nn.GRU`, `nn.LSTM` or `nn.RNN`, or of a gated core, with compiled loops and without gradients.

    The weights are copied at construction; later changes have no effect.

    Args:
        core: a core with one direction, without projections or active dropout, and with weights in float32 or float64
            on the CPU (see `supports`).
        state: the state to start from, batch first: h (B, L, H), or h and c for an LSTM. It is not modified.
    """

    def __init__(self, core: nn.RNNBase, state: Any) -> None:
        leaves = state if isinstance(state, tuple) else (state,)
        self.core = core
        self.features = core.input_size
        self.rows = len(leaves[0])
        self.dtype = core.weight_hh_l0.dtype
        self.layers = [_Layer(core, number, [leaf[:, number] for leaf in leaves]) for number in range(core.num_layers)]

    @staticmethod
    def supports(core: nn.Module) -> bool:
        """Return whether the compiled loops can take the steps of a core."""
        if not isinstance(core, nn.RNNBase) or core.bidirectional or core.proj_size or (core.training and core.dropout):
            return False
        return unsuitable([getattr(core, name) for name in core._flat_weights_names]) is None

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step from x (B, D) to the output (B, H), which the next step overwrites.

        Raises:
            ValueError: x has another shape or dtype.
        """
        if x.shape != (self.rows, self.features) or x.dtype != self.dtype:
            raise ValueError(
                f"x must have shape {(self.rows, self.features)} and dtype {self.dtype}; found {tuple(x.shape)} and "
                f"{x.dtype}"
            )
        x = x.detach().contiguous()
        features, stride = x.data_ptr(), self.features
        for layer in self.layers:
            features, stride = layer.step(features, stride)
        return self.layers[-1].output

    def keep(self, rows: Tensor) -> GatedSteps:
        """Return a function that goes on with some rows, of which the others need no further steps.

        Args:
            rows: (B,) true for those to keep, or their numbers.
        """
        state = self.state
        return GatedSteps(self.core, tuple(leaf[rows] for leaf in state) if isinstance(state, tuple) else state[rows])

    @property
    def state(self) -> Any:
        """A copy of the state after the last step, batch first: h (B, L, H), or h and c for an LSTM."""
        leaves = [torch.stack(parts, dim=1) for parts in zip(*(layer.state for layer in self.layers), strict=True)]
        return tuple(leaves) if len(leaves) == 2 else leaves[0]


class _Layer:
    """The packed weights and the state of a layer, in the arrays of `loops.one_step`."""

    def __init__(self, core: nn.RNNBase, number: int, state: list[Tensor]) -> None:
        names = [name for name in core._flat_weights_names if name.endswith(f"_l{number}")]
        weights = [getattr(core, name).detach().contiguous() for name in names]
        features, rows, like = core.input_size if number == 0 else core.hidden_size, len(state[0]), weights[0]
        plan = Plan.of(core.mode, features, core.hidden_size, like.dtype)
        self.shape = shape = plan.shape
        planes, groups, sizes = plan.cell
        weight = like.new_empty(plan.planes * shape.units * shape.depth)
        self.inputs = like.new_zeros(rows, shape.input_stride)
        self.inputs[:, shape.units] = 1
        self.cells = like.new_zeros(rows * (len(state) - 1), shape.units)
        fresh, gates = like.new_zeros(2, rows, shape.units), like.new_empty(rows * shape.gate_stride)
        for tensor, leaf in zip((self.inputs, self.cells), state, strict=False):
            tensor[:, : shape.hidden] = leaf.detach()
        self.output = fresh[0, :, : shape.hidden]
        self.memory = weight, gates, fresh
        self.leaves = plan.step
        loops.pack_all(plan.step, *pointers(weights, 4), weight.data_ptr(), planes, sizes)
        self.arguments = (
            weight.data_ptr(), self.inputs.data_ptr(), self.cells.data_ptr() if len(self.cells) else 0,
            gates.data_ptr(), fresh[0].data_ptr(), fresh[1].data_ptr(), plan.planes, groups, sizes, rows,
        )  # fmt: skip

    def step(self, x: int, stride: int) -> tuple[int, int]:
        """Take a step from the address and row stride of x, and return the address and row stride of the outputs."""
        loops.one_step(self.leaves, x, stride, *self.arguments)
        return self.output.data_ptr(), self.shape.units

    @property
    def state(self) -> list[Tensor]:
        """A copy of h (B, H), and of c for an LSTM."""
        tensors = [self.inputs, *([self.cells] if len(self.cells) else [])]
        return [tensor[:, : self.shape.hidden].clone() for tensor in tensors]
