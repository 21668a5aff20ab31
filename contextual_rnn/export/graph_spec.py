"""What a graph of a model reads and returns: its inputs by name, with their sizes and values, and its outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Dims = tuple[int | str, ...]


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of a graph.

    Attributes:
        name: of the input.
        dims: its sizes; a dynamic one is a name, such as "batch" or "time".
        kind: numbers (float32), quantities (float64), categories (int64), or lengths (int64).
        about: what it is, in a few words.
        categories: of categories, how many there are: 0, 1, ...
        most: of lengths, the name of the dynamic size that they are at most.
        least: of lengths, the smallest one.
        span: of quantities, the smallest and the largest value in examples.
        missing: whether a row may be missing: NaN, or -1 for a category.
    """

    name: str
    dims: Dims
    kind: Literal["number", "quantity", "category", "length"] = "number"
    about: str = ""
    categories: int = 1
    most: str = "time"
    least: int = 1
    span: tuple[float, float] = (0.0, 1.0)
    missing: bool = False

    def example(self, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
        """Return random values for dynamic sizes."""
        shape = [size if isinstance(size, int) else sizes[size] for size in self.dims]
        if self.kind == "length":
            lengths = torch.randint(self.least, sizes[self.most] + 1, shape, generator=generator)
            lengths[0] = sizes[self.most]
            return lengths
        if self.kind == "category":
            found = torch.randint(self.categories, shape, generator=generator)
        elif self.kind == "quantity":
            low, high = self.span
            found = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
        else:
            found = torch.randn(shape, generator=generator)
        if self.missing and len(found) > 1:
            found[-1] = -1 if self.kind == "category" else torch.nan
        return found


@dataclasses.dataclass(frozen=True)
class GraphSpec:
    """A graph of a model.

    Attributes:
        name: of the graph, which its file's name ends with; "" for the main one.
        module: called with the inputs in order, it returns a tuple of the outputs.
        inputs: what it reads.
        outputs: the names of what it returns.
        least: the smallest value of a dynamic size, where that is not 1.
        about: what it computes, in a sentence.
    """

    name: str
    module: nn.Module
    inputs: Sequence[Input]
    outputs: Sequence[str]
    least: Mapping[str, int] = dataclasses.field(default_factory=dict)
    about: str = ""

    @property
    def dynamic(self) -> list[str]:
        """The names of the dynamic sizes, in order."""
        return list(dict.fromkeys(dim for one in self.inputs for dim in one.dims if isinstance(dim, str)))

    def sizes(self, batch: int, steps: int) -> dict[str, int]:
        """Return a value for every dynamic size; those that are not the batch get different ones."""
        others = (name for name in self.dynamic if name != "batch")
        found = {name: self.least.get(name, 1) + steps - 1 + place for place, name in enumerate(others)}
        return {"batch": batch, **found}

    def examples(self, sizes: Mapping[str, int], seed: int = 0) -> tuple[Tensor, ...]:
        """Return random inputs of these sizes."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(one.example(sizes, generator) for one in self.inputs)

    def described(self) -> dict[str, Any]:
        """Return what the file's metadata say about the graph."""
        inputs = {
            one.name: {"dims": list(one.dims), "kind": one.kind, **({"about": one.about} if one.about else {})}
            for one in self.inputs
        }
        return {"about": self.about, "inputs": inputs, "outputs": list(self.outputs)}
