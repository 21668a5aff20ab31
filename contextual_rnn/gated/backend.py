"""Determine whether the compiled loops can run, and whether they are faster than PyTorch."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

Backend = Literal["auto", "torch", "compiled"]
BACKENDS: tuple[str, ...] = get_args(Backend)
THREADED = 2**19  # B x H x H above which PyTorch's products are assumed to be faster if it has several threads


def obstacle(module: nn.RNNBase) -> str | None:
    """Return the reason why the compiled loops cannot run a module in the present mode; None if they can."""
    if torch.jit.is_tracing() or torch.jit.is_scripting() or torch.compiler.is_compiling():
        return "does not run in code that PyTorch exports, traces or compiles"
    if module.proj_size:
        return "does not support projections (proj_size)"
    if operations() is None:
        return "needs numba: run pip install 'contextual-rnn[fast]'"
    if torch.is_autocast_enabled("cpu"):
        return "does not run under autocast"
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "does not run under torch.func or forward-mode derivatives"
    if torch._C._len_torch_dispatch_stack():
        return "does not run under a TorchDispatchMode"
    return None


def unsuitable(tensors: Sequence[Tensor]) -> str | None:
    """Return the reason why the compiled loops cannot run on weights, inputs and states; None if they can."""
    kinds = {_kind(tensor) for tensor in tensors}
    if len(kinds) == 1 and kinds <= {"torch.float32 on cpu", "torch.float64 on cpu"}:
        return None
    return f"needs plain tensors on the CPU, all float32 or all float64; found {', '.join(sorted(kinds))}"


def _kind(tensor: Tensor) -> str:
    if type(tensor) not in (Tensor, nn.Parameter):
        return type(tensor).__name__
    if tensor.layout is not torch.strided or tensor.is_neg():
        return f"a tensor of layout {tensor.layout}"
    return f"{tensor.dtype} on {tensor.device.type}"


def faster(mode: str, total: int, steps: int, hidden: int, varying: bool) -> bool:
    """Return whether the compiled loops are faster than PyTorch; docs/results/gated.md has the measurements.

    Args:
        mode: `nn.RNNBase.mode`.
        total: the number of rows of all steps.
        steps: T.
        hidden: H.
        varying: whether the number of rows differs between steps, for which PyTorch has no fused LSTM.
    """
    if torch.get_num_threads() > 1 and total // steps * hidden**2 > THREADED:
        return False
    if mode == "LSTM" and not varying:
        return hidden <= 256 and total >= 4 * hidden and total * hidden >= 2**14
    if mode.startswith("RNN"):
        return steps >= 24 or (steps >= 8 and total * hidden >= 2**16)
    return steps >= 8


@functools.cache
def operations() -> ModuleType | None:
    """Return the module of the compiled operations; None if Numba is not installed or does not work."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module(".operation", __package__)
    except (ImportError, RuntimeError) as error:  # such as a Numba that is too old for the installed NumPy
        warnings.warn(f"numba is installed but cannot be used: {error}", RuntimeWarning, stacklevel=2)
        return None
