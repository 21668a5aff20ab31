"""`Context`: named fields, called with a dict of what is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .field import Field, rows


class Context(nn.Module):
    """Names what is known and makes one vector of it, for the network of an initial state.

    Args:
        fields: any number of fields, by name; what comes out has their features in the order of their names.

    Attributes:
        out_features: F, the width of the vector.

    Raises:
        ValueError: there is no field.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import MLP, Context, ContextState, ContextualRNN, Label, Quantity
        >>> context = Context(digit=Label(10, unknown=True), period=Quantity(0.5, 4.5))
        >>> core = nn.GRU(1, 32, batch_first=True)
        >>> network = nn.Sequential(context, MLP(context.out_features, [50]))
        >>> rnn = ContextualRNN(core, ContextState(core, network))
        >>> known = {"digit": torch.tensor([3, -1]), "period": torch.tensor([0.5, 2.0])}  # -1 is not known
        >>> output, state = rnn(torch.zeros(2, 25, 1), known)
    """

    def __init__(self, **fields: Field) -> None:
        super().__init__()
        if not fields:
            raise ValueError("a context needs at least one field, for example Context(digit=Label(10))")
        self.names = sorted(fields)
        self.fields = nn.ModuleList(fields[name] for name in self.names)
        self.out_features = sum(field.out_features for field in fields.values())

    def forward(self, known: dict[str, Any]) -> Tensor:
        """Return the vector (B, F).

        Args:
            known: a value for every field, B rows each. A field made with `unknown=True` may be left out or be None,
                and be NaN (a label -1) in some rows; at least one field must be there, to tell B.

        Raises:
            ValueError: a name is no field's, or a field's value is not right; names the field.
        """
        if not isinstance(known, dict):
            raise ValueError(f"the context must be a dict of {', '.join(self.names)}; found a {type(known).__name__}")
        strange = [name for name in known if name not in self.names]
        if strange:
            raise ValueError(f"the context has no field {strange[0]!r}: its fields are {', '.join(self.names)}")
        sizes = [rows(value) for value in known.values() if value is not None]
        if not sizes:
            raise ValueError(f"none of the fields {', '.join(self.names)} is there: one at least must tell the batch")
        features = []
        for name, field in zip(self.names, self.fields, strict=True):
            try:
                features.append(field(known.get(name), sizes[0]))
            except ValueError as error:
                raise ValueError(f"context field {name!r}: {error}") from error
        return torch.cat(features, dim=1)
