"""The inputs of a graph for the context of an initial state, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._core.contract import input_size
from ..context import Context, Field, Image, Label, Quantity, Summary, Vector
from ..errors import InputError
from ..initial_state import InitialState
from .graph_spec import Input


class ContextInputs:
    """The inputs for a context, and the context that they make.

    Args:
        networks: the networks that read the context.
        example: a context, where the networks do not state what they read; a tensor, or a dict of tensors.
        taken: names of other inputs; a context input of such a name gets the prefix `context_`.

    Raises:
        InputError: no network states what it reads, and there is no example.
    """

    def __init__(self, networks: Sequence[nn.Module], example: Any = None, taken: Collection[str] = ()) -> None:
        self.names: list[str] | None = None  # of the fields; None if the context is one tensor
        self.sequences: set[str] = set()
        self.inputs: list[Input] = []
        self.labels: dict[str, list[str]] = {}
        for key, found in self._columns(networks, example):
            for one in found:
                self.inputs.append(dataclasses.replace(one, name=free_input(one.name, taken)))
            if len(found) > 1:
                self.sequences.add(key)

    def _columns(self, networks: Sequence[nn.Module], example: Any) -> Iterator[tuple[str, list[Input]]]:
        if example is not None:
            columns = example if isinstance(example, dict) else {"context": example}
            self.names = list(columns) if isinstance(example, dict) else None
            yield from ((name, [_like(name, torch.as_tensor(value))]) for name, value in columns.items())
            return
        if not networks:
            return
        first = networks[0]
        while isinstance(first, nn.Sequential) and not isinstance(first, Field) and not hasattr(first, "in_features"):
            first = first[0]
        if not isinstance(first, Context):
            yield "context", self._read("context", first)
            return
        self.names = list(first.names)
        for name, field in zip(first.names, first.fields, strict=True):
            yield name, self._read(name, field)

    def _read(self, name: str, module: Any) -> list[Input]:
        found = field_inputs(name, module)
        if isinstance(module, Label) and isinstance(module.labels, list):
            self.labels[name] = module.labels
        return found

    def context(self, values: Sequence[Tensor]) -> Any:
        """Return the context for values of the inputs, in their order; None if there are no inputs."""
        if not self.inputs:
            return None
        rest = iter(values)
        columns = [self._value(name, rest) for name in self.names or ["context"]]
        return columns[0] if self.names is None else dict(zip(self.names, columns, strict=True))

    def _value(self, name: str, rest: Iterator[Tensor]) -> Any:
        return (next(rest), next(rest)) if name in self.sequences else next(rest)


def free_input(name: str, taken: Collection[str]) -> str:
    """Return a name for an input; one that is taken gets the prefix `context_`."""
    while name in taken:
        name = f"context_{name}"
    return name


def field_inputs(name: str, module: Any) -> list[Input]:
    """Return the inputs of a field, or of a network whose first layer is linear or an embedding.

    Raises:
        InputError: the module does not state what it reads.
    """
    missing = getattr(module, "unknown", None) is not None
    if isinstance(module, Label):
        about = "the place of the label in `labels`" if isinstance(module.labels, list) else "the label"
        return [Input(name, ("batch",), "category", about, categories=module.count, missing=missing)]
    if isinstance(module, Quantity):
        low, high = module.low, module.high
        if low is None or high is None:
            assert module.mean is not None
            assert module.deviation is not None
            low, high = module.mean - module.deviation, module.mean + module.deviation
        return [Input(name, ("batch",), "quantity", "in its own unit", span=(low, high), missing=missing)]
    if isinstance(module, (Vector, Image)):
        return [Input(name, ("batch", *module.shape), missing=missing)]
    if isinstance(module, Summary):
        width, time = input_size(getattr(module.network, "core", module.network)), f"{name}_time"
        if width is not None:
            lengths = Input(f"{name}_lengths", ("batch",), "length", most=time)
            return [Input(name, ("batch", time, width), missing=missing), lengths]
    if isinstance(module, nn.Embedding):
        return [Input(name, ("batch",), "category", categories=module.num_embeddings)]
    width = getattr(module, "in_features", None)
    if isinstance(width, int):
        return [Input(name, ("batch", width))]
    raise InputError(
        f"the context network {type(module).__name__} does not state what it reads; give an example of a context as "
        "`context`"
    )


def networks_of(state: InitialState) -> Iterator[nn.Module]:
    """Yield the networks of an initial state that read the context."""
    network = getattr(state, "network", None)
    if isinstance(network, nn.Module):
        yield network
    for name in ("base", "prior"):
        if isinstance(getattr(state, name, None), InitialState):
            yield from networks_of(getattr(state, name))
    for inner in getattr(state, "states", ()):
        yield from networks_of(inner)
    if isinstance(getattr(state, "told", None), nn.Module):
        yield state.told  # type: ignore[misc]


def _like(name: str, value: Tensor) -> Input:
    if value.is_floating_point():
        return Input(name, ("batch", *value.shape[1:]))
    return Input(name, ("batch", *value.shape[1:]), "category", categories=int(value.max()) + 1)
