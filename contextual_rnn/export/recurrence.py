"""Translate recorded cores to ONNX's LSTM, GRU and RNN, and recorded loops to its Scan.

PyTorch and ONNX order the gates of a core differently: (i, f, g, o) and (i, o, f, g) for an LSTM, (r, z, n) and
(z, r, n) for a GRU. The n of PyTorch's GRU multiplies r with the product of the state, after its bias is added, which
ONNX does with `linear_before_reset`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from .._core.recording import recording
from .builder import TYPES, Builder, tensor_info
from .recorder import LoopStep, NativeCore, Weights
from .translate import Graph, Value, translates

GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}  # where ONNX's gates are among PyTorch's


@translates("contextual_rnn::recurrence")
def _recurrence(g: Graph, x: Value, state: Sequence[Value], lengths: Value | None, place: int) -> list[str]:
    core = NativeCore.of(g.recorder.cores[place])
    assert core is not None
    build, directions, output = g.builder, len(core.layers[0]), x.name
    sizes = "" if lengths is None else build.shared("Cast", lengths.name, to=TYPES[torch.int32])
    starts = [_per_layer(g, leaf, len(core.layers), directions) for leaf in state]
    ends: list[list[str]] = [[] for _ in state]
    for number, layer in enumerate(core.layers):
        weights = [build.constant(one, stem=f"{core.operator.lower()}_weights") for one in _weights(core, layer)]
        initial = [leaf[number] for leaf in starts]
        attributes = _attributes(core, directions)
        found = build.nodes_with(core.operator, [output, *weights, sizes, *initial], 1 + len(state), **attributes)
        output = _joined(g, found[0], core, directions)
        for leaf, end in zip(ends, found[1:], strict=True):
            leaf.append(end)
    return [output, *(leaf[0] if len(leaf) == 1 else build.node("Concat", *leaf, axis=0) for leaf in ends)]


def _per_layer(g: Graph, leaf: Value, layers: int, directions: int) -> list[str]:
    """Split (L, B, H) into (directions, B, H) for every layer."""
    if layers == 1:
        return [leaf.name]
    return g.builder.nodes_with("Split", [leaf.name, g.ints(*[directions] * layers)], layers, axis=0)


def _joined(g: Graph, output: str, core: NativeCore, directions: int) -> str:
    """Return ONNX's outputs (T, directions, B, H) as (T, B, directions H)."""
    if directions == 1:
        return g.builder.node("Squeeze", output, g.ints(1))
    turned = g.builder.node("Transpose", output, perm=[0, 2, 1, 3])
    return g.builder.node("Reshape", turned, g.ints(0, 0, directions * core.hidden))


def _attributes(core: NativeCore, directions: int) -> dict[str, Any]:
    found: dict[str, Any] = {"hidden_size": core.hidden}
    found["direction"] = "forward" if directions == 1 else "bidirectional"
    if core.operator == "GRU":
        found["linear_before_reset"] = 1
    if core.operator == "RNN":
        found["activations"] = [core.nonlinearity.capitalize()] * directions
    return found


def _weights(core: NativeCore, layer: Sequence[Weights]) -> tuple[Tensor, Tensor, Tensor]:
    """Return a layer's weights of inputs and of the state, and its biases, as ONNX orders them."""
    inputs, states, biases = [], [], []
    for of_inputs, of_state, *both in layer:
        assert of_inputs is not None
        assert of_state is not None
        inputs.append(_ordered(core, of_inputs))
        states.append(_ordered(core, of_state))
        zero = torch.zeros(len(of_inputs), dtype=of_inputs.dtype)
        biases.append(torch.cat([_ordered(core, zero if one is None else one) for one in both]))
    return torch.stack(inputs), torch.stack(states), torch.stack(biases)


def _ordered(core: NativeCore, rows: Tensor) -> Tensor:
    gates = rows.detach().chunk(len(GATES[core.operator]))
    return torch.cat([gates[place] for place in GATES[core.operator]])


@translates("contextual_rnn::scan")
def _scan(g: Graph, steps: Sequence[Value], carry: Sequence[Value], fixed: Sequence[Value], place: int) -> list[str]:
    given = [*(Value("", one.dtype, one.shape[1:]) for one in steps), *carry, *fixed]
    module = LoopStep(*g.recorder.bodies[place], len(steps), len(carry))
    with recording(g.recorder):
        examples = tuple(torch.zeros([_hint(size) for size in one.shape], dtype=one.dtype) for one in given)
        dims = tuple(
            {dim: Dim.AUTO for dim, size in enumerate(one.shape) if not isinstance(size, int)} for one in given
        )
        program = torch.export.export(module, examples, dynamic_shapes=(dims,))
    inner = Graph(g.recorder, Builder(g.builder))
    names = [inner.builder.name("step") for _ in steps]
    before = [inner.builder.name("before") for _ in carry]
    outputs = inner.add(program, [*names, *before, *(one.name for one in fixed)])
    results = [inner.builder.node("Identity", one.name) for one in outputs]
    infos = [tensor_info(name, one.dtype, None) for name, one in zip([*before, *names], [*carry, *steps], strict=True)]
    ends = [tensor_info(name, one.dtype, None) for name, one in zip(results, outputs, strict=True)]
    body = inner.builder.graph(g.builder.name("step"), infos, ends)
    arguments = [one.name for one in (*carry, *steps)]
    return g.builder.nodes_with("Scan", arguments, len(outputs), body=body, num_scan_inputs=len(steps))


def _hint(size: Any) -> int:
    """Return an example of a size."""
    return size if isinstance(size, int) else int(size.node.hint)
