"""Make the ONNX file of a graph, and check it in ONNX Runtime against the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from .._core.extras import require
from .._core.recording import recording
from ..errors import InputError
from .graph_spec import GraphSpec

TOLERANCE = 1e-5  # of the largest difference, relative to the largest output if that is more than 1
CHECKED = ((1, 1), (5, 12))  # batch sizes and numbers of steps, of which the traced graph has seen neither
IR_VERSION = 10  # which ONNX Runtime reads from version 1.18 on


def require_onnx() -> None:
    """Raise InputError unless the packages of the extra `export` are installed."""
    require("export", "The export")


def onnx_bytes(spec: GraphSpec, metadata: dict[str, Any]) -> bytes:
    """Return a graph as the content of an ONNX file.

    Args:
        spec: the graph.
        metadata: what the file says about the model, which JSON can hold.

    Raises:
        InputError: a module of the model has no translation to ONNX.
    """
    import onnx

    from . import elementwise, layers, recurrence, shapes  # noqa: F401 (they register translations)
    from .builder import OPSET, tensor_info
    from .recorder import GraphRecorder
    from .translate import Graph

    recorder = GraphRecorder()
    with recording(recorder):
        program = exported_program(spec)
    graph = Graph(recorder)
    found = graph.add(program, [one.name for one in spec.inputs])
    symbols = _symbols(program, spec)
    types = [value.dtype for value in spec.examples(spec.sizes(2, 2))]
    inputs = [tensor_info(one.name, dtype, one.dims) for one, dtype in zip(spec.inputs, types, strict=True)]
    for name, value in zip(spec.outputs, found, strict=True):
        graph.builder.nodes.append(onnx.helper.make_node("Identity", [value.name], [name]))
    outputs = [
        tensor_info(name, value.dtype, _named(name, value.shape, symbols))
        for name, value in zip(spec.outputs, found, strict=True)
    ]
    whole = graph.builder.graph(spec.name or "model", inputs, outputs)
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(whole, opset_imports=[opset], producer_name="contextual-rnn")
    model.ir_version = IR_VERSION
    onnx.helper.set_model_props(model, {"contextual_rnn": json.dumps({**metadata, **spec.described()})})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def exported_program(spec: GraphSpec) -> ExportedProgram:
    """Return the program that `torch.export` records of a graph; its dynamic sizes are dynamic."""
    examples = spec.examples(spec.sizes(3, 4))
    shapes = tuple(
        {place: Dim.DYNAMIC for place, dim in enumerate(one.dims) if isinstance(dim, str)} for one in spec.inputs
    )
    module = _Positional(spec.module)
    with torch.no_grad():
        return torch.export.export(module, examples, dynamic_shapes=(shapes,))


class _Positional(torch.nn.Module):
    """Call a module with any number of arguments, and return a tuple of contiguous outputs."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.module(*arguments))


def _symbols(program: ExportedProgram, spec: GraphSpec) -> dict[str, str]:
    """Return the names of dynamic sizes by the symbols that `torch.export` gave them."""
    named = iter(spec.inputs)
    user_inputs = set(program.graph_signature.user_inputs)
    found: dict[str, str] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in user_inputs:
            for size, dim in zip(node.meta["val"].shape, next(named).dims, strict=True):
                if isinstance(dim, str):
                    found.setdefault(str(size), dim)
    return found


def _named(name: str, shape: Sequence[Any], symbols: dict[str, str]) -> list[int | str]:
    """Return the sizes of an output, the dynamic ones as names."""
    return [
        size if isinstance(size, int) else symbols.get(str(size), f"{name}_{dim}") for dim, size in enumerate(shape)
    ]


def session(content: bytes) -> Any:
    """Return a session of ONNX Runtime on the CPU for the content of a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(found: Any, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    """Run a session on inputs in order; those that the graph does not read are left out."""
    values = {one.name: value.numpy() for one, value in zip(found.get_inputs(), inputs, strict=True)}
    return found.run(None, values)


@torch.no_grad()
def difference(spec: GraphSpec, found: Any, batch: int, steps: int, seed: int = 1) -> float:
    """Return the largest difference of ONNX Runtime from the model, relative to the largest output if over 1."""
    inputs = spec.examples(spec.sizes(batch, steps), seed)
    largest = 0.0
    for mine, theirs in zip(spec.module(*inputs), run(found, inputs), strict=True):
        expected = mine.detach().numpy().astype(np.float64)
        if theirs.shape != expected.shape:
            return float("inf")
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        away = np.abs(theirs.astype(np.float64) - expected).max(initial=0) / scale
        largest = float("inf") if np.isnan(away) else max(largest, float(away))
    return largest


def check(spec: GraphSpec, content: bytes) -> float:
    """Run a file in ONNX Runtime at other batch sizes and lengths, and return the largest difference from the model.

    Raises:
        InputError: it is more than 1e-5.
    """
    found = session(content)
    largest = max(difference(spec, found, batch, steps) for batch, steps in CHECKED)
    if not largest <= TOLERANCE:
        raise InputError(
            f"the graph {spec.name or 'of the model'} differs from the model by {largest:.2g} in ONNX Runtime, more "
            f"than {TOLERANCE:g}; no file was written"
        )
    return largest
