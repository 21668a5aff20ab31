"""A vector register as a Numba type: `Lanes` of float32 or float64 that compiled loops load, compute with and store.

LLVM does not vectorise these loops by itself: they read and write more arrays than it is willing to check for overlap.
With vectors in the language of the loops, every operation on `Lanes` is one vector instruction. `multiply_tile` is the
inner loop of a matrix product, whose result stays in registers.

Arrays are one-dimensional and contiguous; an index is a position of an element. Indices are not checked.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model


def _register_bytes() -> int:
    """Return the bytes of a vector register that the loops use: 64 with AVX-512, 32 elsewhere."""
    if config.CPU_NAME or config.CPU_FEATURES:  # set by NUMBA_CPU_NAME, NUMBA_CPU_FEATURES
        return 64 if "+avx512f" in (config.CPU_FEATURES or "") else 32
    return 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32


REGISTER_BYTES = _register_bytes()
ROUNDING = {32: 1.5 * 2.0**23, 64: 1.5 * 2.0**52}  # adding it leaves an integer in the lowest bits of the sum
MANTISSA = {32: 23, 64: 52}


class Lanes(types.Type):
    """The elements of one vector register."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.count = REGISTER_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype}, {self.count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _load(context: Any, builder: Any, lanes: Lanes, address: Any) -> Any:
    address = builder.bitcast(address, context.get_value_type(lanes).as_pointer())
    return builder.load(address, align=lanes.dtype.bitwidth // 8)


def _store(context: Any, builder: Any, lanes: Lanes, value: Any, address: Any) -> None:
    address = builder.bitcast(address, context.get_value_type(lanes).as_pointer())
    builder.store(value, address, align=lanes.dtype.bitwidth // 8)


def _spread(context: Any, builder: Any, lanes: Lanes, scalar: Any) -> Any:
    nothing = ir.Constant(context.get_value_type(lanes), ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), None)
    first = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, zeros)


def _all_lanes(context: Any, builder: Any, lanes: Lanes, types_: Any, values: Any) -> list[Any]:
    """Return the values with every number among them spread over lanes."""
    return [
        value if type_ == lanes else _spread(context, builder, lanes, context.cast(builder, value, type_, lanes.dtype))
        for type_, value in zip(types_, values, strict=True)
    ]


def _fma(builder: Any, lanes: Lanes, a: Any, b: Any, c: Any) -> Any:
    name = f"llvm.fmuladd.v{lanes.count}f{lanes.dtype.bitwidth}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


@intrinsic
def lane_count(_: Any, array: Any) -> Any:
    """Return the number of elements of a register that holds the array's dtype."""
    count = Lanes(array.dtype).count
    return types.intp(array), lambda context, builder, sig, args: context.get_constant(types.intp, count)


@intrinsic
def load(_: Any, array: Any, index: Any) -> Any:
    """Return the `lane_count` elements that start at `index`."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _load(context, builder, lanes, _address(context, builder, sig.args[0], *args))

    return lanes(array, types.intp), generate


@intrinsic
def store(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Write lanes to the elements that start at `index`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, index, lanes = args
        _store(context, builder, sig.args[2], lanes, _address(context, builder, sig.args[0], array, index))
        return context.get_dummy_value()

    return types.none(array, types.intp, value), generate


@intrinsic
def fma(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c of lanes and numbers; a is lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _fma(builder, a, *_all_lanes(context, builder, a, sig.args, args))

    return a(a, b, c), generate


@intrinsic
def at_most(_: Any, x: Any, bound: Any) -> Any:
    """Return the smaller of x and a number; NaN stays NaN."""
    return _bounded(x, bound, ">")


@intrinsic
def at_least(_: Any, x: Any, bound: Any) -> Any:
    """Return the larger of x and a number; NaN stays NaN."""
    return _bounded(x, bound, "<")


def _bounded(lanes: Lanes, bound: Any, beyond: str) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x, bound = _all_lanes(context, builder, lanes, sig.args, args)
        return builder.select(builder.fcmp_ordered(beyond, x, bound), bound, x)

    return lanes(lanes, bound), generate


@intrinsic
def where_positive(_: Any, y: Any, x: Any) -> Any:
    """Return x where y is positive or NaN, and 0 elsewhere."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, None)
        return builder.select(builder.fcmp_unordered(">", args[0], zero), args[1], zero)

    return x(y, x), generate


