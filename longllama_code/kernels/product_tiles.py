"""A tile of a product: a few rows of inputs times a few outputs of 8-bit weights.

Eight sums side by side for each output, which are added up once at the end. They and the order in
which they are added do not depend on the tile, so a row comes out the same in any of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.vectors import CODES, FLOAT, LANES, STEP, STEPS, Vectors, code_of

BLOCK = 64
"""Weights that share a scale."""
OUTPUTS = 4
"""Outputs whose codes lie block beside block."""

FLOATS = ir.VectorType(FLOAT, LANES)


def make_product_tile(n_rows: int, n_outputs: int) -> Callable[..., None]:
    """A function for kernels that computes a tile.

    ``tile(steps, units, row, codes, scales, first, outputs)`` writes the outputs ``first`` and
    after it of the rows ``row`` and after it.

    * steps: int16 (S, K), of inputs that are so many ``units`` (S,).
    * codes: int8 (N / 4, K / 64, 4, 64), and their ``scales`` (N / 4, K / 64, 4).
    * outputs: (S, N).

    Args:
        n_rows: rows of a tile.
        n_outputs: outputs of a tile, a divisor of four; ``first`` is a multiple of it.
    """

    @intrinsic
    def tile(  # numba wants arguments spelt out
        _: Any, steps: Any, units: Any, row: Any, codes: Any, scales: Any, first: Any, outputs: Any
    ) -> Any:
        write = partial(_write, n_rows=n_rows, n_outputs=n_outputs)
        return code_of(write, steps, units, row, codes, scales, first, outputs)

    return cast("Callable[..., None]", tile)


def _write(v: Vectors, arguments: list[Any], n_rows: int, n_outputs: int) -> None:
    steps, units, row, codes, scales, first, outputs = arguments
    builder = v.builder
    n_inputs = builder.extract_value(steps.shape, 1)
    n_blocks = builder.udiv(n_inputs, v.number(BLOCK))
    first_codes, first_scales = _weights(v, codes, scales, first, n_blocks)
    numbers = [builder.add(row, v.number(number)) for number in range(n_rows)]
    rows = [v.at(steps.data, number, n_inputs) for number in numbers]

    def add_block(block: Any, totals: list[Any]) -> list[Any]:
        of_block = v.at(first_codes, block, v.number(OUTPUTS * BLOCK))
        scale = v.at(first_scales, block, v.number(OUTPUTS))
        weights = [_codes(v, of_block, output) for output in range(n_outputs)]
        spread = [v.load_spread(scale, output, LANES) for output in range(n_outputs)]
        new: list[Any] = []
        for number, start in enumerate(rows):
            at = v.at(start, block, v.number(BLOCK))
            inputs = [v.load(at, offset, STEPS) for offset in range(0, BLOCK, STEP)]
            for output in range(n_outputs):
                total = totals[number * n_outputs + output]
                products = builder.sitofp(_block_sum(v, inputs, weights[output]), FLOATS)
                new.append(v.fma(products, spread[output], total))
        return new

    zeros = [ir.Constant(FLOATS, None)] * (n_rows * n_outputs)
    totals = v.loop(n_blocks, zeros, add_block)
    n_all = builder.extract_value(outputs.shape, 1)
    for place, total in enumerate(totals):
        number = numbers[place // n_outputs]
        unit = builder.load(builder.gep(units.data, [number]))
        output = builder.add(first, v.number(place % n_outputs))
        at = builder.gep(v.at(outputs.data, number, n_all), [output])
        builder.store(builder.fmul(v.sum(total), unit), at)


def _weights(v: Vectors, codes: Any, scales: Any, first: Any, n_blocks: Any) -> tuple[Any, Any]:
    """Where the codes and the scales of the first output begin."""
    builder, in_group = v.builder, v.number(OUTPUTS)
    group, within = builder.udiv(first, in_group), builder.urem(first, in_group)
    start = builder.add(builder.mul(builder.mul(group, n_blocks), in_group), within)
    return v.at(codes.data, start, v.number(BLOCK)), builder.gep(scales.data, [start])


def _codes(v: Vectors, block: Any, output: int) -> list[Any]:
    first = output * BLOCK
    loaded = [v.load(block, first + offset, CODES) for offset in range(0, BLOCK, STEP)]
    return [v.builder.sext(codes, STEPS) for codes in loaded]


def _block_sum(v: Vectors, inputs: list[Any], weights: list[Any]) -> Any:
    """Products of one block, added up in integers of 32 bits: (8,)."""
    sums = [v.multiply_add(*pair) for pair in zip(weights, inputs, strict=True)]
    total = sums[0]
    for more in sums[1:]:
        total = v.builder.add(total, more)
    return total
