"""Run a core one step at a time, for free runs and sampling, in which each input depends on the previous output."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from .contract import CoreContract
from .state import State, leaves
from .tracing import values_are_known

Step = Callable[[Tensor], Tensor]


def stepper(core: nn.Module, state: State, contract: CoreContract | None = None) -> Step:
    """Return a function that takes one step, from inputs (B, D) to outputs (B, H), and stores the state.

    If gradients are disabled, a plain `nn.LSTM` is run by faster code, and a core with a method `stepper(state)` by the
    function that this method returns (unless it returns None). Any other core is called. A step may overwrite the
    previous output if gradients are disabled.

    Args:
        core: `nn.RNN`, `nn.LSTM`, `nn.GRU`, or a core of batch-first states.
        state: the state to start from, batch first. It is not modified.
        contract: how the core is called; None derives it from the core.
    """
    make_steps: Any = getattr(core, "stepper", None)
    steps = make_steps(state) if make_steps is not None and not torch.is_grad_enabled() else None
    if steps is not None:
        return steps
    if isinstance(core, nn.LSTM) and not torch.is_grad_enabled() and _is_plain(core, state):
        return LSTMSteps(core, state)
    return CoreSteps(core, state, contract)


class CoreSteps:
    """Take steps of any core, which is called with sequences of one step.

    Args:
        core: the core.
        state: the state to start from, batch first.
        contract: how the core is called; None derives it from the core.
    """

    def __init__(self, core: nn.Module, state: State, contract: CoreContract | None = None) -> None:
        self.core, self.contract = core, contract or CoreContract.of(core)
        self.state = self.contract.to_own_layout(state)
        self.time = 1 if self.contract.batch_first else 0

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step from x (B, D) to the output (B, H)."""
        output, self.state = self.contract.call_in_own_layout(self.core, x.unsqueeze(self.time), self.state)
        return output.squeeze(self.time)


class LSTMSteps:
    """Take steps of `nn.LSTM` without gradients: in place, with one matrix product per layer.

        (i, f, o, g) = W [x; h; 1],  c <- sigmoid(f) c + sigmoid(i) tanh(g),  h <- sigmoid(o) tanh(c)

    (Hochreiter and Schmidhuber 1997, with forget gates.) Tensors have the features first, so that each gate is
    contiguous in memory. On the CPU, in float32 and with Numba, the element-wise functions are one compiled loop.
    `python -m benchmarks sampling` measures it.
    """

    def __init__(self, core: nn.LSTM, state: State) -> None:
        h, c = (leaf.transpose(0, 1).transpose(1, 2) for leaf in state)  # (L, H, B)
        self.layers = [LSTMLayer(core, number, h[number], c[number]) for number in range(core.num_layers)]
        self.dtype = h.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step from x (B, D) to the output (B, H), a view of memory that the next step overwrites."""
        if x.dtype != self.dtype:
            raise ValueError(f"the inputs have dtype {x.dtype}; expected {self.dtype}, the dtype of the core's weights")
        features = x.t()
        for layer in self.layers:
            features = layer.step(features)
        return features.t()


class LSTMLayer:
    """One layer of `LSTMSteps`, with its weights in one matrix and its inputs in another."""

    def __init__(self, core: nn.LSTM, number: int, h: Tensor, c: Tensor) -> None:
        weight_ih, weight_hh, *biases = (getattr(core, f"{name}_l{number}") for name in _names(core))
        bias = sum(biases, torch.zeros_like(weight_ih[:, 0]))
        i, f, g, o = torch.cat([weight_ih, weight_hh, bias.unsqueeze(1)], dim=1).detach().chunk(4)
        self.loop = _loop() if weight_ih.dtype == torch.float32 and weight_ih.device.type == "cpu" else None
        scale = 1.0 if self.loop is None else 0.5  # the loop computes sigmoid(x) from x / 2
        self.weight = torch.cat([scale * i, scale * f, scale * o, g])
        self.size, self.width = core.hidden_size, weight_ih.shape[1]
        self.inputs = h.new_ones(self.width + self.size + 1, h.shape[1])
        self.h = self.inputs[self.width : -1].copy_(h)
        self.c = c.clone(memory_format=torch.contiguous_format)
        self.gates = h.new_empty(4 * self.size, h.shape[1])

    def step(self, x: Tensor) -> Tensor:
        """Take a step from x (D, B) to h (H, B), which the next step overwrites."""
        self.inputs[: self.width].copy_(x)
        torch.mm(self.weight, self.inputs, out=self.gates)
        if self.loop is not None:
            self.loop.lstm_step(self.gates.numpy(), self.c.numpy(), self.h.numpy())
            return self.h
        self.gates[: 3 * self.size].sigmoid_()
        i, f, o, g = self.gates.chunk(4)
        self.c.mul_(f).addcmul_(i, g.tanh_())
        torch.tanh(self.c, out=self.h)
        return self.h.mul_(o)


@functools.cache
def _loop() -> ModuleType | None:
    """Return the module of the compiled loop, or None if Numba is missing or cannot compile or cache it."""
    try:
        return importlib.import_module(".lstm_loop", __package__)
    except (ImportError, RuntimeError):
        return None


def _names(core: nn.LSTM) -> list[str]:
    return ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if core.bias else [])]


def _is_plain(core: nn.LSTM, state: State) -> bool:
    """Return whether `LSTMSteps` computes the same as a call of the core."""
    usual = not core.bidirectional and not core.proj_size and not (core.training and core.dropout)
    return usual and values_are_known() and not _is_customised(core) and _agrees(core, state)


def _is_customised(core: nn.LSTM) -> bool:
    """Return whether a call runs code other than `nn.LSTM.forward`: a subclass, a hook, a patched method."""
    hooks = core._forward_hooks or core._forward_pre_hooks
    global_hooks = nn_module._global_forward_hooks or nn_module._global_forward_pre_hooks
    return type(core) is not nn.LSTM or "forward" in vars(core) or bool(hooks or global_hooks)


def _agrees(core: nn.LSTM, state: State) -> bool:
    """Return whether weights and state are plain tensors of one dtype and device, and autocast is off."""
    weights = [getattr(core, name) for names in core._all_weights for name in names]
    tensors = [*weights, *leaves(state)]
    plain = all(type(tensor) in (Tensor, nn.Parameter) for tensor in tensors)
    kinds = {(tensor.dtype, tensor.device) for tensor in tensors}
    return plain and len(kinds) == 1 and not torch.is_autocast_enabled(weights[0].device.type)
