"""Record a graph of a model as a program of `torch.export`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from ..errors import InputError
from .graph_spec import GraphSpec


def exported_program(spec: GraphSpec) -> ExportedProgram:
    """Return the program that `torch.export` records of a graph; its dynamic sizes are dynamic.

    Raises:
        InputError: `torch.export` refuses the model.
    """
    examples = spec.examples(spec.sizes(3, 4))
    shapes = tuple(
        {place: Dim.DYNAMIC for place, dim in enumerate(one.dims) if isinstance(dim, str)} for one in spec.inputs
    )
    module = _Positional(spec.module)
    try:
        with torch.no_grad():
            return torch.export.export(module, examples, dynamic_shapes=(shapes,))
    except InputError:
        raise
    except Exception as error:  # of many classes; such as for a core whose code depends on the values of its input
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"the model cannot be exported, since torch.export refuses it: {reason}") from error


class _Positional(torch.nn.Module):
    """Call a module with any number of arguments, and return a tuple of outputs."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.module(*arguments))
