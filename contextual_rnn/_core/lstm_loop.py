"""What an LSTM does to its gates, as one compiled loop: for `stepping`, float32 on the CPU, without gradients.

    c <- sigmoid(f) c + sigmoid(i) tanh(g),  h <- sigmoid(o) tanh(c),  sigmoid(x) = (1 + tanh(x / 2)) / 2

tanh x is x P(x^2) / Q(x^2) on [-8, 8], where 1 - tanh 8 is 2.3e-7, and its ends' value beyond, so that no sigmoid is
under 1.1e-7. P and Q have degrees 4 and 3 and were fitted for the least relative error: 2.2e-7, and 5e-7 as float32
rounds. Quotients are brought to one denominator, since divisions are what costs most.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

P = tuple(
    map(
        np.float32,
        (0.999999785349548, 0.12712347931603338, 2.6964452193449866e-3, 7.162736185734877e-6, -6.142650682524137e-9),
    )
)
Q = tuple(map(np.float32, (1.0, 0.4604550961842554, 0.022850457756398882, 1.9674952202384643e-4)))
END, HALF = np.float32(8), np.float32(0.5)

compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


@compiled
def _tanh(x):
    """Return numerator and denominator of tanh x; NaN stays NaN."""
    x = END if x > END else x
    x = -END if x < -END else x
    u = x * x
    return x * (P[0] + u * (P[1] + u * (P[2] + u * (P[3] + u * P[4])))), Q[0] + u * (Q[1] + u * (Q[2] + u * Q[3]))


@compiled
def lstm_step(gates, c, h):
    """Write c and h, (H, B) both, of the gates (4 H, B): half of i, f and o, then g."""
    units, rows = c.shape
    for j in range(units):
        half_i, half_f, half_o, g = gates[j], gates[units + j], gates[2 * units + j], gates[3 * units + j]
        of_c, of_h = c[j], h[j]
        for r in range(rows):
            i, below_i = _tanh(half_i[r])
            f, below_f = _tanh(half_f[r])
            o, below_o = _tanh(half_o[r])
            new, below_new = _tanh(g[r])
            below = below_i * below_new
            value = HALF * (of_c[r] * (f + below_f) * below + (i + below_i) * new * below_f) / (below_f * below)
            of_c[r] = value
            cell, below_cell = _tanh(value)
            of_h[r] = HALF * (o + below_o) * cell / (below_o * below_cell)
