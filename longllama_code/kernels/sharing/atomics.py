"""Atomic operations on numbers that threads share; access to memory, and calls, by address."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_SEQUENTIAL = "seq_cst"


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return the address of one number of an array."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def _read(_: Any, array: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _place(context, builder, signature, arguments)
        return builder.load_atomic(at, _SEQUENTIAL, 8)

    return types.int64(array, place), generate


@intrinsic
def _write(_: Any, array: Any, place: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _place(context, builder, signature, arguments)
        builder.store_atomic(arguments[2], at, _SEQUENTIAL, 8)
        return context.get_dummy_value()

    return types.void(array, place, types.int64), generate


@intrinsic
def _add(_: Any, array: Any, place: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = _place(context, builder, signature, arguments)
        return builder.atomic_rmw("add", at, arguments[2], _SEQUENTIAL)

    return types.int64(array, place, types.int64), generate


@intrinsic
def _pause(_: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, ___: Any) -> Any:
        if IS_X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _pointer(_: Any, address: Any) -> Any:
    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic
def _call(_: Any, function: Any, argument: Any) -> Any:
    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)]).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], kind), [arguments[1]])

    return types.void(types.int64, types.int64), generate


read = cast("Callable[[Any, int], int]", _read)
"""Read one number of an int64 array, as any thread wrote it last."""
write = cast("Callable[[Any, int, int], None]", _write)
"""Write one number of an int64 array, visible after everything written before it."""
add = cast("Callable[[Any, int, int], int]", _add)
"""Add to one number of an int64 array; return its former value."""
pause = cast("Callable[[], None]", _pause)
"""Tell the CPU that a loop only waits."""
call = cast("Callable[[int, int], None]", _call)
"""Call the function at an address with one number; see ``Callback``."""
pointer = cast("Callable[[int], Any]", _pointer)
"""Return a pointer to an address, for ``numba.carray``."""
