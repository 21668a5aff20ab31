"""Whether the values of tensors can be read, which they cannot while PyTorch traces or vectorises a function."""

from __future__ import annotations

import torch
from torch._C import _functorch


def shapes_are_traced() -> bool:
    """Return whether sizes are traced tensors, as under `torch.jit.trace`, which must not be compared."""
    return torch.jit.is_tracing()


def values_are_known() -> bool:
    """Return whether code may branch on the values of tensors.

    It may not under `torch.compile`, `torch.export`, `torch.jit.trace` and `torch.func.vmap`. Checks of values are
    skipped there.
    """
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or _in_vmap_stack())


def under_vmap() -> bool:
    """Return whether `torch.func.vmap` is vectorising a function."""
    return not torch.compiler.is_compiling() and _in_vmap_stack()


def refuse_tracing(what: str) -> None:
    """Raise ValueError under `torch.jit.trace`, which would record the values of the example as constants."""
    if torch.jit.is_tracing():
        raise ValueError(f"torch.jit.trace cannot record {what} since it keeps the values of the example")


def refuse_vmap(what: str) -> None:
    """Raise ValueError under `torch.func.vmap`, where no code can branch on values."""
    if under_vmap():
        raise ValueError(
            f"torch.func.vmap cannot vectorise {what}, since the steps that run depend on their values: give it rows "
            "of one length"
        )


def _in_vmap_stack() -> bool:
    stack = _functorch.get_interpreter_stack()
    return any(layer.key() == _functorch.TransformType.Vmap for layer in stack or ())
