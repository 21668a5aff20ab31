"""Which code runs the fast-weights operation."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from types import ModuleType
from typing import Literal, get_args

from torch import Tensor

from . import attention

Backend = Literal["auto", "reference", "attention", "numba", "triton"]
BACKENDS: tuple[str, ...] = get_args(Backend)

# For every compiled backend: the package it needs, the module that has it, the extra to install, where it runs.
COMPILED = {
    "numba": ("numba", "numba_kernels", "fast", "float32 and float64 on the CPU"),
    "triton": ("triton", "triton_operation", "gpu", "float32 on a CUDA device, up to 128 units"),
}


def choose(backend: Backend, tensor: Tensor) -> ModuleType:
    """Return what runs on such a tensor, (.., H); `"auto"` takes the fastest that is installed and runs on it.

    Raises:
        ImportError: the backend asked for is not installed, or cannot be imported.
        ValueError: it does not run on such a tensor.
    """
    if backend == "attention":
        return attention
    for name in COMPILED if backend == "auto" else [backend]:
        compiled = _compiled(name)
        if compiled is not None and compiled.supports(tensor):
            return compiled
    if backend == "auto":
        return attention
    package, _, extra, where = COMPILED[backend]
    if _compiled(backend) is None:
        raise ImportError(f"backend={backend!r} needs {package}: run pip install 'contextual-rnn[{extra}]'")
    raise ValueError(
        f"backend={backend!r} runs on {where}; found {tensor.dtype} on {tensor.device}, {tensor.shape[-1]} units"
    )


@functools.cache
def _compiled(backend: str) -> ModuleType | None:
    package, module, *_ = COMPILED[backend]
    if importlib.util.find_spec(package) is None:
        return None
    try:
        return importlib.import_module(f".{module}", __package__)
    except ImportError as error:  # such as a Numba that is too old for the NumPy beside it
        warnings.warn(f"{package} is installed and cannot be imported: {error}", RuntimeWarning, stacklevel=2)
        return None
