"""The backends of the fast-weights operation, and the choice between them."""

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

# For every compiled backend: the required package, the module in this folder, the extra to install, and its support.
COMPILED = {
    "numba": ("numba", "numba_kernels", "fast", "float32 and float64 on the CPU"),
    "triton": ("triton", "triton_operation", "gpu", "float32 on a CUDA device, up to 128 units"),
}


def choose(backend: Backend, tensor: Tensor) -> ModuleType:
    """Return the module of a backend for a tensor (..., H).

    Args:
        backend: the backend; `"auto"` means the fastest backend that is installed and supports the tensor.
        tensor: a tensor with the device, dtype and width of the inputs.

    Raises:
        ImportError: the backend is not installed or cannot be imported.
        ValueError: the backend does not support the tensor.
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
        f"backend={backend!r} supports {where}; found {tensor.dtype} on {tensor.device}, {tensor.shape[-1]} units"
    )


@functools.cache
def _compiled(backend: str) -> ModuleType | None:
    package, module, *_ = COMPILED[backend]
    if importlib.util.find_spec(package) is None:
        return None
    try:
        return importlib.import_module(f".{module}", __package__)
    except ImportError as error:  # such as a Numba that is too old for the installed NumPy
        warnings.warn(f"{package} is installed but cannot be imported: {error}", RuntimeWarning, stacklevel=2)
        return None
