"""A gated core taken one step at a time, without gradients: for free runs, sampling and controllers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import loops, packing
from .backend import unsuitable
from .cells import STEPS
from .layout import CELLS, Shape
from .operation import addresses


class GatedSteps:
    """Steps of an `nn.GRU`, `nn.LSTM` or `nn.RNN`, or of a gated one, with compiled loops and without gradients.

    The weights are those of the moment when it is made.

    Args:
        core: the core: one direction, no projections, no dropout in training; its weights float32 or float64 on the CPU
            (`supports`).
        state: where to start, batch first: h (B, L, H), or h and c of an LSTM. It is left as it is.
    """

    def __init__(self, core: nn.RNNBase, state: Any) -> None:
        leaves = state if isinstance(state, tuple) else (state,)
        self.features = core.input_size
        self.rows = len(leaves[0])
        self.dtype = core.weight_hh_l0.dtype
        self.layers = [_Layer(core, number, [leaf[:, number] for leaf in leaves]) for number in range(core.num_layers)]

    @staticmethod
    def supports(core: nn.Module) -> bool:
        """Whether the compiled loops can take the steps of a core."""
        if not isinstance(core, nn.RNNBase) or core.bidirectional or core.proj_size or (core.training and core.dropout):
            return False
        return unsuitable([getattr(core, name) for name in core._flat_weights_names]) is None

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step: x (B, D) to the output (B, H), which the next step overwrites.

        Raises:
            ValueError: x has another shape or dtype.
        """
        if x.shape != (self.rows, self.features) or x.dtype != self.dtype:
            raise ValueError(
                f"a step takes x of shape {(self.rows, self.features)} and {self.dtype}; found {tuple(x.shape)} and "
                f"{x.dtype}"
            )
        features, stride = x.detach().contiguous().view(-1).numpy(), self.features
        for layer in self.layers:
            features, stride = layer.step(features, stride)
        return self.layers[-1].output

    @property
    def state(self) -> Any:
        """The state after the last step, batch first: h (B, L, H), or h and c of an LSTM; a copy."""
        leaves = [torch.stack(parts, dim=1) for parts in zip(*(layer.state for layer in self.layers), strict=True)]
        return tuple(leaves) if len(leaves) == 2 else leaves[0]


class _Layer:
    """The packed weights of a layer and its state, in the arrays that `loops.one_step` works in."""

    def __init__(self, core: nn.RNNBase, number: int, state: list[Tensor]) -> None:
        names = [name for name in core._flat_weights_names if name.endswith(f"_l{number}")]
        weights = [getattr(core, name).detach().contiguous().view(-1).numpy() for name in names]
        cell, rows, dtype = CELLS[core.mode], len(state[0]), weights[0].dtype
        features = core.input_size if number == 0 else core.hidden_size
        self.shape = shape = Shape.of(cell, features, core.hidden_size, dtype.itemsize)
        weight = np.empty(shape.planes * shape.units * shape.depth, dtype)
        biases = weights[2:] or weights[:2]
        packing.pack(weight, *weights[:2], *biases, core.bias, cell.of_input, cell.of_hidden, shape[:])
        self.inputs = np.zeros((rows, shape.input_stride), dtype)
        self.inputs[:, shape.units] = 1
        self.cells = np.zeros((rows * (len(state) - 1), shape.units), dtype)
        fresh = np.zeros((2, rows, shape.units), dtype)
        for array, leaf in zip((self.inputs, self.cells), state, strict=False):
            array[:, : shape.hidden] = leaf.detach().numpy()
        gates = np.empty(rows * shape.gate_stride, dtype)
        self.output = torch.from_numpy(fresh[0])[:, : shape.hidden]
        self.fresh = fresh[0].reshape(-1)
        self.arguments = (
            weight, self.inputs.reshape(-1), self.cells.reshape(-1), gates, self.fresh, fresh[1].reshape(-1),
            shape.groups(cell), shape[:], rows,
        )  # fmt: skip
        self.leaves = addresses(STEPS[cell.number], dtype)

    def step(self, x: np.ndarray, stride: int) -> tuple[np.ndarray, int]:
        """Take a step: rows of x that are `stride` apart to rows of outputs that are as far apart as is returned."""
        loops.one_step(self.leaves, x, stride, *self.arguments)
        return self.fresh, self.shape.units

    @property
    def state(self) -> list[Tensor]:
        """A copy of h (B, H), and of c."""
        arrays = [self.inputs, *([self.cells] if len(self.cells) else [])]
        return [torch.from_numpy(array[:, : self.shape.hidden].copy()) for array in arrays]
