"""Build ONNX graphs: nodes, the constants that they share, and the graphs of loops inside a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

OPSET = 18
TYPES = {
    torch.float32: onnx.TensorProto.FLOAT,
    torch.float64: onnx.TensorProto.DOUBLE,
    torch.int64: onnx.TensorProto.INT64,
    torch.int32: onnx.TensorProto.INT32,
    torch.uint8: onnx.TensorProto.UINT8,
    torch.bool: onnx.TensorProto.BOOL,
}


class Builder:
    """A graph that is being built. The graphs of loops share the names and the constants of their outermost graph.

    Args:
        outer: the graph that this one is part of; None for the outermost.
    """

    def __init__(self, outer: Builder | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.outer = outer
        self.constants: dict[Any, onnx.TensorProto] = {} if outer is None else outer.constants
        self.count: list[int] = [0] if outer is None else outer.count
        self.found: dict[Any, str] = {}  # the results of nodes that may be shared

    def name(self, stem: str = "value") -> str:
        """Return a new name."""
        self.count[0] += 1
        return f"{stem}_{self.count[0]}"

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the name of that output."""
        return self.nodes_with(operator, inputs, 1, **attributes)[0]

    def nodes_with(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs, and return their names."""
        names = [self.name(operator.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def shared(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, unless this graph already has an equal one; return the name of its output."""
        key = (operator, inputs, tuple(sorted(attributes.items())))
        if key not in self.found:
            self.found[key] = self.node(operator, *inputs, **attributes)
        return self.found[key]

    def constant(self, value: Any, dtype: torch.dtype | None = None, stem: str = "constant") -> str:
        """Return the name of a constant: a tensor, an array, a list or a number. Equal ones are stored once."""
        if isinstance(value, Tensor):
            value = value.detach().cpu().contiguous().numpy()
        array = np.asarray(value)
        if dtype is not None:
            array = array.astype(np.dtype(str(dtype).removeprefix("torch.")))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(np.array(array, order="C"), self.name(stem))
        return self.constants[key].name

    def graph(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """Return the graph; the outermost one holds the constants."""
        read = _names_read(self.nodes)
        constants = [] if self.outer is not None else [one for one in self.constants.values() if one.name in read]
        return helper.make_graph(self.nodes, name, inputs, outputs, initializer=constants)


def _names_read(nodes: Sequence[onnx.NodeProto]) -> set[str]:
    """Return the names that nodes read, also in the graphs of loops."""
    read = {name for node in nodes for name in node.input}
    for node in nodes:
        for attribute in node.attribute:
            read |= _names_read(attribute.g.node)
    return read


def tensor_info(name: str, dtype: torch.dtype, dims: Sequence[int | str] | None) -> onnx.ValueInfoProto:
    """Return the description of an input or output: its name, type and dimensions, of which some have only names."""
    return helper.make_tensor_value_info(name, TYPES[dtype], None if dims is None else list(dims))
