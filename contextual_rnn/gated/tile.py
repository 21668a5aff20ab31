"""The inner loop of a matrix product, for a tile of the result that stays in registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .lanes import Lanes, data_of, fma_of, load_lanes, spread, store_lanes


@intrinsic(prefer_literal=True)
def multiply_tile(
    _: Any, rows: Any, vectors: Any, c: Any, ci: Any, cs: Any, a: Any, ai: Any, ar: Any, ak: Any,
    b: Any, bi: Any, bv: Any, bk: Any, depth: Any, add: Any,
) -> Any:  # fmt: skip
    """Set a tile of C to A B, or add A B to it if `add`; `rows` and `vectors` are literal integers.

    Row i of A is at `ai + i * ar` and its elements are `ak` apart. Row k of B is at `bi + k * bk` and its vectors are
    `bv` apart. Row i of C is at `ci + i * cs` and its vectors are adjacent.
    """
    lanes, across, down = Lanes(c.dtype), range(vectors.literal_value), range(rows.literal_value)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (ci, cs), (ai, ar, ak), (bi, bv, bk), depth, add = args[3:5], args[6:9], args[10:13], args[13], args[14]
        base = {position: data_of(context, builder, sig.args[position], args[position]) for position in (2, 5, 9)}
        intp = context.get_value_type(types.intp)

        def times(number: int, stride: Any) -> Any:
            return builder.mul(ir.Constant(intp, number), stride)

        zero = ir.Constant(context.get_value_type(lanes), None)
        rows_of_c = [builder.gep(base[2], [builder.add(ci, times(i, cs))]) for i in down]
        places = [builder.gep(row, [ir.Constant(intp, j * lanes.count)]) for row in rows_of_c for j in across]
        add = builder.icmp_signed("!=", add, ir.Constant(intp, 0))
        start = [builder.select(add, load_lanes(context, builder, lanes, place), zero) for place in places]
        entry, body, after = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", depth, ir.Constant(intp, 0)), body, after)

        builder.position_at_end(body)
        k = builder.phi(intp)
        k.add_incoming(ir.Constant(intp, 0), entry)
        sums = [builder.phi(zero.type) for _ in places]
        for sum_, value in zip(sums, start, strict=True):
            sum_.add_incoming(value, entry)
        of_b = builder.add(bi, builder.mul(k, bk))
        vectors_of_b = [builder.gep(base[9], [builder.add(of_b, times(j, bv))]) for j in across]
        vectors_of_b = [load_lanes(context, builder, lanes, address) for address in vectors_of_b]
        of_a = builder.add(ai, builder.mul(k, ak))
        found = []
        for i in down:
            scalar = builder.load(builder.gep(base[5], [builder.add(of_a, times(i, ar))]))
            x = spread(context, builder, lanes, scalar)
            found += [fma_of(builder, lanes, x, vectors_of_b[j], sums[i * len(across) + j]) for j in across]
        following = builder.add(k, ir.Constant(intp, 1))
        k.add_incoming(following, body)
        for sum_, value in zip(sums, found, strict=True):
            sum_.add_incoming(value, body)
        builder.cbranch(builder.icmp_signed("<", following, depth), body, after)

        builder.position_at_end(after)
        results = [builder.phi(zero.type) for _ in places]
        for result, before, value in zip(results, start, found, strict=True):
            result.add_incoming(before, entry)
            result.add_incoming(value, body)
        for place, result in zip(places, results, strict=True):
            store_lanes(context, builder, lanes, result, place)
        return context.get_dummy_value()

    intp = types.intp
    return types.none(rows, vectors, c, intp, intp, a, intp, intp, intp, b, intp, intp, intp, intp, intp), generate
