"""Compute with plain values inside the transforms of `torch.func`, such as `grad` and `vmap`.

PyTorch has no public functions for this; the functions used here are internal functions of `torch.func`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch._C import _functorch
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack


def inside_transform() -> bool:
    """Return whether a transform of `torch.func` is active."""
    return not torch.compiler.is_compiling() and _functorch.peek_interpreter_stack() is not None


@contextlib.contextmanager
def outside_transforms(tensor: Tensor) -> Iterator[Tensor]:
    """Compute with the values of a tensor outside all transforms, so that buffers can be changed in place.

    Yields the detached values. The dimensions over which `torch.func.vmap` maps come first.
    """
    if not inside_transform():
        yield tensor.detach()
        return
    with temporarily_clear_interpreter_stack():
        while _functorch.is_functorch_wrapped_tensor(tensor):
            place = _functorch.maybe_get_bdim(tensor) if _functorch.is_batchedtensor(tensor) else None
            tensor = _functorch.get_unwrapped(tensor)
            tensor = tensor if place is None else tensor.movedim(place, 0)
        yield tensor.detach()
