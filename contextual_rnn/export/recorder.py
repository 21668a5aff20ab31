"""Record recurrent cores and loops over time as single operators while `torch.export` traces a model.

`torch.export` fixes the number of time steps of `nn.LSTM`, `nn.GRU` and `nn.RNN`, and unrolls loops. Here each of them
becomes one opaque operator, whose output has as many steps as its input. `translate` turns these operators into ONNX's.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .._core.contract import CoreContract
from .._core.recording import Body, Tensors, recorder, recording
from .._core.state import State, fill, leaves, swap_batch_and_layers, unwrap
from .._core.unroll import Unroll
from ..errors import InputError

Weights = tuple[Tensor | None, ...]  # of the inputs, of the state, and their biases


@dataclasses.dataclass(frozen=True)
class NativeCore:
    """A core that ONNX has an operator for.

    Attributes:
        operator: "LSTM", "GRU" or "RNN".
        hidden: H, the units of a layer.
        nonlinearity: of an RNN, "tanh" or "relu".
        layers: the weights of every direction of every layer.
    """

    operator: str
    hidden: int
    nonlinearity: str
    layers: tuple[tuple[Weights, ...], ...]

    @classmethod
    def of(cls, core: nn.Module) -> NativeCore | None:
        """Return the native form of a core, or None if it has none: a projected LSTM, or a core of another class."""
        inner = unwrap(core)
        cell = unwrap(inner.cell) if type(inner) is Unroll else inner
        if not isinstance(cell, (nn.RNNBase, nn.RNNCellBase)) or not _is_plain(cell):
            return None
        if isinstance(cell, nn.LSTM) and cell.proj_size:
            return None
        operator = next(name for name in ("LSTM", "GRU", "RNN") if isinstance(cell, _CLASSES[name]))
        if isinstance(cell, nn.RNNCellBase):
            layers: tuple[tuple[Weights, ...], ...] = ((_weights(cell, ""),),)
        else:
            suffixes = ("", "_reverse") if cell.bidirectional else ("",)
            layers = tuple(
                tuple(_weights(cell, f"_l{layer}{suffix}") for suffix in suffixes) for layer in range(cell.num_layers)
            )
        return cls(operator, cell.hidden_size, getattr(cell, "nonlinearity", "tanh"), layers)


_CLASSES = {"LSTM": (nn.LSTM, nn.LSTMCell), "GRU": (nn.GRU, nn.GRUCell), "RNN": (nn.RNN, nn.RNNCell)}


def _is_plain(cell: nn.Module) -> bool:
    """Return whether a core runs the code of PyTorch, or of `gated`, which computes the same."""
    module = type(cell).__module__
    return "forward" not in vars(cell) and (module.startswith("torch.nn.") or module == f"{_PACKAGE}.gated.modules")


_PACKAGE = __name__.split(".")[0]
_PLACES = itertools.count()  # never used twice, since PyTorch caches the shapes of results by the arguments


def _weights(cell: nn.Module, suffix: str) -> Weights:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return tuple(getattr(cell, f"{name}{suffix}", None) for name in names)


class GraphRecorder:
    """Records cores and loops; see `recording.Recorder`."""

    def __init__(self) -> None:
        self.cores: dict[int, nn.Module] = {}
        self.bodies: dict[int, tuple[Body, nn.Module]] = {}  # loops, and the modules that they call

    def run_core(
        self, core: nn.Module, contract: CoreContract, x: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        """Return `(output, state)` of a core."""
        core = original(core)
        if NativeCore.of(core) is not None:
            return self._native(core, contract, x, state, lengths)
        return self._loop(core, contract, x, state, lengths)

    def _native(
        self, core: nn.Module, contract: CoreContract, x: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        parts = list(leaves(state))
        if not contract.layers_first:  # a cell: (B, H)
            parts = [part.unsqueeze(0) for part in parts]
        place = next(_PLACES)
        self.cores[place] = core
        time_first = x.transpose(0, 1) if contract.batch_first else x
        output, *parts = recurrence(time_first, parts, lengths, place)
        if not contract.layers_first:
            parts = [part.squeeze(0) for part in parts]
        return (output.transpose(0, 1) if contract.batch_first else output), fill(contract.state_shapes, iter(parts))

    def _loop(
        self, core: nn.Module, contract: CoreContract, x: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        """Run a core of another class one step at a time, which only a causal core allows."""
        name = type(unwrap(core)).__name__
        if not contract.causal and not (isinstance(unwrap(core), nn.LSTM) and not contract.bidirectional):
            raise InputError(
                f"a {name} cannot be exported: it does not state that it is `causal`, and ONNX has no {name}"
            )
        time, mask = (1 if contract.batch_first else 0), []
        time_first = x.transpose(0, 1) if contract.batch_first else x
        if lengths is not None:
            mask = [torch.arange(time_first.shape[0], device=x.device).unsqueeze(1) < lengths.unsqueeze(0)]

        def body(core: nn.Module, step: Tensors, carry: Tensors, fixed: Tensors) -> tuple[Tensors, Tensors]:
            before = fill(contract.state_shapes, iter(carry))
            before = swap_batch_and_layers(before) if contract.layers_first else before
            with recording(None):
                output, after = _one_step(core, step[0], time, before)
            after = swap_batch_and_layers(after) if contract.layers_first else after
            kept = list(leaves(after))
            if len(step) > 1:
                running = step[1]
                output = torch.where(_like(running, output), output, 0)
                kept = [torch.where(_like(running, new), new, old) for new, old in zip(kept, carry, strict=True)]
            return [output], kept

        rows = list(leaves(swap_batch_and_layers(state) if contract.layers_first else state))
        (output,), parts = self.scan(body, [time_first, *mask], rows, [], core)
        last = fill(contract.state_shapes, iter(parts))
        last = swap_batch_and_layers(last) if contract.layers_first else last
        return (output.transpose(0, 1) if contract.batch_first else output), last

    def scan(
        self, body: Body, steps: Tensors, carry: Tensors, fixed: Tensors, owner: nn.Module
    ) -> tuple[Tensors, Tensors]:
        """Run a loop over the first dimension of `steps`."""
        place = next(_PLACES)
        self.bodies[place] = body, original(owner)
        found = scan(steps, carry, fixed, place)
        return found[len(carry) :], found[: len(carry)]


class LoopStep(nn.Module):
    """The body of a loop as a module, so that it can be traced.

    Args:
        body: of the loop.
        owner: the module whose weights the body reads.
        steps: the number of tensors that the loop runs over.
        carry: the number of tensors that each step changes.
    """

    def __init__(self, body: Body, owner: nn.Module, steps: int, carry: int) -> None:
        super().__init__()
        self.body, self.owner, self.sizes = body, owner, (steps, carry)

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return the next carry and the outputs, for a step, the carry and what every step reads."""
        steps, carry = self.sizes
        given = list(arguments)
        outputs, after = self.body(self.owner, given[:steps], given[steps : steps + carry], given[steps + carry :])
        return *after, *outputs


