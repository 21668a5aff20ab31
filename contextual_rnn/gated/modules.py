"""`nn.GRU`, `nn.LSTM` and `nn.RNN` whose loops are compiled for the CPU."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .._core.module_config import register
from .backend import BACKENDS, Backend, faster, obstacle, operations, unsuitable

_ARGUMENTS = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")


class _Gated(nn.RNNBase):
    """The common base of the three classes; each also inherits from the PyTorch class that it accelerates."""

    _extra: tuple[str, ...] = ()

    def __init__(self, *args: Any, backend: Backend = "auto", **kwargs: Any) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; found {backend!r}")
        super().__init__(*args, **kwargs)
        self.backend = backend

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a sequence; arguments and results are those of the PyTorch class."""
        if self.backend == "torch" or torch.compiler.is_compiling():
            return super().forward(input, hx)
        reason = obstacle(self)
        if reason is None:
            self._update_flat_weights()
            call = _Call.read(self, input, hx)
            if call is None:
                return super().forward(input, hx)  # raises PyTorch's error for these arguments
            reason = unsuitable([call.x, *call.state, *self._flat_weights])  # type: ignore[list-item]
            if reason is None and (self.backend == "compiled" or call.is_worth_it(self)):
                return call.give_back(*_run(self, call))
        if reason is not None and self.backend == "compiled":
            raise (ImportError if "pip install" in reason else ValueError)(f"backend='compiled' {reason}")
        return super().forward(input, hx)

    def stepper(self, state: Any) -> Callable[[Tensor], Tensor] | None:
        """Return a function that takes one step from x (B, D) to the output (B, H), without gradients.

        The function stores the state. Each step overwrites the previous output. The weights are copied now; later
        changes have no effect.

        Args:
            state: the state to start from, batch first: h (B, L, H), or h and c for an LSTM.

        Returns:
            The function, or None if the compiled loops cannot take the steps.
        """
        if self.backend == "torch" or obstacle(self) is not None:
            return None
        steps = importlib.import_module(".stepping", __package__).GatedSteps
        return steps(self, state) if steps.supports(self) else None

    def config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`, to save them in a file."""
        return {name: getattr(self, name) for name in (*_ARGUMENTS, *self._extra, "backend")}

    def extra_repr(self) -> str:
        """Return the arguments that are not defaults."""
        return super().extra_repr() + ("" if self.backend == "auto" else f", backend={self.backend}")


@register
class GatedGRU(_Gated, nn.GRU):
    """`nn.GRU`, with loops that are compiled for the CPU.

        r = sigmoid(W_r x + b_r + U_r h + d_r),  z = sigmoid(W_z x + b_z + U_z h + d_z)
        n = tanh(W_n x + b_n + r (U_n h + d_n)),  h <- (1 - z) n + z h

    (Cho et al. 2014, in the form of `nn.GRU`.) It has the same arguments, parameters, `state_dict` and results as
    `nn.GRU`.

    Args:
        *args: the arguments of `nn.GRU`.
        backend: the implementation. "compiled" runs the compiled loops: float32 and float64 on the CPU, with the extra
            `fast`. "torch" runs PyTorch. "auto" runs the loops if they are supported and faster, and PyTorch otherwise:
            on a GPU, under autocast, in exported code, under `torch.func`.
        **kwargs: the arguments of `nn.GRU`.

    Raises:
        ValueError: the backend is unknown; or, when called, "compiled" cannot run.
        ImportError: when called, "compiled" is not installed.
    """


@register
class GatedLSTM(_Gated, nn.LSTM):
    """`nn.LSTM`, with loops that are compiled for the CPU; see `GRU` for the arguments.

        i, f, o = sigmoid(W x + b + U h + d),  g = tanh(W_g x + b_g + U_g h + d_g)
        c <- f c + i g,  h <- o tanh(c)

    (Hochreiter and Schmidhuber 1997, with forget gates.) With `proj_size`, PyTorch runs.
    """

    _extra = ("proj_size",)


@register
class GatedRNN(_Gated, nn.RNN):
    """`nn.RNN`, with loops that are compiled for the CPU; see `GRU` for the arguments.

        h <- tanh(W x + b + U h + d), or relu instead of tanh

    (Elman 1990.)
    """

    _extra = ("nonlinearity",)


_GATED: dict[type[nn.RNNBase], type[_Gated]] = {nn.GRU: GatedGRU, nn.LSTM: GatedLSTM, nn.RNN: GatedRNN}


def from_torch(module: nn.RNNBase, backend: Backend = "auto") -> GatedGRU | GatedLSTM | GatedRNN:
    """Convert an `nn.GRU`, `nn.LSTM` or `nn.RNN` to its gated class, which shares the parameters (no copies).

    Hooks are not transferred.

    Raises:
        TypeError: the module is of another class.
    """
    if type(module) not in _GATED:
        raise TypeError(f"from_torch expects an nn.GRU, nn.LSTM or nn.RNN; found a {type(module).__name__}")
    return _with_parameters(_GATED[type(module)], module, backend=backend)


def to_torch(module: GatedGRU | GatedLSTM | GatedRNN) -> nn.GRU | nn.LSTM | nn.RNN:
    """Convert a gated module to its PyTorch class, which shares the parameters (no copies).

    Raises:
        TypeError: the module is of another class.
    """
    for plain, gated in _GATED.items():
        if type(module) is gated:
            return _with_parameters(plain, module)
    raise TypeError(f"to_torch expects a gated GRU, LSTM or RNN; found a {type(module).__name__}")


def _with_parameters(cls: Any, module: nn.RNNBase, **more: Any) -> Any:
    extra = {"LSTM": ("proj_size",), "GRU": ()}.get(module.mode, ("nonlinearity",))
    arguments = {name: getattr(module, name) for name in (*_ARGUMENTS, *extra)}
    made = cls(**arguments, **more, device="meta")
    for name in module._flat_weights_names:
        setattr(made, name, getattr(module, name))
    made._init_flat_weights()
    return made.train(module.training)


class _Call:
    """The arguments of a call, in the layout of the loops.

    Attributes:
        x: (T, B, D), or (N, D) packed.
        state: h (L, B, H), and c for an LSTM, in the order of the rows of x.
        sizes: (T,) the number of rows of each step.
        give_back: a function that converts the outputs (in the layout of x) and the state to the module's results.
    """

    def __init__(self, x: Tensor, state: tuple[Tensor, ...], sizes: np.ndarray, give_back: Any) -> None:
        self.x, self.state, self.sizes, self.give_back = x, state, sizes, give_back

    @classmethod
    def read(cls, module: _Gated, input: Any, hx: Any) -> _Call | None:
        """Read the arguments; None if PyTorch would refuse their shapes."""
        state = hx if isinstance(hx, (tuple, list)) else () if hx is None else (hx,)
        if len(state) != (0 if hx is None else _leaves(module)) or not all(isinstance(leaf, Tensor) for leaf in state):
            return None
        if isinstance(input, PackedSequence):
            return cls._packed(module, input, tuple(state))
        if not isinstance(input, Tensor) or input.dim() not in (2, 3):
            return None
        return cls._padded(module, input, tuple(state))

    @classmethod
    def _padded(cls, module: _Gated, input: Tensor, state: tuple[Tensor, ...]) -> _Call | None:
        single = input.dim() == 2
        if single:
            input = input.unsqueeze(1)
            state = tuple(leaf.unsqueeze(1) for leaf in state)
        turned = module.batch_first and not single
        x = input.transpose(0, 1) if turned else input

        def give_back(output: Tensor, state: tuple[Tensor, ...]) -> Any:
            if single:
                output, state = output.squeeze(1), tuple(leaf.squeeze(1) for leaf in state)
            return output.transpose(0, 1) if turned else output, _nest(state)

        return cls._checked(module, x, state, np.full(x.shape[0], x.shape[1], np.int64), give_back)

    @classmethod
    def _packed(cls, module: _Gated, input: PackedSequence, state: tuple[Tensor, ...]) -> _Call | None:
        sizes = input.batch_sizes.numpy()
        if input.data.dim() != 2 or sizes.sum() != len(input.data) or (np.diff(sizes) > 0).any() or sizes.min() < 1:
            return None

        def give_back(output: Tensor, state: tuple[Tensor, ...]) -> Any:
            return input._replace(data=output), _nest(_rows(state, input.unsorted_indices))

        shape = (_layers(module), int(sizes[0]), module.hidden_size)
        if any(tuple(leaf.shape) != shape for leaf in state):
            return None
        return cls._checked(module, input.data, _rows(state, input.sorted_indices), sizes, give_back)

    @classmethod
    def _checked(
        cls, module: _Gated, x: Tensor, state: tuple[Tensor, ...], sizes: np.ndarray, give_back: Any
    ) -> _Call | None:
        if not len(sizes) or not sizes[0] or x.shape[-1] != module.input_size or not _weights_fit(module):
            return None
        shape = (_layers(module), int(sizes[0]), module.hidden_size)
        if not state:
            state = (x.new_zeros(shape),) * _leaves(module)
        if any(tuple(leaf.shape) != shape for leaf in state):
            return None
        return cls(x, state, sizes, give_back)

    def is_worth_it(self, module: _Gated) -> bool:
        """Return whether the compiled loops are faster."""
        sizes = self.sizes
        return faster(module.mode, int(sizes.sum()), len(sizes), module.hidden_size, bool(sizes[0] != sizes[-1]))


def _run(module: _Gated, call: _Call) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run all layers and directions."""
    operation: Any = operations()
    x, count = call.x, 4 if module.bias else 2
    ends: list[list[Tensor]] = []
    for layer in range(module.num_layers):
        if layer and module.dropout and module.training:
            x = torch.dropout(x, module.dropout, True)
        outputs = []
        for direction in range(1 + module.bidirectional):
            index = len(ends)
            weights = module._flat_weights[index * count : (index + 1) * count]
            run = operation.Run(module.mode, call.sizes, bool(direction))
            output, *end = operation.run_layer(run, x, tuple(leaf[index] for leaf in call.state), weights)
            outputs.append(output)
            ends.append(end)
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
    return x, tuple(torch.stack(leaves) for leaves in zip(*ends, strict=True))


def _nest(state: tuple[Tensor, ...]) -> Any:
    return state if len(state) == 2 else state[0]


def _rows(state: tuple[Tensor, ...], index: Tensor | None) -> tuple[Tensor, ...]:
    return state if index is None else tuple(leaf.index_select(1, index) for leaf in state)


def _leaves(module: nn.RNNBase) -> int:
    return 2 if module.mode == "LSTM" else 1


def _layers(module: nn.RNNBase) -> int:
    return module.num_layers * (1 + module.bidirectional)


def _weights_fit(module: _Gated) -> bool:
    """Return whether all weights exist and have the shapes of a new module; the loops do not check indices."""
    gates, hidden = {"GRU": 3, "LSTM": 4}.get(module.mode, 1), module.hidden_size
    for weight, name in zip(module._flat_weights, module._flat_weights_names, strict=True):
        if not isinstance(weight, Tensor) or weight.dim() not in (1, 2) or len(weight) != gates * hidden:
            return False
        if name.startswith("weight_hh") and weight.shape[-1] != hidden:
            return False
        inner = hidden * (1 + module.bidirectional)
        if name.startswith("weight_ih") and weight.shape[-1] != (inner if "_l0" not in name else module.input_size):
            return False
        if name.startswith("weight") != (weight.dim() == 2):
            return False
    return True
