"""Matrix products of the compiled loops, in tiles of registers: no BLAS, hence no threads of its own."""

from __future__ import annotations

from typing import Any

import numba

from .lanes import lane_count, load, multiply_tile, store

# No fast-math flags: NaN, infinity and the rounding trick of `split_power` keep their meaning.
compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def multiply(c, ci, cs, a, ai, ar, ak, b, bi, bv, bk, rows, vectors, depth, add):
    """Set C (rows, vectors * lanes) to A B, or add A B to it where `add`; see `multiply_tile` for the layout."""
    lanes = lane_count(c)
    v = 0
    while v < vectors:
        left = vectors - v
        at_c, at_b = ci + v * lanes, bi + v * bv
        whole = rows - rows % 4
        if left == 3 or left > 4:
            for i in range(0, whole, 4):
                multiply_tile(4, 3, c, at_c + i * cs, cs, a, ai + i * ar, ar, ak, b, at_b, bv, bk, depth, add)
            for i in range(whole, rows):
                multiply_tile(1, 3, c, at_c + i * cs, cs, a, ai + i * ar, ar, ak, b, at_b, bv, bk, depth, add)
            v += 3
        elif left >= 2:
            for i in range(0, whole, 4):
                multiply_tile(4, 2, c, at_c + i * cs, cs, a, ai + i * ar, ar, ak, b, at_b, bv, bk, depth, add)
            for i in range(whole, rows):
                multiply_tile(1, 2, c, at_c + i * cs, cs, a, ai + i * ar, ar, ak, b, at_b, bv, bk, depth, add)
            v += 2
        else:
            for i in range(0, whole, 4):
                multiply_tile(4, 1, c, at_c + i * cs, cs, a, ai + i * ar, ar, ak, b, at_b, bv, bk, depth, add)
            for i in range(whole, rows):
                multiply_tile(1, 1, c, at_c + i * cs, cs, a, ai + i * ar, ar, ak, b, at_b, bv, bk, depth, add)
            v += 1


@compiled
def copy(target, to, source, start, count):
    """Copy `count` elements."""
    lanes = lane_count(target)
    whole = count - count % lanes
    for j in range(0, whole, lanes):
        store(target, to + j, load(source, start + j))
    for j in range(whole, count):
        target[to + j] = source[start + j]
