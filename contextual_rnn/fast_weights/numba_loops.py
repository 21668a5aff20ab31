"""The compiled loops of `numba_kernels`, over arrays whose last dimension is the batch.

The shapes are those of `attention` with B moved to the end: hidden (T + 1, H, B), queries (T, S, H, B), scores
(T, S, chunk, B), matrices (H, H, B).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# Vector instructions need to reorder sums, which these flags allow; NaN and infinity are still handled.
compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})


@compiled
def _activate(x, relu, zero):
    if relu:
        return zero if x <= zero else x  # max(x, 0) would turn NaN into 0
    return np.tanh(x)


@compiled
def _through_activation(gradient, y, relu, zero):
    if relu:
        return gradient if y > zero else zero
    return gradient - gradient * y * y


@compiled
def _add(total, a):
    units, rows = a.shape
    for j in range(units):
        for r in range(rows):
            total[j, r] += a[j, r]


@compiled
def _add_products(total, a, b):
    """Add sum_j a[j, r] b[j, r] to total[r], eight j at a time to store the sum less often."""
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


@compiled
def _add_transposed(total, matrices, x, factor):
    """Add factor sum_i matrices[i, j, r] x[i, r] to total[j, r], four i at a time."""
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


@compiled
def forward(
    projected, weight, fast, has_fast, gain, offset, has_gain,
    hidden, queries, normalised, deviation, scores, left, decays, relu, final, layer_norm, epsilon,
):  # fmt: skip
    """Write the trace of a chunk; see `attention.forward`."""
    steps, inner, units, rows = queries.shape
    # These constants have the arrays' dtype: Python floats would turn float32 into float64 inside the loops.
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


@compiled
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


@compiled
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


@compiled
def backward(
    grads, has_grads, carried, weight_t, fast, has_fast, gain, has_gain,
    hidden, queries, normalised, deviation, scores,
    grad_z, grad_u, grad_written, grad_weight, grad_norm, left, decays, relu, final, layer_norm,
):  # fmt: skip
    """Run the backward pass of a chunk; see `attention.backward`."""
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


@compiled
def _by_unit(steps_first):
    """Return a copy with the axes (units, steps, rows), in which all steps of a unit are contiguous."""
    steps, units, rows = steps_first.shape
    copy = np.empty((units, steps, rows), steps_first.dtype)
    for t in range(steps):
        for j in range(units):
            for r in range(rows):
                copy[j, t, r] = steps_first[t, j, r]
    return copy


@compiled
def write(fast, has_fast, written, left, decays, after):
    """Write A after a chunk; see `attention.write`."""
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


@compiled
def write_backward(grad_fast, has_grad, grad_u, queries, decays, before):
    """Write the gradient of A before a chunk; see `attention.write_backward`."""
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


@compiled
def written_backward(grad_fast, written, left, grad_written):
    """Write the gradient of v_i through A after the chunk: rate decay^(T-i) (G + G^T) v_i."""
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


@compiled
def look_up(table, symbols, found):
    """Write the columns of a table (H, K) for symbols (T, B) to found (T, H, B)."""
    steps, units, rows = found.shape
    for t in range(steps):
        for j in range(units):
            for r in range(rows):
                found[t, j, r] = table[j, symbols[t, r]]


@compiled
def look_up_backward(grad, symbols, grad_table):
    """Add the gradient of the table (H, K): a product with the symbols as one-hot rows."""
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
