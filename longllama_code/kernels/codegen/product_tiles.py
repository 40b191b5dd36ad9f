"""Tile of a product: a few rows of inputs times a few outputs of quantized weights.

    of each block   integers: products of codes and steps, summed in eight lanes
                    floats: the sums times the block's scale, added to eight totals
    at the end      the eight totals of each output, added up, times the row's unit

The order of all additions is the same in every tile, so a row's result does not depend on the other
rows, to the bit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.codegen.vectors import (
    FLOAT,
    INT32,
    LANES,
    N_REGISTERS,
    STEP,
    STEPS,
    SUMS,
    Vectors,
    code_of,
)
from longllama_code.kernels.codegen.weight_layouts import OUTPUTS, InTiles, Layout

ROWS, PAIR = 4, 2
"""Rows and outputs of a tile whose sums, with one row of inputs, fit in sixteen registers."""
WIDTH = OUTPUTS if N_REGISTERS > 16 else PAIR
"""Outputs of such a tile on this CPU."""

FLOATS = ir.VectorType(FLOAT, LANES)


def make_product_tile(
    n_rows: int, n_outputs: int, layout: type[Layout] = InTiles
) -> Callable[..., None]:
    """Return a function for kernels that computes a tile.

    ``tile(steps, units, row, codes, scales, first, outputs)`` writes the outputs from ``first`` on
    of the rows from ``row`` on.

    * steps: rounded inputs, int16 (S, K), in multiples of ``units`` (S,).
    * codes and scales: weights (N, K), in the layout's order.
    * outputs: (S, N).

    Args:
        n_rows: rows of a tile.
        n_outputs: outputs of a tile; for weights in tiles it is a divisor of four, and ``first`` a
            multiple of it.
        layout: order of the weights in memory.
    """

    @intrinsic
    def tile(  # numba wants arguments spelt out
        _: Any, steps: Any, units: Any, row: Any, codes: Any, scales: Any, first: Any, outputs: Any
    ) -> Any:
        write = partial(_write, layout=layout, n_rows=n_rows, n_outputs=n_outputs)
        return code_of(write, steps, units, row, codes, scales, first, outputs)

    return cast("Callable[..., None]", tile)


def _write(
    v: Vectors, arguments: list[Any], layout: type[Layout], n_rows: int, n_outputs: int
) -> None:
    steps, units, row, codes, scales, first, outputs = arguments
    builder = v.builder
    n_inputs = builder.extract_value(steps.shape, 1)
    n_blocks = builder.udiv(n_inputs, v.number(layout.block))
    weights = layout(v, codes, scales, first, n_blocks, n_outputs)
    numbers = [builder.add(row, v.number(number)) for number in range(n_rows)]
    rows = [v.at(steps.data, number, n_inputs) for number in numbers]

    def add_block(block: Any, totals: list[Any]) -> list[Any]:
        levels = [weights.levels(block, output) for output in range(n_outputs)]
        scale = [weights.scale(block, output) for output in range(n_outputs)]
        starts = [v.at(start, block, v.number(layout.block)) for start in rows]
        sums = [ir.Constant(SUMS, None)] * len(totals)
        for step in range(layout.block // STEP):  # innermost over sums, which are independent
            inputs = [v.load(start, step * STEP, STEPS) for start in starts]
            for place, total in enumerate(sums):
                number, output = divmod(place, n_outputs)
                products = v.multiply_add(levels[output][step], inputs[number])
                sums[place] = builder.add(total, products)
        new: list[Any] = []
        for place, total in enumerate(totals):
            products, factor = builder.sitofp(sums[place], FLOATS), scale[place % n_outputs]
            if layout.fuses:
                new.append(v.fma(products, factor, total))
            else:
                new.append(builder.fadd(total, builder.fmul(products, factor)))
        return new

    zeros = [ir.Constant(FLOATS, None)] * (n_rows * n_outputs)
    totals = v.loop(n_blocks, zeros, add_block)
    n_all = builder.extract_value(outputs.shape, 1)
    for number, place in zip(numbers, range(0, len(totals), n_outputs), strict=True):
        unit = v.load_spread(builder.gep(units.data, [number]), 0, n_outputs)
        at = builder.gep(v.at(outputs.data, number, n_all), [first])
        v.store(builder.fmul(_sums(v, totals[place : place + n_outputs]), unit), at, 0)


def _sums(v: Vectors, totals: list[Any]) -> Any:
    """Return the sum of each of some vectors."""
    if len(totals) == 4:
        return v.sums_of_four(totals)
    sums = ir.Constant(ir.VectorType(FLOAT, len(totals)), ir.Undefined)
    for place, total in enumerate(totals):
        sums = v.builder.insert_element(sums, v.sum(total), INT32(place))
    return sums
