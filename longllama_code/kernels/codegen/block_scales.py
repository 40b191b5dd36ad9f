"""Decoding of the scales in blocks of a GGUF file to float32, for tiles."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from longllama_code.kernels.codegen.vectors import FLOAT, INT32, LANES, Vectors

_BYTE, _SHORT = ir.IntType(8), ir.IntType(16)
_FOUR, _EIGHT = ir.VectorType(_BYTE, LANES // 2), ir.VectorType(_BYTE, LANES)
_WORDS, _FLOATS = ir.VectorType(INT32, LANES), ir.VectorType(FLOAT, LANES)
_HALVES = ir.VectorType(_SHORT, LANES)
_MINUS = (-1.0,) * LANES
# Levels from the high halves of bytes are sixteen times too large.
_ODD_PARTS = (1.0, 1 / 16) * (LANES // 2)
_LAST_PARTS = (1.0,) * (LANES // 2) + (1 / 16,) * (LANES // 2)


def spread_half(v: Vectors, start: Any, offset: int) -> Any:
    """Load the float16 at an offset into all lanes, as float32."""
    half = _load(v, start, offset, _SHORT)
    one = v.builder.insert_element(ir.Constant(_HALVES, ir.Undefined), half, INT32(0))
    halves = v.pick(one, one, [0] * LANES)
    return v.floats_of_halves(halves)


def eight_scales(v: Vectors, start: Any) -> tuple[list[Any], Any]:
    """Return the scales of the eight chunks of a ``Q4_K`` or ``Q5_K`` block, and their offsets.

    Scales and offsets have 6 bits each. The first four of either are in bytes of their own. Of the
    last four, the low 4 bits of scale and offset share a byte, and the high 2 bits are above those
    of the first four.
    """
    builder = v.builder
    first, second, both = (_load(v, start, offset, INT32) for offset in (4, 8, 12))
    codes = [_six_bits(v, first, both), _six_bits(v, second, builder.lshr(both, INT32(4)))]
    units = [spread_half(v, start, offset) for offset in (0, 2)]
    parts = [ir.Constant(_FLOATS, part) for part in (_ODD_PARTS, _MINUS)]
    scales, offsets = (
        builder.fmul(builder.fmul(code, unit), part)
        for code, unit, part in zip(codes, units, parts, strict=True)
    )
    return [v.pick(scales, scales, [chunk] * LANES) for chunk in range(LANES)], offsets


def _six_bits(v: Vectors, own: Any, shared: Any) -> Any:
    """Unpack eight numbers of 6 bits to floats."""

    def under(bits: Any, mask: int) -> Any:
        return v.builder.and_(bits, INT32(mask * 0x01010101))

    top = v.builder.shl(under(v.builder.lshr(own, INT32(6)), 3), INT32(4))
    last = v.builder.or_(under(shared, 15), top)
    low, high = (v.builder.bitcast(bits, _FOUR) for bits in (under(own, 63), last))
    return v.builder.uitofp(v.builder.zext(v.pick(low, high, [*range(LANES)]), _WORDS), _FLOATS)


def sixteen_scales(v: Vectors, start: Any) -> list[Any]:
    """Return the scales of the eight chunks of a ``Q6_K`` block, two for each chunk."""
    builder, half = v.builder, LANES // 2
    unit, parts = spread_half(v, start, 208), ir.Constant(_FLOATS, _LAST_PARTS)
    scales: list[Any] = []
    for offset in (192, 192 + LANES):
        codes = builder.sext(v.load(start, offset, _EIGHT), _WORDS)
        floats = builder.fmul(builder.fmul(builder.sitofp(codes, _FLOATS), unit), parts)
        scales += [
            v.pick(floats, floats, [first] * half + [first + 1] * half)
            for first in range(0, LANES, 2)
        ]
    return scales


def _load(v: Vectors, start: Any, offset: int, kind: Any) -> Any:
    place = v.builder.gep(start, [v.number(offset)])
    loaded = v.builder.load(v.builder.bitcast(place, kind.as_pointer()))
    loaded.align = 1
    return loaded
