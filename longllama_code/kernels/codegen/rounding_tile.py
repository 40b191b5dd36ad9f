"""Rounding of inputs to bytes, for products of bytes."""

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.codegen.block_levels import CHUNK
from longllama_code.kernels.codegen.vectors import FLOAT, INT32, Vectors, code_of

HALF = CHUNK // 2
HIGHEST, LEAST = 127.0, 1e-30
"""Largest step of an input; least number that the largest of 32 inputs counts as."""
SIGNLESS = 0x7FFFFFFF
TO_INTEGER, TO_INTEGER_BITS = 12582912.0, 0x4B400000
"""1.5 · 2²³, and its bits: adding it to a float32 leaves the number, rounded half to even, as an
integer in the low bits."""

_FLOATS, _INTEGERS = ir.VectorType(FLOAT, HALF), ir.VectorType(INT32, HALF)


def make_rounding() -> Callable[..., None]:
    """Return a function for kernels: ``round_row(inputs, row, steps, units, sums)``.

    It rounds each 32 numbers of a row of inputs; see ``round_to_bytes`` in ``byte_products.py``.
    """

    @intrinsic
    def round_row(_: Any, inputs: Any, row: Any, steps: Any, units: Any, sums: Any) -> Any:
        return code_of(_write_rounding, inputs, row, steps, units, sums)

    return cast("Callable[..., None]", round_row)


def _write_rounding(v: Vectors, arguments: list[Any]) -> None:
    inputs, row, steps, units, sums = arguments
    builder = v.builder
    n_inputs, n_chunks = (builder.extract_value(each.shape, 1) for each in (inputs, units))
    taken, to = v.at(inputs.data, row, n_inputs), v.row(steps, row)
    units_to, sums_to = v.row(units, row), v.row(sums, row)
    signless, shift = (ir.Constant(_INTEGERS, [x] * HALF) for x in (SIGNLESS, TO_INTEGER_BITS))

    def round_chunk(chunk: Any, _: list[Any]) -> list[Any]:
        start = v.at(taken, chunk, v.number(CHUNK))
        halves = [v.load(start, place, _FLOATS) for place in (0, HALF)]
        bits = [builder.and_(builder.bitcast(half, _INTEGERS), signless) for half in halves]
        largest = builder.bitcast(v.largest(v.larger(*bits)), FLOAT)
        is_tiny = builder.fcmp_ordered("<", largest, FLOAT(LEAST))
        unit = builder.fdiv(builder.select(is_tiny, FLOAT(LEAST), largest), FLOAT(HIGHEST))
        per_unit = v.spread(builder.fdiv(FLOAT(1), unit), HALF)
        builder.store(unit, builder.gep(units_to, [chunk]))
        for part, half in enumerate(halves):
            moved = builder.fadd(
                builder.fmul(half, per_unit), ir.Constant(_FLOATS, [TO_INTEGER] * HALF)
            )
            rounded = builder.sub(builder.bitcast(moved, _INTEGERS), shift)
            small = builder.trunc(rounded, ir.VectorType(ir.IntType(8), HALF))
            v.store(small, v.at(to, chunk, v.number(CHUNK)), part * HALF)
            place = builder.add(chunk, builder.mul(n_chunks, v.number(part)))
            builder.store(v.sum(rounded), builder.gep(sums_to, [place]))
        return []

    v.loop(builder.udiv(n_inputs, v.number(CHUNK)), [], round_chunk)
