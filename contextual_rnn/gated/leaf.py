"""Compiled functions that other compiled functions call by address.

Numba compiles a function again for every caller. A `Leaf` is compiled once, which reduces the time of the first call to
a third, and lets one loop over time call the step of any cell.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# No fast-math flags, because they would break NaN, infinity and the rounding in `split_power`.
OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}
compiled: Any = numba.njit(nogil=True, **OPTIONS)
inlined: Any = numba.njit(inline="always")


class Leaf:
    """A compiled function without a result, whose arguments are pointers to numbers of one type, and integers."""

    def __init__(self, function: Callable[..., None], pointers: list[str]) -> None:
        self.function, self.pointers = function, pointers
        self.__doc__ = function.__doc__
        self._compiled = functools.cache(self._compile)

    def address(self, dtype: np.dtype) -> int:
        """Return the address of the function, compiled for numbers of a type."""
        return self._compiled(dtype).address

    def _compile(self, dtype: np.dtype) -> Any:
        pointer = types.CPointer(numba.from_dtype(dtype))
        arguments = inspect.signature(self.function).parameters
        signature = types.void(*(pointer if name in self.pointers else types.int64 for name in arguments))
        return numba.cfunc(signature, **OPTIONS)(self.function)


def leaf(pointers: str) -> Callable[[Callable[..., None]], Leaf]:
    """Make a `Leaf` from a function whose arguments of these names are pointers; the others are integers."""
    return lambda function: Leaf(function, pointers.split())


@intrinsic
def invoke(_: Any, address: Any, *arguments: Any) -> Any:
    """Call a leaf by its address; pointers are passed as integer addresses."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        given = zip(sig.args[1], cgutils.unpack_tuple(builder, args[1]), strict=True)
        values = [context.cast(builder, value, type_, types.int64) for type_, value in given]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        function = builder.inttoptr(context.cast(builder, args[0], sig.args[0], types.int64), kind.as_pointer())
        builder.call(function, values)
        return context.get_dummy_value()

    return types.none(address, types.StarArgTuple(arguments)), generate
