"""The compiled loops of `state_space`: `recurrence` and its gradients, for contiguous arrays of one type.

Numba compiles them on their first call, for float32 or float64, and caches the result on disk. The inner loops run over
the tanh units, so that they become vector instructions.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

# Vector instructions need to reorder sums, which these flags allow; NaN and infinity are still handled.
compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})

# The rational approximation of Eigen: x p(x^2) / q(x^2) is within 3e-7 of tanh, and NaN stays NaN.
END = np.float32(7.905311)
P = tuple(
    np.float32(value)
    for value in (
        *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
        *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
    )
)
Q = tuple(
    np.float32(value)
    for value in (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
)


@compiled
def tanh_float32(x):
    """Return tanh in arithmetic that becomes vector instructions."""
    x = END if x > END else (-END if x < -END else x)
    z = x * x
    p = ((((((P[0] * z + P[1]) * z + P[2]) * z + P[3]) * z + P[4]) * z + P[5]) * z) + P[6]
    q = ((Q[0] * z + Q[1]) * z + Q[2]) * z + Q[3]
    return x * p / q


@compiled
def tanh_float64(x):
    """Return tanh."""
    return math.tanh(x)


@compiled
def forward(tanh, driven, states, activations, recurrent, mixed):
    """Fill `states` (B, T + 1, N) after the first step, and the tanh units `activations` (B, T, H).

    `recurrent` is transposed, (N, N + H), and `tanh` is the function of the type.
    """
    rows, steps, _ = driven.shape
    size, units = mixed.shape
    before = np.empty(units, driven.dtype)
    for b in range(rows):
        for t in range(steps):
            for j in range(units):
                before[j] = driven[b, t, size + j]
            for i in range(size):
                x = states[b, t, i]
                for j in range(units):
                    before[j] += recurrent[i, size + j] * x
            for j in range(units):
                activations[b, t, j] = tanh(before[j])
            for i in range(size):
                total = driven[b, t, i]
                for k in range(size):
                    total += recurrent[k, i] * states[b, t, k]
                for j in range(units):
                    total += mixed[i, j] * activations[b, t, j]
                states[b, t + 1, i] = total


@compiled
def backward(upstream, activations, recurrent, mixed, to_driven, to_state):
    """Fill the gradients of `driven` (B, T, N + H) and of the first state (B, N), which holds zeros.

    `recurrent` is transposed, (N, N + H), and `upstream` (B, T, N) is the gradient of the states after every step.
    """
    rows, steps, size = upstream.shape
    units = mixed.shape[1]
    for b in range(rows):
        for t in range(steps - 1, -1, -1):
            for j in range(units):
                to_driven[b, t, size + j] = 0
            for i in range(size):
                gradient = to_state[b, i] + upstream[b, t, i]
                to_driven[b, t, i] = gradient
                for j in range(units):
                    to_driven[b, t, size + j] += gradient * mixed[i, j]
            for j in range(units):
                to_driven[b, t, size + j] *= 1 - activations[b, t, j] * activations[b, t, j]
            for i in range(size):
                total = recurrent[i, 0] * to_driven[b, t, 0]
                for k in range(1, size + units):
                    total += recurrent[i, k] * to_driven[b, t, k]
                to_state[b, i] = total