@intrinsic
def split_power(_: Any, x: Any) -> Any:
    """Return the integer n nearest to x, as a number, and 2^n; both are meaningless for NaN."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits, shift = x.dtype.bitwidth, MANTISSA[x.dtype.bitwidth]
        integers = ir.VectorType(ir.IntType(bits), x.count)

        def constant(value: int) -> Any:
            return ir.Constant(integers, [value] * x.count)

        rounding = ir.Constant(args[0].type, [ROUNDING[bits]] * x.count)
        sum_ = builder.fadd(args[0], rounding)
        exponent = builder.shl(builder.bitcast(sum_, integers), constant(shift))
        bias = (1 << (bits - 2 - shift)) - 1
        power = builder.bitcast(builder.add(exponent, constant(bias << shift)), args[0].type)
        return context.make_tuple(builder, sig.return_type, [builder.fsub(sum_, rounding), power])

    return types.UniTuple(x, 2)(x), generate


@intrinsic(prefer_literal=True)
def multiply_tile(
    _: Any, rows: Any, vectors: Any, c: Any, ci: Any, cs: Any, a: Any, ai: Any, ar: Any, ak: Any,
    b: Any, bi: Any, bv: Any, bk: Any, depth: Any, add: Any,
) -> Any:  # fmt: skip
    """Set a tile of C to A B, or add A B to it where `add`; `rows` and `vectors` are literal numbers.

    Row i of A is at `ai + i * ar` and its elements are `ak` apart. Row k of B is at `bi + k * bk` and its vectors are
    `bv` apart. Row i of C is at `ci + i * cs` and its vectors are adjacent.
    """
    lanes, across, down = Lanes(c.dtype), range(vectors.literal_value), range(rows.literal_value)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        (ci, cs), (ai, ar, ak), (bi, bv, bk), depth, add = args[3:5], args[6:9], args[10:13], args[13], args[14]
        base = {position: context.make_array(sig.args[position])(context, builder, args[position]) for position in (2, 5, 9)}
        intp = context.get_value_type(types.intp)

        def times(number: int, stride: Any) -> Any:
            return builder.mul(ir.Constant(intp, number), stride)

        zero = ir.Constant(context.get_value_type(lanes), None)
        rows_of_c = [builder.gep(base[2].data, [builder.add(ci, times(i, cs))]) for i in down]
        places = [builder.gep(row, [ir.Constant(intp, j * lanes.count)]) for row in rows_of_c for j in across]
        start = [builder.select(add, _load(context, builder, lanes, place), zero) for place in places]
        entry, body, after = builder.block, builder.append_basic_block("tile"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", depth, ir.Constant(intp, 0)), body, after)

        builder.position_at_end(body)
        k = builder.phi(intp)
        k.add_incoming(ir.Constant(intp, 0), entry)
        sums = [builder.phi(zero.type) for _ in places]
        for sum_, value in zip(sums, start, strict=True):
            sum_.add_incoming(value, entry)
        of_b = builder.add(bi, builder.mul(k, bk))
        vectors_of_b = [builder.gep(base[9].data, [builder.add(of_b, times(j, bv))]) for j in across]
        vectors_of_b = [_load(context, builder, lanes, address) for address in vectors_of_b]
        of_a = builder.add(ai, builder.mul(k, ak))
        found = []
        for i in down:
            scalar = builder.load(builder.gep(base[5].data, [builder.add(of_a, times(i, ar))]))
            x = _spread(context, builder, lanes, scalar)
            found += [_fma(builder, lanes, x, vectors_of_b[j], sums[i * len(across) + j]) for j in across]
        following = builder.add(k, ir.Constant(intp, 1))
        k.add_incoming(following, body)
        for sum_, value in zip(sums, found, strict=True):
            sum_.add_incoming(value, body)
        builder.cbranch(builder.icmp_signed("<", following, depth), body, after)

        builder.position_at_end(after)
        for place, before, value in zip(places, start, found, strict=True):
            result = builder.phi(zero.type)
            result.add_incoming(before, entry)
            result.add_incoming(value, body)
            place.result = result
        for place in places:
            _store(context, builder, lanes, place.result, place)
        return context.get_dummy_value()

    intp = types.intp
    return types.none(rows, vectors, c, intp, intp, a, intp, intp, intp, b, intp, intp, intp, intp, types.boolean), generate


class _Arithmetic(AbstractTemplate):
    """Types of an operation on two `Lanes`, or on `Lanes` and a number."""

    def generic(self, args: Any, kws: Any) -> Any:
        lanes = [arg for arg in args if isinstance(arg, Lanes)]
        if len(args) == 2 and lanes and all(isinstance(arg, (Lanes, types.Number)) for arg in args):
            return signature(lanes[0], *args)
        return None


def _define(function: Any, instruction: str) -> None:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*_all_lanes(context, builder, sig.return_type, sig.args, args))

    infer_global(function)(type(f"_{instruction}", (_Arithmetic,), {}))
    for types_ in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, *types_)(generate)


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_function, _instruction)
