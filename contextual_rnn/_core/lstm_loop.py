"""The gates of an LSTM as one compiled loop, for `stepping`: float32 on the CPU, without gradients.

    c <- sigmoid(f) c + sigmoid(i) tanh(g),  h <- sigmoid(o) tanh(c),  sigmoid(x) = (1 + tanh(x / 2)) / 2

On [-8, 8], tanh x is approximated by x P(x^2) / Q(x^2). Outside, the value at the end of the interval is used. There,
1 - tanh 8 is 2.3e-7, so that no sigmoid is less than 1.1e-7. P has degree 4 and Q degree 3. They were fitted for the
least relative error, 2.2e-7; float32 rounding raises it to 5e-7. Quotients share one denominator because divisions
take most of the time.
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
    """Return the numerator and the denominator of tanh x; NaN stays NaN."""
    x = END if x > END else x
    x = -END if x < -END else x
    u = x * x
    return x * (P[0] + u * (P[1] + u * (P[2] + u * (P[3] + u * P[4])))), Q[0] + u * (Q[1] + u * (Q[2] + u * Q[3]))


@compiled
def lstm_step(gates, c, h):
    """Take one step, in place.

    Args:
        gates: (4 H, B), half the arguments of i, f and o, then the argument of g.
        c: (H, B), overwritten.
        h: (H, B), overwritten.
    """
    units, rows = c.shape
    for j in range(units):
        half_i, half_f, half_o, g = gates[j], gates[units + j], gates[2 * units + j], gates[3 * units + j]
        c_row, h_row = c[j], h[j]
        for r in range(rows):
            i, below_i = _tanh(half_i[r])
            f, below_f = _tanh(half_f[r])
            o, below_o = _tanh(half_o[r])
            new, below_new = _tanh(g[r])
            below = below_i * below_new
            value = HALF * (c_row[r] * (f + below_f) * below + (i + below_i) * new * below_f) / (below_f * below)
            c_row[r] = value
            cell, below_cell = _tanh(value)
            h_row[r] = HALF * (o + below_o) * cell / (below_o * below_cell)
