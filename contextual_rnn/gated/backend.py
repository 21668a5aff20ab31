"""Where the compiled loops run, and where they are not worth running."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

Backend = Literal["auto", "torch", "compiled"]
BACKENDS: tuple[str, ...] = get_args(Backend)
DTYPES = (torch.float32, torch.float64)


def obstacle(module: nn.RNNBase, tensors: Sequence[Any]) -> str | None:
    """Return why the compiled loops cannot run a module on such tensors, its weights among them; None if they can."""
    if torch.jit.is_tracing() or torch.jit.is_scripting() or torch.compiler.is_compiling():
        return "does not run in code that is exported, traced or compiled by PyTorch"
    if module.proj_size:
        return "has no projections (proj_size)"
    if operations() is None:
        return "needs numba: run pip install 'contextual-rnn[fast]'"
    first = tensors[0]
    if not all(_plain(tensor) for tensor in tensors) or first.dtype not in DTYPES:
        return f"runs on float32 and float64 on the CPU; found {_describe(first)}"
    if any(tensor.dtype != first.dtype for tensor in tensors):
        return f"needs weights, inputs and states of one dtype; found {', '.join(sorted({_describe(t) for t in tensors}))}"
    if torch.is_autocast_enabled("cpu"):
        return "does not run under autocast"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "does not run under torch.func and forward-mode derivatives"
    if torch._C._len_torch_dispatch_stack():
        return "does not run under a TorchDispatchMode"
    return None


def faster(mode: str, rows: int, steps: int, features: int, hidden: int) -> bool:
    """Whether the compiled loops are faster than PyTorch, by docs/results/gated.md."""
    return True


@functools.cache
def operations() -> ModuleType | None:
    """Return the compiled operations; None where Numba is not installed or does not work."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module(".operation", __package__)
    except (ImportError, RuntimeError) as error:  # such as a Numba that is too old for the NumPy beside it
        warnings.warn(f"numba is installed and cannot be used: {error}", RuntimeWarning, stacklevel=2)
        return None


def _plain(tensor: Any) -> bool:
    """Whether it is a tensor in the CPU's memory, of no subclass."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not tensor.is_neg()
    )


def _describe(tensor: Any) -> str:
    return f"{tensor.dtype} on {tensor.device}" if type(tensor) in (Tensor, nn.Parameter) else type(tensor).__name__
