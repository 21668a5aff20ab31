"""Fast weights on a GPU: one kernel launch for the forward pass over a sequence, and one for the backward pass.

A program computes one example. W and the fast weights A, (H, H) each and padded to a power of two, stay in registers;
so does the gradient of A in the backward pass. The backward pass needs A_t at every step: the forward pass stores A at
the start of every STRIDE steps, and the backward pass repeats the writes since then. Dividing by the decay instead
would amplify the rounding error at every step.
"""

from __future__ import annotations

import triton
import triton.language as tl

STRIDE = 16


@triton.jit
def _activate(x, relu: tl.constexpr):
    # max(x, 0) would turn NaN into 0.
    return tl.where(x <= 0, 0.0, x) if relu else 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _through_activation(gradient, y, relu: tl.constexpr):
    return tl.where(y > 0, gradient, 0.0) if relu else gradient * (1 - y * y)


@triton.jit
def _written(fast, v, decay, rate):
    """Return A after a write: decay A + rate v v^T."""
    return decay * fast + rate * v[:, None] * v[None, :]


@triton.jit
def forward(
    projected, weight, fast, gain, offset,
    hidden, queries, normalised, deviation, kept, last,
    steps, rows, decay, rate, epsilon,
    units: tl.constexpr, padded: tl.constexpr, inner: tl.constexpr, stride: tl.constexpr,
    relu: tl.constexpr, final: tl.constexpr, layer_norm: tl.constexpr,
    has_gain: tl.constexpr, has_fast: tl.constexpr, wants_fast: tl.constexpr,
):  # fmt: skip
    """Run a sequence from h_0 and A_0.

    Inputs: projected (T, B, H), weight (H, H), fast (B, H, H), gain and offset (H,), and h_0 in hidden[0].
    Outputs: hidden (T + 1, B, H), queries and normalised (T, S, B, H), deviation (T, S, B),
    kept (ceil(T / stride), B, H, H) and last (B, H, H).
    """
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, padded)
    inside = i < units
    square = i[:, None] * units + i[None, :]
    both = inside[:, None] & inside[None, :]
    size = units * units
    W = tl.load(weight + square, both, other=0.0)
    A = tl.load(fast + row * size + square, both, other=0.0) if has_fast else tl.zeros((padded, padded), tl.float32)
    g = tl.load(gain + i, inside, other=0.0) if has_gain else i.to(tl.float32)
    o = tl.load(offset + i, inside, other=0.0) if has_gain else i.to(tl.float32)
    h = tl.load(hidden + row * units + i, inside, other=0.0)
    for t in range(steps):
        if t % stride == 0:
            tl.store(kept + ((t // stride) * rows + row) * size + square, A, both)
        z = tl.load(projected + (t * rows + row) * units + i, inside, other=0.0) + tl.sum(W * h[None, :], 1)
        q = _activate(z, relu)
        tl.store(queries + (t * inner * rows + row) * units + i, q, inside)
        v = h if final else q
        A = _written(A, v, decay, rate)
        for s in tl.static_range(inner):
            u = z + tl.sum(A * q[None, :], 1)
            place = (t * inner + s) * rows + row
            if layer_norm:
                u = tl.where(inside, u - tl.sum(u, 0) / units, 0.0)
                spread = tl.sqrt(tl.sum(u * u, 0) / units + epsilon)
                u = u / spread
                tl.store(normalised + place * units + i, u, inside)
                tl.store(deviation + place, spread)
                if has_gain:
                    u = u * g + o
            q = _activate(u, relu)
            if s + 1 < inner:
                tl.store(queries + (place + rows) * units + i, q, inside)
        h = q
        tl.store(hidden + ((t + 1) * rows + row) * units + i, h, inside)
    if wants_fast:
        tl.store(last + row * size + square, A, both)


@triton.jit
def backward(
    grad_hidden, grad_last, grad_fast, weight, gain,
    hidden, queries, normalised, deviation, kept,
    grad_z, grad_start, grad_norm, grad_fast_start,
    steps, rows, decay, rate,
    units: tl.constexpr, padded: tl.constexpr, inner: tl.constexpr, stride: tl.constexpr,
    relu: tl.constexpr, final: tl.constexpr, layer_norm: tl.constexpr,
    has_gain: tl.constexpr, has_hidden: tl.constexpr, has_last: tl.constexpr, has_fast: tl.constexpr,
    wants_fast: tl.constexpr,
):  # fmt: skip
    """Run the backward pass over a sequence.

    Inputs: the gradients grad_hidden (T, B, H), grad_last (B, H) and grad_fast (B, H, H) of the results of `forward`.
    Outputs: grad_z (T, B, H), grad_start (B, H), grad_norm (2, B, H) and grad_fast_start (B, H, H).
    """
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, padded)
    inside = i < units
    square = i[:, None] * units + i[None, :]
    both = inside[:, None] & inside[None, :]
    size = units * units
    W = tl.load(weight + square, both, other=0.0)
    G = (
        tl.load(grad_fast + row * size + square, both, other=0.0)
        if has_fast
        else tl.zeros((padded, padded), tl.float32)
    )
    g = tl.load(gain + i, inside, other=0.0) if has_gain else i.to(tl.float32)
    along_gain, along_offset = tl.zeros((padded,), tl.float32), tl.zeros((padded,), tl.float32)
    carried = tl.load(grad_last + row * units + i, inside, other=0.0) if has_last else tl.zeros((padded,), tl.float32)
    for back in range(steps):
        t = steps - 1 - back
        first = t - t % stride
        A = tl.load(kept + ((t // stride) * rows + row) * size + square, both, other=0.0)
        v = carried
        for k in range(first, t + 1):
            then = hidden + (k * rows + row) * units if final else queries + (k * inner * rows + row) * units
            v = tl.load(then + i, inside, other=0.0)
            A = _written(A, v, decay, rate)
        grad_q = carried
        if has_hidden:
            grad_q += tl.load(grad_hidden + (t * rows + row) * units + i, inside, other=0.0)
        of_z = tl.zeros((padded,), tl.float32)
        y = tl.load(hidden + ((t + 1) * rows + row) * units + i, inside, other=0.0)
        for reverse in tl.static_range(inner):
            place = (t * inner + inner - 1 - reverse) * rows + row
            q = tl.load(queries + place * units + i, inside, other=0.0)
            of_u = _through_activation(grad_q, y, relu)
            if layer_norm:
                n = tl.load(normalised + place * units + i, inside, other=0.0)
                if has_gain:
                    along_gain += of_u * n
                    along_offset += of_u
                    of_u = of_u * g
                centred = of_u - tl.sum(of_u, 0) / units - n * (tl.sum(of_u * n, 0) / units)
                of_u = tl.where(inside, centred / tl.load(deviation + place), 0.0)
            of_z += of_u
            G += of_u[:, None] * q[None, :]
            grad_q = tl.sum(A * of_u[:, None], 0)
            y = q
        # y is p now, and v is the vector that this step wrote.
        of_v = rate * (tl.sum(G * v[None, :], 1) + tl.sum(G * v[:, None], 0))
        if not final:
            grad_q += of_v
        of_z += _through_activation(grad_q, y, relu)
        tl.store(grad_z + (t * rows + row) * units + i, of_z, inside)
        carried = tl.sum(W * of_z[:, None], 0)
        if final:
            carried += of_v
        G = G * decay
    tl.store(grad_start + row * units + i, carried, inside)
    if has_gain:
        tl.store(grad_norm + row * units + i, along_gain, inside)
        tl.store(grad_norm + (rows + row) * units + i, along_offset, inside)
    if wants_fast:
        tl.store(grad_fast_start + row * size + square, G, both)
