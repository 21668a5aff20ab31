"""Record recurrent cores as loops of PyTorch's operators, so that `torch.export` keeps the number of steps dynamic.

Every loop over time becomes one `scan` of PyTorch, whose body is one step. A program with them needs PyTorch alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan_op
from torch.func import functional_call
from torch.nn.functional import linear

from .._core.contract import CoreContract
from .._core.recording import Body, Tensors
from .._core.state import State, fill, leaves
from .recorder import GraphRecorder, LoopStep, NativeCore, Weights, original

Step = Callable[[Tensor, Tensor, Tensors], Tensors]


class LoopRecorder(GraphRecorder):
    """Record cores and loops as loops of PyTorch."""

    def scan(
        self, body: Body, steps: Tensors, carry: Tensors, fixed: Tensors, owner: nn.Module
    ) -> tuple[Tensors, Tensors]:
        """Run a loop over the first dimension of `steps`; a single step is no loop."""
        if isinstance(steps[0].shape[0], int) and steps[0].shape[0] == 1:
            outputs, after = body(owner, [step[0] for step in steps], carry, fixed)
            return [one.unsqueeze(0) for one in outputs], after
        module = LoopStep(body, original(owner), len(steps), len(carry))
        weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        first, last = len(carry) + len(steps), len(carry) + len(steps) + len(fixed)

        def one_step(*values: Tensor) -> list[Tensor]:
            before, step, others = values[: len(carry)], values[len(carry) : first], values[first:last]
            mine = dict(zip(weights, values[last:], strict=True))
            found = functional_call(module, mine, (*step, *before, *others))
            return [one.clone() for one in found]  # no output of a loop's body may be one of its inputs

        starts = [one.clone(memory_format=torch.contiguous_format) for one in carry]
        found = scan_op(one_step, starts, list(steps), (*fixed, *weights.values()))
        return list(found[len(carry) :]), list(found[: len(carry)])

    def _native(
        self, core: nn.Module, contract: CoreContract, x: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        native = NativeCore.of(core)
        assert native is not None
        parts = [part if contract.layers_first else part.unsqueeze(0) for part in leaves(state)]
        output, ends = (x.transpose(0, 1) if contract.batch_first else x), [list[Tensor]() for _ in parts]
        order = _reversed(output, lengths)
        for number, layer in enumerate(native.layers):
            found = []
            for direction, weights in enumerate(layer):
                before = [part[number * len(layer) + direction] for part in parts]
                turned = _gather(output, order) if direction else output
                out, after = self._layer(native, weights, turned, before, lengths)
                found.append(_gather(out, order) if direction else out)
                for end, one in zip(ends, after, strict=True):
                    end.append(one)
            output = found[0] if len(found) == 1 else torch.cat(found, dim=2)
        last = [torch.stack(end) if contract.layers_first else end[0] for end in ends]
        return (output.transpose(0, 1) if contract.batch_first else output), fill(contract.state_shapes, iter(last))

    def _layer(
        self, native: NativeCore, weights: Weights, x: Tensor, before: Tensors, lengths: Tensor | None
    ) -> tuple[Tensor, Tensors]:
        """Run one direction of one layer over x (T, B, D)."""
        of_inputs, of_state, *biases = weights
        assert of_inputs is not None
        assert of_state is not None
        bias = biases[0], [one for one in biases[1:] if one is not None]
        step = STEPS[native.nonlinearity if native.operator == "RNN" else native.operator]

        def body(owner: nn.Module, given: Tensors, carry: Tensors, fixed: Tensors) -> tuple[Tensors, Tensors]:
            after = step(given[0], linear(carry[0], *fixed), carry)
            if len(given) == 1:
                return [after[0]], after
            running = given[1].unsqueeze(1)
            kept = [torch.where(running, new, old) for new, old in zip(after, carry, strict=True)]
            return [torch.where(running, after[0], 0)], kept

        mask = [] if lengths is None else [torch.arange(x.shape[0]).unsqueeze(1) < lengths.unsqueeze(0)]
        gates = linear(x, of_inputs, bias[0])
        (output,), ends = self.scan(body, [gates, *mask], before, [of_state, *bias[1]], nn.Module())
        return output, ends


def _lstm(x: Tensor, h: Tensor, carry: Tensors) -> Tensors:
    i, f, g, o = (x + h).chunk(4, dim=1)
    c = f.sigmoid() * carry[1] + i.sigmoid() * g.tanh()
    return [o.sigmoid() * c.tanh(), c]


def _gru(x: Tensor, h: Tensor, carry: Tensors) -> Tensors:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, dim=1), h.chunk(3, dim=1)
    z, n = (xz + hz).sigmoid(), (xn + (xr + hr).sigmoid() * hn).tanh()
    return [(1 - z) * n + z * carry[0]]


STEPS: dict[str, Step] = {
    "LSTM": _lstm,
    "GRU": _gru,
    "tanh": lambda x, h, _: [(x + h).tanh()],
    "relu": lambda x, h, _: [(x + h).relu()],
}


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the places (T, B) of the steps of x (T, B, D) in reverse; those past the end of a row stay."""
    steps = torch.arange(x.shape[0]).unsqueeze(1).expand(-1, x.shape[1])
    if lengths is None:
        return x.shape[0] - 1 - steps
    return torch.where(steps < lengths, lengths - 1 - steps, steps)


def _gather(x: Tensor, places: Tensor) -> Tensor:
    return x.gather(0, places.unsqueeze(2).expand(-1, -1, x.shape[2]))
