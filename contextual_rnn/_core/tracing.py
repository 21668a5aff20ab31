"""Detect whether the values of tensors can be read; they cannot while PyTorch traces or vectorises a function."""

from __future__ import annotations

import torch
from torch._C import _functorch


def shapes_are_traced() -> bool:
    """Return whether sizes are traced tensors, as under `torch.jit.trace`, which must not be compared."""
    return torch.jit.is_tracing()


def values_are_known() -> bool:
    """Return whether code may branch on the values of tensors.

    It must not under `torch.compile`, `torch.export`, `torch.jit.trace` and `torch.func.vmap`, where checks of values
    are skipped.
    """
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or _under_vmap())


def refuse_tracing(what: str) -> None:
    """Raise ValueError under `torch.jit.trace`, which would record the values of the example as constants."""
    if torch.jit.is_tracing():
        raise ValueError(f"torch.jit.trace cannot record {what} because it records the values of the example")


def _under_vmap() -> bool:
    stack = _functorch.get_interpreter_stack()
    return any(layer.key() == _functorch.TransformType.Vmap for layer in stack or ())
