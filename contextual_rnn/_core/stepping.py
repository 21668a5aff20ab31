"""A core taken one step at a time, when each input depends on the output before: free runs and sampling."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn

from .packed import turn
from .state import State

Step = Callable[[Tensor], Tensor]


def stepper(core: nn.Module, state: State) -> Step:
    """Return what takes a step: inputs (B, D) to outputs (B, H); it keeps the state.

    Args:
        core: `nn.RNN`, `nn.LSTM`, `nn.GRU`, or a core of batch-first states.
        state: where to start, batch first. It is left as it is.

    The outputs of a step may be overwritten by the next where no gradients are wanted.
    """
    if isinstance(core, nn.LSTM) and _plain(core) and not torch.is_grad_enabled():
        return LSTMSteps(core, state)
    return CoreSteps(core, state)


class CoreSteps:
    """Steps of any core, by calling it with sequences of one step."""

    def __init__(self, core: nn.Module, state: State) -> None:
        self.core = core
        self.turned = isinstance(core, nn.RNNBase)
        self.state = turn(state) if self.turned else state
        self.time = 1 if getattr(core, "batch_first", True) else 0

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step: x (B, D) to (B, H)."""
        output, self.state = self.core(x.unsqueeze(self.time), self.state)
        return output.squeeze(self.time)


class LSTMSteps:
    """Steps of `nn.LSTM`, without gradients: feature first, in place, one matrix product a layer.

        (i, f, o, g) = W [x; h; 1],  c <- sigmoid(f) c + sigmoid(i) tanh(g),  h <- sigmoid(o) tanh(c)

    (Hochreiter and Schmidhuber 1997, with forget gates.) With the features first every gate is one stretch of memory,
    which the element-wise functions run through: one compiled loop where Numba is there, float32 on the CPU. Measured
    by `python -m benchmarks sampling`.
    """

    def __init__(self, core: nn.LSTM, state: State) -> None:
        h, c = (leaf.transpose(0, 1).transpose(1, 2) for leaf in state)  # (L, H, B)
        self.layers = [LSTMLayer(core, number, h[number], c[number]) for number in range(core.num_layers)]

    def __call__(self, x: Tensor) -> Tensor:
        """Take a step: x (B, D) to (B, H), a view of what the next step overwrites."""
        features = x.t()
        for layer in self.layers:
            features = layer.step(features)
        return features.t()


class LSTMLayer:
    """A layer of `LSTMSteps`: its weights side by side, and its inputs one above the other."""

    def __init__(self, core: nn.LSTM, number: int, h: Tensor, c: Tensor) -> None:
        into, back, *biases = (getattr(core, f"{name}_l{number}") for name in _names(core))
        bias = sum(biases, torch.zeros_like(into[:, 0]))
        i, f, g, o = torch.cat([into, back, bias.unsqueeze(1)], dim=1).detach().chunk(4)
        self.loop = _loop() if into.dtype == torch.float32 and into.device.type == "cpu" else None
        scale = 1.0 if self.loop is None else 0.5  # the loop takes a sigmoid by half its argument
        self.weight = torch.cat([scale * i, scale * f, scale * o, g])
        self.size, self.width = core.hidden_size, into.shape[1]
        self.inputs = h.new_ones(self.width + self.size + 1, h.shape[1])
        self.h = self.inputs[self.width : -1].copy_(h)
        self.c = c.clone(memory_format=torch.contiguous_format)
        self.gates = h.new_empty(4 * self.size, h.shape[1])

    def step(self, x: Tensor) -> Tensor:
        """Take a step: x (D, B) to h (H, B), which the next step overwrites."""
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
    """Return the compiled loop; None where Numba is not installed, or cannot run or keep what it compiled."""
    try:
        return importlib.import_module(".lstm_loop", __package__)
    except (ImportError, RuntimeError):
        return None


def _names(core: nn.LSTM) -> list[str]:
    return ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if core.bias else [])]


def _plain(core: nn.LSTM) -> bool:
    return not core.bidirectional and not core.proj_size and not (core.training and core.dropout)
