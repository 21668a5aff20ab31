"""The operations of `attention` as compiled loops for a CPU.

In memory the batch comes last, (T, H, B): every loop then runs along the batch, which is long and needs no sum across
vector lanes, and a step's product with W is one call of BLAS. Numba compiles the loops when they are first called, for
float32 and for float64, and keeps what it compiled in a cache; no compiler need be installed.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from .attention import Trace, fading
from .recurrence import Recurrence

# Sums may be reordered, which is what vector instructions need; NaN and infinity keep their meaning.
_compiled: Any = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)


def supports(tensor: Tensor) -> bool:
    """Whether these kernels run on such a tensor."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)


def empty(like: Tensor, chunk: int, recurrence: Recurrence) -> Trace:
    """Return a trace to fill in, laid out as these kernels want it."""
    return Trace.empty(like, chunk, recurrence, rows_last=True)


def lay(steps: Tensor) -> Tensor:
    """Return (T, B, H), with B last in memory."""
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
    _forward(
        _array(projected), weight_hh.contiguous().numpy(), _matrices(fast, projected), fast is not None,
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
    """Go back over a chunk; see `attention.backward`."""
    hidden, queries = trace.hidden, trace.queries
    grad_z, grad_u = torch.empty_like(hidden[1:]), torch.empty_like(queries)
    grad_written = torch.zeros_like(hidden[1:])
    settings = _settings(len(queries), hidden.dtype, recurrence)
    if grad_fast is not None:
        _written_backward(
            _matrices(grad_fast, hidden), _array(trace.written(recurrence)), settings[0], _array(grad_written)
        )
    carried = torch.zeros_like(hidden[0]) if grad_last is None else torch.empty_like(hidden[0]).copy_(grad_last)
    grad_weight, grad_norm = torch.zeros_like(weight_hh), hidden.new_zeros(2, hidden.shape[2])
    _backward(
        _array(hidden[:0] if grad_hidden is None else grad_hidden), grad_hidden is not None, _array(carried),
        weight_hh.T.contiguous().numpy(), _matrices(fast, hidden), fast is not None,
        _vector(gain, hidden), gain is not None, *map(_array, vars(trace).values()),
        _array(grad_z), _array(grad_u), _array(grad_written), grad_weight.numpy(), grad_norm.numpy(),
        *settings,
    )  # fmt: skip
    return grad_z, carried, grad_u, grad_weight, *((None, None) if gain is None else grad_norm)


def write(fast: Tensor | None, trace: Trace, recurrence: Recurrence) -> Tensor:
    """Return A after a chunk; see `attention.write`. In memory its rows of the batch come last."""
    written = trace.written(recurrence)
    steps, rows, units = written.shape
    after = written.new_empty(units, units, rows)
    left, decays, *_ = _settings(steps, written.dtype, recurrence)
    _write(_matrices(fast, written), fast is not None, _array(written), left, decays, after.numpy())
    return after.permute(2, 0, 1)


def write_backward(grad_fast: Tensor | None, grad_u: Tensor, trace: Trace, recurrence: Recurrence) -> Tensor:
    """Return the gradient of A before a chunk; see `attention.write_backward`."""
    steps, _, rows, units = grad_u.shape
    before = grad_u.new_empty(units, units, rows)
    _, decays, *_ = _settings(steps, grad_u.dtype, recurrence)
    _write_backward(
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
            raise IndexError(f"symbols must lie in 0 to {len(table) - 1}; found {least} to {most}")
        ctx.symbols, ctx.shape = symbols.T.contiguous(), table.shape
        found = table.new_empty(steps, table.shape[1], rows)
        _look_up(table.T.contiguous().numpy(), ctx.symbols.numpy(), found.numpy())
        return found.permute(2, 0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad_table = grad.new_zeros(ctx.shape[1], ctx.shape[0])
        _look_up_backward(grad.permute(1, 2, 0).contiguous().numpy(), ctx.symbols.numpy(), grad_table.numpy())
        return grad_table.T, None


def look_up(table: Tensor, symbols: Tensor) -> Tensor:
    """Return the rows of a table (K, H) for symbols (B, T), laid out as these kernels want them: (B, T, H).

    Raises:
        IndexError: a symbol is not in the table.
    """
    return _LookUp.apply(table, symbols)


def _array(rows: Tensor) -> np.ndarray:
    return rows.transpose(-1, -2).numpy()


def _vector(tensor: Tensor | None, like: Tensor) -> np.ndarray:
    return _nothing(1, like.dtype) if tensor is None else tensor.contiguous().numpy()


def _matrices(fast: Tensor | None, like: Tensor) -> np.ndarray:
    return _nothing(3, like.dtype) if fast is None else fast.permute(1, 2, 0).contiguous().numpy()


@functools.cache
def _nothing(dimensions: int, dtype: torch.dtype) -> np.ndarray:
    return torch.empty([0] * dimensions, dtype=dtype).numpy()


@functools.lru_cache
def _settings(steps: int, dtype: torch.dtype, recurrence: Recurrence) -> tuple:
    decays = torch.tensor([recurrence.decay ** (t + 1) for t in range(steps)], dtype=dtype).numpy()
    left = fading(steps, torch.empty(0, dtype=dtype), recurrence).numpy()
    return left, decays, recurrence.activation == "relu", recurrence.write == "final", recurrence.layer_norm


@_compiled
def _activate(x, relu, zero):
    if relu:
        return zero if x <= zero else x  # not max(x, 0), which makes 0 of NaN
    return np.tanh(x)


@_compiled
def _through_activation(gradient, y, relu, zero):
    if relu:
        return gradient if y > zero else zero
    return gradient - gradient * y * y


@_compiled
def _add(total, a):
    units, rows = a.shape
    for j in range(units):
        for r in range(rows):
            total[j, r] += a[j, r]


@_compiled
def _add_products(total, a, b):
    """total[r] += sum_j a[j, r] b[j, r], eight j at a time so that the sum is written an eighth as often."""
    units, rows = a.shape
    whole = units - units % 8
    for j in range(0, whole, 8):
        for r in range(rows):
            total[r] += (
                a[j, r] * b[j, r]
                + a[j + 1, r] * b[j + 1, r]
                + a[j + 2, r] * b[j + 2, r]
                + a[j + 3, r] * b[j + 3, r]
                + a[j + 4, r] * b[j + 4, r]
                + a[j + 5, r] * b[j + 5, r]
                + a[j + 6, r] * b[j + 6, r]
                + a[j + 7, r] * b[j + 7, r]
            )
    for j in range(whole, units):
        for r in range(rows):
            total[r] += a[j, r] * b[j, r]


@_compiled
def _add_transposed(total, matrices, x, factor):
    """total[j, b] += factor sum_i matrices[i, j, b] x[i, b], four i at a time."""
    units, rows = x.shape
    whole = units - units % 4
    for i in range(0, whole, 4):
        for j in range(units):
            for r in range(rows):
                total[j, r] += factor * (
                    matrices[i, j, r] * x[i, r]
                    + matrices[i + 1, j, r] * x[i + 1, r]
                    + matrices[i + 2, j, r] * x[i + 2, r]
                    + matrices[i + 3, j, r] * x[i + 3, r]
                )
    for i in range(whole, units):
        for j in range(units):
            for r in range(rows):
                total[j, r] += factor * matrices[i, j, r] * x[i, r]


@_compiled
def _forward(
    projected, weight, fast, has_fast, gain, offset, has_gain,
    hidden, queries, normalised, deviation, scores, left, decays, relu, final, layer_norm, epsilon,
):  # fmt: skip
    steps, inner, units, rows = queries.shape
    # Constants of the arrays' own type: with Python's, float32 would become float64 inside the loops.
    zero, one, count = hidden.dtype.type(0), hidden.dtype.type(1), hidden.dtype.type(units)
    small = hidden.dtype.type(epsilon)
    z, u = np.empty((units, rows), hidden.dtype), np.empty((units, rows), hidden.dtype)
    total, other = np.empty(rows, hidden.dtype), np.empty(rows, hidden.dtype)
    for t in range(steps):
        np.dot(weight, hidden[t], z)
        for j in range(units):
            for r in range(rows):
                z[j, r] += projected[t, j, r]
                queries[t, 0, j, r] = _activate(z[j, r], relu, zero)
        for s in range(inner):
            q = queries[t, s]
            u[:] = z
            if has_fast:
                for j in range(units):
                    total[:] = zero
                    _add_products(total, fast[j], q)
                    for r in range(rows):
                        u[j, r] += decays[t] * total[r]
            for i in range(t + 1):
                v = hidden[i] if final else queries[i, 0]
                score = scores[t, s, i]
                score[:] = zero
                _add_products(score, v, q)
                for r in range(rows):
                    total[r] = left[steps - 1 - t + i] * score[r]
                for j in range(units):
                    for r in range(rows):
                        u[j, r] += total[r] * v[j, r]
            following = hidden[t + 1] if s + 1 == inner else queries[t, s + 1]
            if layer_norm:
                total[:] = zero
                for j in range(units):
                    for r in range(rows):
                        total[r] += u[j, r]
                for r in range(rows):
                    total[r] /= count
                other[:] = zero
                for j in range(units):
                    for r in range(rows):
                        u[j, r] -= total[r]
                        other[r] += u[j, r] * u[j, r]
                for r in range(rows):
                    deviation[t, s, 0, r] = np.sqrt(other[r] / count + small)
                    other[r] = one / deviation[t, s, 0, r]
                for j in range(units):
                    scale = gain[j] if has_gain else one
                    shift = offset[j] if has_gain else zero
                    for r in range(rows):
                        x = u[j, r] * other[r]
                        normalised[t, s, j, r] = x
                        following[j, r] = _activate(x * scale + shift, relu, zero)
            else:
                for j in range(units):
                    for r in range(rows):
                        following[j, r] = _activate(u[j, r], relu, zero)


@_compiled
def _through_gain(g, normalised, gain, grad_norm):
    units, rows = g.shape
    for j in range(units):
        along, sum_ = g.dtype.type(0), g.dtype.type(0)
        for r in range(rows):
            along += g[j, r] * normalised[j, r]
            sum_ += g[j, r]
        grad_norm[0, j] += along
        grad_norm[1, j] += sum_
        for r in range(rows):
            g[j, r] *= gain[j]


@_compiled
def _through_norm(g, normalised, deviation, mean, along):
    units, rows = g.shape
    zero, count = g.dtype.type(0), g.dtype.type(units)
    mean[:] = zero
    for j in range(units):
        for r in range(rows):
            mean[r] += g[j, r]
    along[:] = zero
    _add_products(along, g, normalised)
    for r in range(rows):
        mean[r] /= count
        along[r] /= count
    for j in range(units):
        for r in range(rows):
            g[j, r] = (g[j, r] - mean[r] - normalised[j, r] * along[r]) / deviation[r]


@_compiled
def _backward(
    grads, has_grads, carried, weight_t, fast, has_fast, gain, has_gain,
    hidden, queries, normalised, deviation, scores,
    grad_z, grad_u, grad_written, grad_weight, grad_norm, left, decays, relu, final, layer_norm,
):  # fmt: skip
    steps, inner, units, rows = queries.shape
    zero = hidden.dtype.type(0)
    grad_q, product = np.empty((units, rows), hidden.dtype), np.empty((units, units), hidden.dtype)
    total, other = np.empty(rows, hidden.dtype), np.empty(rows, hidden.dtype)
    for t in range(steps - 1, -1, -1):
        for j in range(units):
            for r in range(rows):
                grad_q[j, r] = carried[j, r]
                grad_z[t, j, r] = zero
        if has_grads:
            _add(grad_q, grads[t])
        for s in range(inner - 1, -1, -1):
            q, g = queries[t, s], grad_u[t, s]
            following = hidden[t + 1] if s + 1 == inner else queries[t, s + 1]
            for j in range(units):
                for r in range(rows):
                    g[j, r] = _through_activation(grad_q[j, r], following[j, r], relu, zero)
                    grad_q[j, r] = zero
            if layer_norm:
                if has_gain:
                    _through_gain(g, normalised[t, s], gain, grad_norm)
                _through_norm(g, normalised[t, s], deviation[t, s, 0], total, other)
            _add(grad_z[t], g)
            if has_fast:
                _add_transposed(grad_q, fast, g, decays[t])
            for i in range(t + 1):
                v, w = hidden[i] if final else queries[i, 0], grad_written[i]
                total[:] = zero
                _add_products(total, v, g)
                for r in range(rows):
                    total[r] *= left[steps - 1 - t + i]
                    other[r] = left[steps - 1 - t + i] * scores[t, s, i, r]
                for j in range(units):
                    for r in range(rows):
                        grad_q[j, r] += total[r] * v[j, r]
                    for r in range(rows):
                        w[j, r] += other[r] * g[j, r] + total[r] * q[j, r]
        if not final:
            _add(grad_q, grad_written[t])
        for j in range(units):
            for r in range(rows):
                grad_z[t, j, r] += _through_activation(grad_q[j, r], queries[t, 0, j, r], relu, zero)
        np.dot(weight_t, grad_z[t], carried)
        if final:
            _add(carried, grad_written[t])
        np.dot(grad_z[t], hidden[t].T, product)
        _add(grad_weight, product)


@_compiled
def _by_unit(steps_first):
    """Turn (steps, units, rows) to (units, steps, rows), so that a unit's course in time is one block."""
    steps, units, rows = steps_first.shape
    turned = np.empty((units, steps, rows), steps_first.dtype)
    for t in range(steps):
        for j in range(units):
            for r in range(rows):
                turned[j, t, r] = steps_first[t, j, r]
    return turned


@_compiled
def _write(fast, has_fast, written, left, decays, after):
    steps, units, rows = written.shape
    zero = after.dtype.type(0)
    v, faded = _by_unit(written), np.empty((steps, rows), written.dtype)
    for i in range(units):
        for t in range(steps):
            for r in range(rows):
                faded[t, r] = left[t] * v[i, t, r]
        for j in range(i + 1):
            total = after[i, j]
            total[:] = zero
            _add_products(total, faded, v[j])
            if i != j:
                for r in range(rows):
                    after[j, i, r] = total[r]
    if has_fast:
        for i in range(units):
            for j in range(units):
                for r in range(rows):
                    after[i, j, r] += decays[steps - 1] * fast[i, j, r]


@_compiled
def _write_backward(grad_fast, has_grad, grad_u, queries, decays, before):
    steps, inner, units, rows = queries.shape
    zero = before.dtype.type(0)
    g = _by_unit(grad_u.reshape(steps * inner, units, rows))
    q = _by_unit(queries.reshape(steps * inner, units, rows))
    for i in range(units):
        for t in range(steps * inner):
            for r in range(rows):
                g[i, t, r] *= decays[t // inner]
        for j in range(units):
            total = before[i, j]
            for r in range(rows):
                total[r] = decays[steps - 1] * grad_fast[i, j, r] if has_grad else zero
            _add_products(total, g[i], q[j])


@_compiled
def _written_backward(grad_fast, written, left, grad_written):
    steps, units, rows = written.shape
    both, total = np.empty((units, rows), written.dtype), np.empty(rows, written.dtype)
    for i in range(units):
        for j in range(units):
            for r in range(rows):
                both[j, r] = grad_fast[i, j, r] + grad_fast[j, i, r]
        for t in range(steps):
            total[:] = 0
            _add_products(total, both, written[t])
            for r in range(rows):
                grad_written[t, i, r] = left[t] * total[r]


@_compiled
def _look_up(table, symbols, found):
    steps, units, rows = found.shape
    for t in range(steps):
        for j in range(units):
            for r in range(rows):
                found[t, j, r] = table[j, symbols[t, r]]


@_compiled
def _look_up_backward(grad, symbols, grad_table):
    steps, _, rows = grad.shape
    zero, one = grad.dtype.type(0), grad.dtype.type(1)
    chosen = np.zeros((rows, grad_table.shape[1]), grad.dtype)
    product = np.empty_like(grad_table)
    for t in range(steps):
        for r in range(rows):
            chosen[r, symbols[t, r]] = one
        np.dot(grad[t], chosen, product)
        _add(grad_table, product)
        for r in range(rows):
            chosen[r, symbols[t, r]] = zero
