"""Scales in blocks of a GGUF file as float32, eight at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.vectors import FLOAT, INT32, LANES, Vectors, code_of

_BYTE, _SHORT = ir.IntType(8), ir.IntType(16)
_WORDS, _FLOATS = ir.VectorType(INT32, LANES), ir.VectorType(FLOAT, LANES)
_ODD_PARTS = (1.0, 1 / 16) * (LANES // 2)
_LAST_PARTS = (1.0,) * (LANES // 2) + (1 / 16,) * (LANES // 2)


def make_halves(count: int) -> Callable[..., None]:
    """A function for kernels: ``read(data, start, step, floats, first)``.

    It writes float16 numbers, which begin at the byte ``start`` and every ``step`` bytes after, as
    float32, from the ``first`` of ``floats`` on.

    Args:
        count: how many.
    """

    @intrinsic
    def read(_: Any, data: Any, start: Any, step: Any, floats: Any, first: Any) -> Any:
        return code_of(partial(_write_halves, count=count), data, start, step, floats, first)

    return cast("Callable[..., None]", read)


def _write_halves(v: Vectors, arguments: list[Any], count: int) -> None:
    data, start, step, floats, first = arguments
    builder = v.builder
    at = builder.gep(data.data, [start])
    halves = ir.Constant(ir.VectorType(_SHORT, count), ir.Undefined)
    for number in range(count):
        half = _short(v, v.at(at, v.number(number), step))
        halves = builder.insert_element(halves, half, INT32(number))
    v.store(_floats(v, halves), builder.gep(floats.data, [first]), 0)


def _short(v: Vectors, at: Any) -> Any:
    loaded = v.builder.load(v.builder.bitcast(at, _SHORT.as_pointer()))
    loaded.align = 1
    return loaded


def _floats(v: Vectors, halves: Any) -> Any:
    """Float16, whose bits these are, as float32, whose exponent, after a shift, is 112 higher."""
    builder, count = v.builder, halves.type.count
    words = ir.VectorType(INT32, count)

    def all_of(number: float, kind: Any = words) -> Any:
        return ir.Constant(kind, [number] * count)

    bits = builder.zext(halves, words)
    sign = builder.shl(builder.and_(bits, all_of(1 << 15)), all_of(16))
    rest = builder.shl(builder.and_(bits, all_of((1 << 15) - 1)), all_of(13))
    floats = ir.VectorType(FLOAT, count)
    unscaled = builder.bitcast(builder.or_(sign, rest), floats)
    return builder.fmul(unscaled, all_of(2.0**112, floats))


@intrinsic
def _eight_scales(_: Any, data: Any, start: Any, scales: Any, offsets: Any, first: Any) -> Any:
    """Eight scales and offsets of a block of ``Q4_K`` or ``Q5_K`` that begins at a byte.

    Each has 6 bits: of the first four in a byte of its own, of the others 4 in a byte for both and
    2 above the bits of the first four. Levels of odd chunks are sixteen times as large.
    """
    return code_of(_write_eight_scales, data, start, scales, offsets, first)


def _write_eight_scales(v: Vectors, arguments: list[Any]) -> None:
    data, start, scales, offsets, first = arguments
    builder = v.builder
    at = builder.gep(data.data, [start])
    first_four, last_four, both = (
        _word(v, builder.gep(at, [v.number(4 + 4 * n)])) for n in range(3)
    )

    def under(bits: Any, mask: int) -> Any:
        return builder.and_(bits, INT32(mask * 0x01010101))

    for number, (own, shared) in enumerate(
        ((first_four, both), (last_four, builder.lshr(both, INT32(4))))
    ):
        high = builder.shl(under(builder.lshr(own, INT32(6)), 3), INT32(4))
        rest = builder.or_(under(shared, 15), high)
        four = ir.VectorType(_BYTE, 4)
        low, top = (builder.bitcast(bits, four) for bits in (under(own, 63), rest))
        codes = builder.uitofp(builder.zext(v.pick(low, top, [*range(LANES)]), _WORDS), _FLOATS)
        unit = _spread_half(v, builder.gep(at, [v.number(2 * number)]))
        parts = ir.Constant(_FLOATS, (-1.0,) * LANES if number else _ODD_PARTS)
        to = builder.gep((offsets if number else scales).data, [first])
        v.store(builder.fmul(builder.fmul(codes, unit), parts), to, 0)


@intrinsic
def _sixteen_scales(_: Any, data: Any, start: Any, scales: Any, first: Any) -> Any:
    """Sixteen scales of a block of ``Q6_K`` that begins at a byte.

    Of four chunks, levels of the last two are sixteen times as large.
    """
    return code_of(_write_sixteen_scales, data, start, scales, first)


def _write_sixteen_scales(v: Vectors, arguments: list[Any]) -> None:
    data, start, scales, first = arguments
    builder = v.builder
    at, to = builder.gep(data.data, [start]), builder.gep(scales.data, [first])
    unit = _spread_half(v, builder.gep(at, [v.number(208)]))
    for number in range(2):
        codes = v.load(at, 192 + LANES * number, ir.VectorType(_BYTE, LANES))
        floats = builder.sitofp(builder.sext(codes, _WORDS), _FLOATS)
        parts = ir.Constant(_FLOATS, _LAST_PARTS)
        v.store(builder.fmul(builder.fmul(floats, unit), parts), to, LANES * number)


read_eight_scales = cast("Callable[..., None]", _eight_scales)
read_sixteen_scales = cast("Callable[..., None]", _sixteen_scales)


def _word(v: Vectors, at: Any) -> Any:
    loaded = v.builder.load(v.builder.bitcast(at, INT32.as_pointer()))
    loaded.align = 1
    return loaded


def _spread_half(v: Vectors, at: Any) -> Any:
    """One float16 in all lanes, as float32."""
    kind = ir.VectorType(_SHORT, LANES)
    one = v.builder.insert_element(ir.Constant(kind, ir.Undefined), _short(v, at), INT32(0))
    return _floats(v, v.pick(one, one, [0] * LANES))
