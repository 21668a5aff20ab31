"""Detect modes in which only PyTorch's own operations work, without hand-written kernels or checks of values."""

from __future__ import annotations

import torch


def needs_plain_operations() -> bool:
    """Return whether only PyTorch's own operations work.

    They are needed in a graph that `torch.export`, `torch.onnx` or `torch.jit.trace` records, and under the transforms
    of `torch.func`, such as `grad` and `vmap`.
    """
    return (
        torch.compiler.is_exporting() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()
    )  # the last has no public name; torch.autograd.Function makes the same test


def is_eager() -> bool:
    """Return whether operations run immediately, so that code may branch on the values of tensors."""
    return not (torch.compiler.is_compiling() or needs_plain_operations())
