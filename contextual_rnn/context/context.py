"""`Context`: named fields, called with a dict of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .field import Field, rows


class Context(nn.Module):
    """Encode named values as one vector, for the network of an initial state.

    Args:
        fields: one or more fields by name. The vector concatenates their features in alphabetical order of the names.

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
        >>> known = {"digit": torch.tensor([3, -1]), "period": torch.tensor([0.5, 2.0])}  # -1: the digit is unknown
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
            known: a value of B rows for every field. The value of a field created with `unknown=True` may be left out
                or be None, and may be NaN (-1 for a label) in some rows. At least one value must be given, since B is
                the number of its rows.

        Raises:
            ValueError: a name is not the name of a field, or the value of a field is invalid; the message names the
                field.
        """
        if not isinstance(known, dict):
            mend = "; to continue from a state, give it as `state`" if isinstance(known, (tuple, Tensor)) else ""
            raise ValueError(
                f"the context must be a dict with keys {', '.join(self.names)}; found a {type(known).__name__}{mend}"
            )
        strange = [name for name in known if name not in self.names]
        if strange:
            raise ValueError(f"the context has no field {strange[0]!r}: its fields are {', '.join(self.names)}")
        given = {name: value for name, value in known.items() if value is not None}
        if not given:
            raise ValueError(
                f"no context was given: pass a value for at least one of {', '.join(self.names)}, to determine the "
                "batch size"
            )
        size = _named(next(iter(given)), rows, next(iter(given.values())))
        fields = zip(self.names, self.fields, strict=True)
        return torch.cat([_named(name, field, known.get(name), size) for name, field in fields], dim=1)

    def extra_repr(self) -> str:
        """Show the names of the fields, in order."""
        return ", ".join(self.names)


def _named(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; add the name of the field to a ValueError."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise ValueError(f"context field {name!r}: {error}") from error
