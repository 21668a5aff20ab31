"""The inputs of a graph for context columns of a table, and the vector that their fields make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from ..context import Field, Label
from .context_inputs import field_inputs, free_input
from .graph_spec import Input


class FieldColumns(nn.Module):
    """Context columns, as inputs of a graph.

    Args:
        fields: the field of every column.
        taken: names of other inputs; a column of such a name gets the prefix `context_`.
        network: what reads the vector of all fields, if the context is its output.

    Attributes:
        names: the name of the input of every column.
    """

    def __init__(
        self, fields: Mapping[str, Field], taken: Collection[str], network: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.fields, self.network = nn.ModuleList(fields.values()), network
        self.inputs: list[Input] = []
        self.names: dict[str, str] = {}
        for name, field in fields.items():
            self.names[name] = free_input(name, {*taken, *self.names.values(), *(set(fields) - {name})})
            self.inputs += field_inputs(self.names[name], field)
        self.labels = {name: field.labels for name, field in fields.items() if isinstance(field, Label)}

    def vector(self, values: Collection[Tensor], like: Tensor) -> Tensor:
        """Return the context vector (B, C) for a value of every column; `like` has B rows."""
        if not self.fields:
            return like.new_zeros(like.shape[0], 0)
        pairs = zip(self.fields, values, strict=True)
        vector = torch.cat([field(value) for field, value in pairs], dim=1).to(like)
        return vector if self.network is None else self.network(vector)
