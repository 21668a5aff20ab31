"""A vector register as a Numba type: compiled loops load, store and compute with `Lanes` of float32 or float64.

LLVM does not vectorise these loops automatically, because they access more arrays than it checks for overlap. Every
operation on `Lanes` is one vector instruction.

An array is a one-dimensional contiguous NumPy array or a pointer. An index is the position of an element; it is not
checked.
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

settings: Any = config


def _register_bytes() -> int:
    """Return the number of bytes of the vector registers that the loops use: 64 with AVX-512, 32 otherwise."""
    if settings.CPU_NAME or settings.CPU_FEATURES:  # set by NUMBA_CPU_NAME, NUMBA_CPU_FEATURES
        return 64 if "+avx512f" in (settings.CPU_FEATURES or "") else 32
    return 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32


REGISTER_BYTES = _register_bytes()


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


def data_of(context: Any, builder: Any, type_: Any, array: Any) -> Any:
    """Return the pointer to the first element of an array."""
    return array if isinstance(type_, types.CPointer) else context.make_array(type_)(context, builder, array).data


def address_of(context: Any, builder: Any, type_: Any, array: Any, index: Any) -> Any:
    """Return the pointer to an element."""
    return builder.gep(data_of(context, builder, type_, array), [index])


def load_lanes(context: Any, builder: Any, lanes: Lanes, address: Any) -> Any:
    """Return lanes from memory, which need not be aligned."""
    address = builder.bitcast(address, context.get_value_type(lanes).as_pointer())
    return builder.load(address, align=lanes.dtype.bitwidth // 8)


def store_lanes(context: Any, builder: Any, lanes: Lanes, value: Any, address: Any) -> None:
    """Write lanes to memory, which need not be aligned."""
    address = builder.bitcast(address, context.get_value_type(lanes).as_pointer())
    builder.store(value, address, align=lanes.dtype.bitwidth // 8)


def spread(context: Any, builder: Any, lanes: Lanes, scalar: Any) -> Any:
    """Copy a number to all lanes."""
    nothing = ir.Constant(context.get_value_type(lanes), ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), None)
    first = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, zeros)


def _all_lanes(context: Any, builder: Any, lanes: Lanes, types_: Any, values: Any) -> list[Any]:
    """Return the values, with every number copied to all lanes."""
    return [
        value if type_ == lanes else spread(context, builder, lanes, context.cast(builder, value, type_, lanes.dtype))
        for type_, value in zip(types_, values, strict=True)
    ]


def fma_of(builder: Any, lanes: Lanes, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c."""
    name = f"llvm.fmuladd.v{lanes.count}f{lanes.dtype.bitwidth}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


@intrinsic
def lane_count(_: Any, array: Any) -> Any:
    """Return the number of elements of the array's dtype in a register."""
    count = Lanes(array.dtype).count
    return types.intp(array), lambda context, builder, sig, args: context.get_constant(types.intp, count)


@intrinsic
def load(_: Any, array: Any, index: Any) -> Any:
    """Return the `lane_count` elements that start at `index`."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return load_lanes(context, builder, lanes, address_of(context, builder, sig.args[0], *args))

    return lanes(array, types.intp), generate


@intrinsic
def store(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Write lanes to the elements that start at `index`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array, index, lanes = args
        store_lanes(context, builder, sig.args[2], lanes, address_of(context, builder, sig.args[0], array, index))
        return context.get_dummy_value()

    return types.none(array, types.intp, value), generate


@intrinsic
def fma(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, where a is lanes, and b and c are lanes or numbers."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return fma_of(builder, a, *_all_lanes(context, builder, a, sig.args, args))

    return a(a, b, c), generate


class _Arithmetic(AbstractTemplate):
    """The types of an operation on two `Lanes`, or on `Lanes` and a number."""

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
