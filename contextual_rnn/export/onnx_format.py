"""Make the ONNX file of a graph, and run it in ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.export import ExportedProgram

from .._core.extras import require
from .._core.recording import recording
from .graph_spec import GraphSpec
from .program import exported_program

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


class Session:
    """A session of ONNX Runtime on the CPU for the content of a file."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.names = [one.name for one in self.session.get_inputs()]

    def __call__(self, inputs: Sequence[Tensor]) -> list[np.ndarray]:
        """Return the outputs for inputs in order."""
        return self.session.run(None, {name: one.numpy() for name, one in zip(self.names, inputs, strict=True)})
