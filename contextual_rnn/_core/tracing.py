"""Whether PyTorch traces or transforms a function.

Values of tensors cannot be read then, and hand-written kernels must give way to PyTorch's own operations.
"""

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
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or _in_vmap_stack())


def under_vmap() -> bool:
    """Return whether `torch.func.vmap` is vectorising a function."""
    return not torch.compiler.is_compiling() and _in_vmap_stack()


def refuse_tracing(what: str) -> None:
    """Raise ValueError under `torch.jit.trace`, which would record the values of the example as constants."""
    if torch.jit.is_tracing():
        raise ValueError(f"torch.jit.trace cannot record {what} because it records the values of the example")


def needs_plain_operations() -> bool:
    """Return whether only PyTorch's own operations work.

    They are needed in a graph that `torch.export`, `torch.onnx` or `torch.jit.trace` records, and under the transforms
    of `torch.func`, such as `grad` and `vmap`.
    """
    return (
        torch.compiler.is_exporting() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()
    )  # the last has no public name; torch.autograd.Function asks the same


def is_eager() -> bool:
    """Return whether operations run at once, so that code may branch on the values of tensors."""
    return not (torch.compiler.is_compiling() or needs_plain_operations())


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
