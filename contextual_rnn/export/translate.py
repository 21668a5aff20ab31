"""Translate a graph that `torch.export` recorded to ONNX, operator by operator."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from ..errors import InputError
from .builder import TYPES, Builder
from .recorder import GraphRecorder

Operation = Callable[..., Any]
OPERATIONS: dict[str, Operation] = {}  # by the name of PyTorch's operator, without its overload


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the ONNX graph.

    Attributes:
        name: in the graph.
        dtype: its type.
        shape: its sizes, of which dynamic ones are symbols.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[Any, ...]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)


@dataclasses.dataclass(frozen=True)
class Size:
    """A dynamic size, as a tensor (1,) of the ONNX graph."""

    name: str


def translates(*names: str) -> Callable[[Operation], Operation]:
    """Register the translation of operators of PyTorch; a decorator.

    The function is called as `function(graph, *arguments, **named)`, with tensors as `Value`, dynamic sizes as `Size`
    and numbers as they are. It returns the name of the result, or a list of names.
    """

    def add(function: Operation) -> Operation:
        for name in names:
            OPERATIONS[name] = function
        return function

    return add


class Graph:
    """The ONNX graph of a program, or of the body of a loop.

    Attributes:
        builder: what the nodes are added to.
        result: the fake tensor, or tensors, that the operator being translated returns.
    """

    def __init__(self, recorder: GraphRecorder, builder: Builder | None = None) -> None:
        self.recorder, self.builder = recorder, builder or Builder()
        self.result: Any = None

    def add(self, program: ExportedProgram, inputs: Sequence[str]) -> list[Value]:
        """Add the nodes of a program, and return its outputs.

        Args:
            program: the program.
            inputs: the names of its inputs in the graph.
        """
        values: dict[fx.Node, Any] = {}
        rest = iter(inputs)
        constants = _constants(program)
        outputs: list[Value] = []
        for node in program.graph.nodes:
            if node.op == "placeholder":
                values[node] = self._placeholder(node, constants, rest)
            elif node.op == "get_attr":
                values[node] = self.of_tensor(getattr(program.graph_module, node.target))
            elif node.op == "output":
                outputs = [self.as_value(one) for one in fx.map_arg(node.args[0], values.__getitem__)]
            elif node.users:
                values[node] = self._call(node, values)
            elif isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
                raise InputError(
                    f"the model cannot be exported: it assigns to a part of a tensor ({_name_of(node.target)}), which "
                    "ONNX cannot"
                )
        return outputs

    def _placeholder(self, node: fx.Node, constants: dict[str, Tensor], rest: Any) -> Value:
        if node.name in constants:
            return self.of_tensor(constants[node.name], node.name)
        found = node.meta["val"]
        return Value(next(rest), found.dtype, tuple(found.shape))

    def _call(self, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        arguments: Any = fx.map_arg(node.args, values.__getitem__)
        named: Any = fx.map_arg(node.kwargs, values.__getitem__)
        if node.target is operator.getitem:
            return arguments[0][arguments[1]]
        self.result = node.meta.get("val")
        name = _name_of(node.target)
        if name not in OPERATIONS:
            raise InputError(
                f"the model cannot be exported: the operation {name} of PyTorch has no translation to ONNX"
            )
        found = OPERATIONS[name](self, *arguments, **named)
        if isinstance(found, list):
            return [self._typed(one, fake) for one, fake in zip(found, self.result, strict=True)]
        return self._typed(found, self.result) if isinstance(found, str) else found

    def _typed(self, name: str, fake: Any) -> Any:
        if not isinstance(fake, Tensor):
            return Size(name)
        return Value(name, fake.dtype, tuple(fake.shape))

    def of_tensor(self, tensor: Tensor, stem: str = "constant") -> Value:
        """Return a constant of the graph."""
        return Value(self.builder.constant(tensor, stem=stem), tensor.dtype, tuple(tensor.shape))

    def as_value(self, found: Any) -> Value:
        """Return a tensor for a value, which may be a number or a dynamic size."""
        if isinstance(found, Size):
            return Value(found.name, torch.int64, (1,))
        return found if isinstance(found, Value) else self.of_tensor(torch.as_tensor(found))

    def cast(self, value: Any, dtype: torch.dtype) -> str:
        """Return the name of a tensor or number in a type."""
        if isinstance(value, Size):
            scalar = self.builder.shared("Squeeze", value.name)
            return scalar if dtype == torch.int64 else self.builder.node("Cast", scalar, to=_onnx_type(dtype))
        if not isinstance(value, Value):
            return self.builder.constant(value, dtype)
        return value.name if value.dtype == dtype else self.builder.shared("Cast", value.name, to=_onnx_type(dtype))

    def ints(self, *values: int) -> str:
        """Return the name of a constant vector of integers."""
        return self.builder.constant(list(values), torch.int64)

    def size_of(self, value: Value, dim: int) -> str:
        """Return the name of a size of a tensor, (1,)."""
        dim %= value.rank
        if isinstance(value.shape[dim], int):
            return self.ints(value.shape[dim])
        return self.builder.shared("Shape", value.name, start=dim, end=dim + 1)

    def vector(self, sizes: Sequence[Any]) -> str:
        """Return the name of a vector of integers, some of which may be dynamic sizes."""
        if all(isinstance(size, int) for size in sizes):
            return self.ints(*sizes)
        parts = [size.name if isinstance(size, Size) else self.ints(size) for size in sizes]
        return parts[0] if len(parts) == 1 else self.builder.shared("Concat", *parts, axis=0)

    def reshape(self, name: str, sizes: Sequence[Any]) -> str:
        """Return a tensor in another shape, of which one size may be -1."""
        dynamic = [place for place, size in enumerate(sizes) if isinstance(size, Size)]
        if len(dynamic) == 1 and -1 not in sizes:
            sizes = [-1 if place == dynamic[0] else size for place, size in enumerate(sizes)]
        return self.builder.node("Reshape", name, self.vector(sizes))


def _constants(program: ExportedProgram) -> dict[str, Tensor]:
    """Return the parameters, buffers and constants of a program by the names of their placeholders."""
    signature = program.graph_signature
    stored = {**program.state_dict, **program.constants}
    places = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    return {name: stored[target] for name, target in places.items()}


def _name_of(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.removeprefix("aten::")
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__name__', target)}".removeprefix("_")


def _onnx_type(dtype: torch.dtype) -> int:
    return TYPES[dtype]
