"""Dot products of an input's steps with a row of weights, in vectors that every CPU has a way for.

Written as vectors, since what the compiler makes of loops over bytes multiplies in 32 bits, at a
quarter of the speed. On x86 the products of neighbours are one instruction (``pmaddwd``). The
order of sums is that of the lanes written here: the same alone or beside others, on any CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

BLOCK = 64
"""Weights of ``dot_codes`` whose products are summed as integers."""
GROUP = 32
"""Weights of ``dot_packed`` that share a scale."""
_PART = 16
"""Products of one instruction."""
_LANES = 8

_HAS_AVX2 = bool(binding.get_host_cpu_features().get("avx2"))
_I8, _I16, _I32, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.FloatType()


class _Arrays:
    """Vectors of the flat arrays that a function was called with."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self._builder = builder
        self._pointers = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]

    def value(self, argument: int) -> Any:
        """An argument that is a number."""
        return self._pointers[argument]

    def at(self, argument: int, index: Any, n: int, element: Any) -> Any:
        """``n`` elements of an array from an index on: a vector, or a number where ``n`` is 1."""
        kind = element if n == 1 else ir.VectorType(element, n)
        pointer = self._builder.gep(self._pointers[argument], [index])
        pointer = self._builder.bitcast(pointer, kind.as_pointer())
        loaded = self._builder.load(pointer)
        loaded.align = element.width // 8 if element is not _F32 else 4
        return loaded


def _pairs(builder: Any, left: Any, right: Any) -> Any:
    """Products of two (16,) of 16 bits, neighbours added up: (8,) of 32 bits."""
    if _HAS_AVX2:
        kind = ir.FunctionType(ir.VectorType(_I32, _LANES), [left.type, right.type])
        name = "llvm.x86.avx2.pmadd.wd"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, kind, name), [left, right]
        )

    def half(vector: Any, first: int) -> Any:
        order = ir.Constant(ir.VectorType(_I32, _LANES), list(range(first, _PART, 2)))
        picked = builder.shuffle_vector(vector, vector, order)
        return builder.sext(picked, ir.VectorType(_I32, _LANES))

    even, odd = (builder.mul(half(left, n), half(right, n)) for n in (0, 1))
    return builder.add(even, odd)


def _scaled(builder: Any, integers: Any, scale: Any) -> Any:
    """(8,) integers times one scale, as float32."""
    vector = ir.VectorType(_F32, _LANES)
    lanes = builder.insert_element(ir.Constant(vector, ir.Undefined), scale, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES)
    return builder.fmul(
        builder.sitofp(integers, vector), builder.shuffle_vector(lanes, lanes, zeros)
    )


def _total(builder: Any, vector: Any) -> Any:
    """The sum of (8,) float32, halves onto each other."""
    size = _LANES
    while size > 1:
        size //= 2
        low, high = (
            builder.shuffle_vector(
                vector,
                vector,
                ir.Constant(ir.VectorType(_I32, size), list(range(first, first + size))),
            )
            for first in (0, size)
        )
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, _I32(0))


def _sum_over(builder: Any, n: Any, part: Callable[[Any], Any]) -> Any:
    """The sum of ``part(i)``, (8,) float32, for i below ``n``, over its lanes too."""
    vector = ir.VectorType(_F32, _LANES)
    running = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * _LANES))
    with cgutils.for_range(builder, n) as loop:
        builder.store(builder.fadd(builder.load(running), part(loop.index)), running)
    return _total(builder, builder.load(running))


def _code_dots(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    arrays = _Arrays(context, builder, signature, values)
    code_at, step_at, scale_at, scale_step = (arrays.value(n) for n in (1, 3, 5, 6))
    size = code_at.type

    def block(index: Any) -> Any:
        first = builder.mul(index, size(BLOCK))
        total = None
        for part in range(0, BLOCK, _PART):
            at = builder.add(first, size(part))
            codes = arrays.at(0, builder.add(code_at, at), _PART, _I8)
            steps = arrays.at(2, builder.add(step_at, at), _PART, _I16)
            wide = builder.sext(codes, ir.VectorType(_I16, _PART))
            pairs = _pairs(builder, wide, steps)
            total = pairs if total is None else builder.add(total, pairs)
        scale = arrays.at(4, builder.add(scale_at, builder.mul(index, scale_step)), 1, _F32)
        return _scaled(builder, total, scale)

    return _sum_over(builder, arrays.value(7), block)


def _packed_dots(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    arrays = _Arrays(context, builder, signature, values)
    byte_at, step_at = arrays.value(1), arrays.value(3)
    size, bytes_, words = byte_at.type, ir.VectorType(_I8, _PART), ir.VectorType(_I16, _PART)

    def constant(kind: Any, number: int) -> Any:
        return ir.Constant(kind, [number] * _PART)

    def group(index: Any) -> Any:
        packed = arrays.at(
            0, builder.add(byte_at, builder.mul(index, size(GROUP // 2))), _PART, _I8
        )
        halves = (
            builder.and_(packed, constant(bytes_, 15)),
            builder.lshr(packed, constant(bytes_, 4)),
        )
        first = builder.add(step_at, builder.mul(index, size(GROUP)))
        pairs = []
        for number, half in enumerate(halves):
            levels = builder.sub(builder.zext(half, words), constant(words, 8))
            steps = arrays.at(2, builder.add(first, size(number * _PART)), _PART, _I16)
            pairs.append(_pairs(builder, levels, steps))
        return _scaled(builder, builder.add(*pairs), arrays.at(4, index, 1, _F32))

    return _sum_over(builder, arrays.value(5), group)


@intrinsic
def _dot_codes(
    _: Any,
    codes: Any,
    code_at: Any,
    steps: Any,
    step_at: Any,
    scales: Any,
    scale_at: Any,
    scale_step: Any,
    n_blocks: Any,
) -> Any:
    at = types.intp
    return types.float32(codes, at, steps, at, scales, at, at, at), _code_dots


@intrinsic
def _dot_packed(
    _: Any, packed: Any, byte_at: Any, steps: Any, step_at: Any, scales: Any, n_groups: Any
) -> Any:
    at = types.intp
    return types.float32(packed, at, steps, at, scales, at), _packed_dots


dot_codes = cast("Callable[..., Any]", _dot_codes)
"""Of 8-bit codes: ``(codes, code_at, steps, step_at, scales, scale_at, scale_step, n_blocks)``.

Flat positions in contiguous arrays: int8 codes, int16 steps of 15 bits, a float32 scale for each
block of 64, ``scale_step`` apart (0: one scale for all).
"""
dot_packed = cast("Callable[..., Any]", _dot_packed)
"""Of 4-bit levels, 8 more than what they stand for: ``(packed, byte_at, steps, step_at, scales,
n_groups)``.

Two levels in a byte, the first in the low half. Of each group of 32 steps those for the low halves
come first. ``scales`` has a float32 for each group.
"""
