"""Which code runs the fast-weights operation."""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType
from typing import Literal, get_args

from torch import Tensor

from . import attention

Backend = Literal["auto", "reference", "attention", "numba"]
BACKENDS: tuple[str, ...] = get_args(Backend)


def choose(backend: Backend, tensor: Tensor) -> ModuleType:
    """Return the kernels for such a tensor; `"auto"` takes the fastest that is installed and runs on it.

    Raises:
        ImportError: the backend asked for is not installed.
        ValueError: it does not run on such a tensor.
    """
    if backend == "attention":
        return attention
    kernels = _numba_kernels()
    if kernels is not None and kernels.supports(tensor):
        return kernels
    if backend == "auto":
        return attention
    if kernels is None:
        raise ImportError("backend='numba' needs Numba: run pip install 'contextual-rnn[fast]'")
    raise ValueError(f"backend='numba' runs on float32 and float64 on the CPU; found {tensor.dtype} on {tensor.device}")


@functools.cache
def _numba_kernels() -> ModuleType | None:
    if importlib.util.find_spec("numba") is None:
        return None
    from . import numba_kernels

    return numba_kernels
