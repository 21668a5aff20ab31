"""Matrix products of the compiled loops, in tiles of registers, without BLAS and its threads."""

from __future__ import annotations

from .lanes import lane_count, load, store
from .leaf import leaf
from .tile import multiply_tile


@leaf("c a b")
def multiply(c, ci, cs, a, ai, ar, ak, b, bi, bv, bk, rows, vectors, depth, add):
    """Set C (rows, vectors * lanes) to A B, or add A B to it if `add`; see `multiply_tile` for the layout."""
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


@leaf("target source")
def copy(target, to, target_stride, source, start, source_stride, rows, count):
    """Copy `count` elements of each row."""
    lanes = lane_count(target)
    whole = count - count % lanes
    for row in range(rows):
        t, s = to + row * target_stride, start + row * source_stride
        for j in range(0, whole, lanes):
            store(target, t + j, load(source, s + j))
        for j in range(whole, count):
            target[t + j] = source[s + j]


@leaf("target source")
def add(target, to, target_stride, source, start, stride, rows, count):
    """Add `count` elements of each row."""
    lanes = lane_count(target)
    whole = count - count % lanes
    for row in range(rows):
        t, s = to + row * target_stride, start + row * stride
        for j in range(0, whole, lanes):
            store(target, t + j, load(target, t + j) + load(source, s + j))
        for j in range(whole, count):
            target[t + j] += source[s + j]


@leaf("target")
def fill(target, to, stride, rows, begin, end, value):
    """Set the elements `begin` to `end` of each row to a number."""
    for row in range(rows):
        for j in range(begin, end):
            target[to + row * stride + j] = value


@leaf("target source")
def take(target, to, target_stride, source, start, source_stride, rows, count):
    """Write 1 and `count` elements to each row, followed by zeros up to a multiple of four."""
    for row in range(rows):
        t, s = to + row * target_stride, start + row * source_stride
        target[t] = 1
        for j in range(count):
            target[t + 1 + j] = source[s + j]
        for j in range(1 + count, (count + 4) // 4 * 4):
            target[t + j] = 0