def _one_step(core: Any, x: Tensor, time: int, state: State) -> tuple[Tensor, State]:
    """Call a core with one step (B, D).

    An LSTM with projections, which `torch.export` breaks up, runs in plain operations.
    """
    if not isinstance(unwrap(core), nn.LSTM):
        output, state = core(x.unsqueeze(time), state)
        return output.squeeze(time), state
    hs, cs = [], []
    for layer, names in enumerate(core._all_weights):
        h, c = state[0][layer], state[1][layer]
        inputs, recurrent, *biases, projection = (getattr(core, name) for name in names)
        first, second = biases or (None, None)
        i, f, g, o = (linear(x, inputs, first) + linear(h, recurrent, second)).chunk(4, dim=1)
        cs.append(f.sigmoid() * c + i.sigmoid() * g.tanh())
        x = linear(o.sigmoid() * cs[-1].tanh(), projection)
        hs.append(x)
    return x, (torch.stack(hs), torch.stack(cs))


def original(module: Any) -> Any:
    """Return the module that `torch.export` replaces by a proxy while it traces."""
    return module.get_base() if hasattr(module, "get_base") else module


def _like(mask: Tensor, tensor: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (tensor.dim() - 1))


@torch.library.custom_op("contextual_rnn::recurrence", mutates_args=())
def recurrence(x: Tensor, state: list[Tensor], lengths: Tensor | None, place: int) -> list[Tensor]:
    """Stand for core `place` of the recorder, over x (T, B, D) from a state of (L, B, H); never run."""
    raise NotImplementedError


@recurrence.register_fake
def _(x: Tensor, state: list[Tensor], lengths: Tensor | None, place: int) -> list[Tensor]:
    core = NativeCore.of(_active().cores[place])
    assert core is not None
    output = x.new_empty(x.shape[0], x.shape[1], core.hidden * len(core.layers[0]))
    return [output, *map(torch.empty_like, state)]


@torch.library.custom_op("contextual_rnn::scan", mutates_args=())
def scan(steps: list[Tensor], carry: list[Tensor], fixed: list[Tensor], place: int) -> list[Tensor]:
    """Stand for loop `place` of the recorder: returns the carry and the outputs, (T, ...); never run."""
    raise NotImplementedError


@scan.register_fake
def _(steps: list[Tensor], carry: list[Tensor], fixed: list[Tensor], place: int) -> list[Tensor]:
    body, owner = _active().bodies[place]
    outputs, _ = body(owner, [step[0] for step in steps], carry, fixed)
    length = steps[0].shape[0]
    return [*map(torch.empty_like, carry), *(one.new_empty(length, *one.shape) for one in outputs)]


def _active() -> GraphRecorder:
    found = recorder()
    assert isinstance(found, GraphRecorder)
    return found
