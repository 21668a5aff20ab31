"""The operations of `attention` as compiled loops for the CPU.

The batch comes last in memory, (T, H, B). So every inner loop runs along the batch, which is long and needs no sum
across vector lanes, and the product of a step with W is one BLAS call. Numba compiles the loops on their first call,
for float32 or float64, and caches the result on disk; no C compiler is needed.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import numba_loops as loops
from .attention import Trace, fading
from .recurrence import NO_SECOND_DERIVATIVE, Recurrence


def supports(tensor: Tensor) -> bool:
    """Return whether these kernels run on the device and dtype of a tensor."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)


def empty(like: Tensor, chunk: int, recurrence: Recurrence) -> Trace:
    """Allocate a trace in the memory layout of these kernels."""
    return Trace.empty(like, chunk, recurrence, rows_last=True)


def lay(steps: Tensor) -> Tensor:
    """Return steps (T, B, H) in the memory layout of these kernels, with B last."""
    return steps.transpose(1, 2).contiguous().transpose(1, 2)


def forward(
    projected: Tensor,
    weight_hh: Tensor,
    fast: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    trace: Trace,
    recurrence: Recurrence,
) -> None:
    """Run a chunk; see `attention.forward`."""
    loops.forward(
        _array(projected), _weights(weight_hh), _matrices(fast, projected), fast is not None,
        _vector(gain, projected), _vector(offset, projected), gain is not None,
        *map(_array, vars(trace).values()), *_settings(len(projected), projected.dtype, recurrence), recurrence.epsilon,
    )  # fmt: skip


def backward(
    grad_hidden: Tensor | None,
    grad_last: Tensor | None,
    grad_fast: Tensor | None,
    weight_hh: Tensor,
    fast: Tensor | None,
    gain: Tensor | None,
    trace: Trace,
    recurrence: Recurrence,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Run the backward pass of a chunk; see `attention.backward`."""
    hidden, queries = trace.hidden, trace.queries
    grad_z, grad_u = torch.empty_like(hidden[1:]), torch.empty_like(queries)
    grad_written = torch.zeros_like(hidden[1:])
    settings = _settings(len(queries), hidden.dtype, recurrence)
    if grad_fast is not None:
        loops.written_backward(
            _matrices(grad_fast, hidden), _array(trace.written(recurrence)), settings[0], _array(grad_written)
        )
    carried = torch.zeros_like(hidden[0]) if grad_last is None else torch.empty_like(hidden[0]).copy_(grad_last)
    grad_weight, grad_norm = torch.zeros_like(weight_hh), hidden.new_zeros(2, hidden.shape[2])
    loops.backward(
        _array(hidden[:0] if grad_hidden is None else grad_hidden), grad_hidden is not None, _array(carried),
        weight_hh.T.contiguous().numpy(), _matrices(fast, hidden), fast is not None,
        _vector(gain, hidden), gain is not None, *map(_array, vars(trace).values()),
        _array(grad_z), _array(grad_u), _array(grad_written), grad_weight.numpy(), grad_norm.numpy(),
        *settings,
    )  # fmt: skip
    return grad_z, carried, grad_u, grad_weight, *((None, None) if gain is None else grad_norm)


def write(fast: Tensor | None, trace: Trace, recurrence: Recurrence) -> Tensor:
    """Return A after a chunk; see `attention.write`. The batch comes last in memory."""
    written = trace.written(recurrence)
    steps, rows, units = written.shape
    after = written.new_empty(units, units, rows)
    left, decays, *_ = _settings(steps, written.dtype, recurrence)
    loops.write(_matrices(fast, written), fast is not None, _array(written), left, decays, after.numpy())
    return after.permute(2, 0, 1)


def write_backward(grad_fast: Tensor | None, grad_u: Tensor, trace: Trace, recurrence: Recurrence) -> Tensor:
    """Return the gradient of A before a chunk; see `attention.write_backward`."""
    steps, _, rows, units = grad_u.shape
    before = grad_u.new_empty(units, units, rows)
    _, decays, *_ = _settings(steps, grad_u.dtype, recurrence)
    loops.write_backward(
        _matrices(grad_fast, grad_u),
        grad_fast is not None,
        _array(grad_u),
        _array(trace.queries),
        decays,
        before.numpy(),
    )
    return before.permute(2, 0, 1)


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, symbols: Tensor) -> Tensor:
        rows, steps = symbols.shape
        least, most = (int(end) for end in torch.aminmax(symbols)) if symbols.numel() else (0, 0)
        if not 0 <= least <= most < len(table):
            raise IndexError(f"symbols must be from 0 to {len(table) - 1}; found {least} to {most}")
        ctx.symbols, ctx.shape = symbols.T.contiguous(), table.shape
        found = table.new_empty(steps, table.shape[1], rows)
        loops.look_up(table.T.contiguous().numpy(), ctx.symbols.numpy(), found.numpy())
        return found.permute(2, 0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():
            raise RuntimeError(NO_SECOND_DERIVATIVE)
        grad_table = grad.new_zeros(ctx.shape[1], ctx.shape[0])
        loops.look_up_backward(grad.permute(1, 2, 0).contiguous().numpy(), ctx.symbols.numpy(), grad_table.numpy())
        return grad_table.T, None


def look_up(table: Tensor, symbols: Tensor) -> Tensor:
    """Return the rows of a table (K, H) for symbols (B, T), (B, T, H), in the memory layout of these kernels.

    Raises:
        IndexError: a symbol is not a row of the table.
    """
    return _LookUp.apply(table, symbols)


def _array(rows: Tensor) -> np.ndarray:
    return rows.transpose(-1, -2).numpy()


def _vector(tensor: Tensor | None, like: Tensor) -> np.ndarray:
    return _empty_array(1, like.dtype) if tensor is None else _weights(tensor)


def _matrices(fast: Tensor | None, like: Tensor) -> np.ndarray:
    return _empty_array(3, like.dtype) if fast is None else fast.permute(1, 2, 0).contiguous().numpy()


def _weights(parameter: Tensor) -> np.ndarray:
    """Return a copy, since the memory of a tensor that has been an array cannot be freed, as FSDP frees it."""
    return parameter.clone(memory_format=torch.contiguous_format).numpy()


@functools.cache
def _empty_array(dimensions: int, dtype: torch.dtype) -> np.ndarray:
    return torch.empty([0] * dimensions, dtype=dtype).numpy()


@functools.lru_cache
def _settings(steps: int, dtype: torch.dtype, recurrence: Recurrence) -> tuple:
    decays = torch.tensor([recurrence.decay ** (t + 1) for t in range(steps)], dtype=dtype).numpy()
    left = fading(steps, torch.empty(0, dtype=dtype), recurrence).numpy()
    return left, decays, recurrence.activation == "relu", recurrence.write == "final", recurrence.layer_norm
