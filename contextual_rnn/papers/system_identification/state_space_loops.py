"""The compiled loops of `state_space`: `recurrence` and its gradients, for contiguous arrays of one type.

Numba compiles them on their first call, for float32 or float64, and caches the result on disk.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

# Vector instructions need to reorder sums, which these flags allow; NaN and infinity are still handled.
compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})


@compiled
def forward(driven, states, activations, recurrent, mixed):
    """Fill `states` (B, T + 1, N) after the first step, and the tanh units `activations` (B, T, H)."""
    rows, steps, _ = driven.shape
    size, units = mixed.shape
    before = np.empty(units, driven.dtype)
    for b in range(rows):
        for t in range(steps):
            for j in range(units):
                total = driven[b, t, size + j]
                for i in range(size):
                    total += recurrent[size + j, i] * states[b, t, i]
                before[j] = total
            for j in range(units):
                activations[b, t, j] = math.tanh(before[j])
            for i in range(size):
                total = driven[b, t, i]
                for k in range(size):
                    total += recurrent[i, k] * states[b, t, k]
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
            for i in range(size):
                to_driven[b, t, i] = to_state[b, i] + upstream[b, t, i]
            for j in range(units):
                total = to_driven[b, t, 0] * mixed[0, j]
                for i in range(1, size):
                    total += to_driven[b, t, i] * mixed[i, j]
                to_driven[b, t, size + j] = total * (1 - activations[b, t, j] * activations[b, t, j])
            for i in range(size):
                total = recurrent[i, 0] * to_driven[b, t, 0]
                for k in range(1, size + units):
                    total += recurrent[i, k] * to_driven[b, t, k]
                to_state[b, i] = total
