"""A tile of a product: a few rows of inputs times a few outputs of rounded weights.

Eight sums side by side for each output, which are added up once at the end. They and the order in
which they are added do not depend on the tile, so a row comes out the same in any of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from llvmlite import ir
from numba.extending import intrinsic

from longllama_code.kernels.vectors import FLOAT, LANES, N_REGISTERS, STEP, STEPS, Vectors, code_of
from longllama_code.kernels.weight_layouts import OUTPUTS, InTiles, Layout

ROWS, PAIR = 4, 2
"""Of a tile of several rows: its sums, and one row of inputs, fit into sixteen registers."""
WIDTH = OUTPUTS if N_REGISTERS > 16 else PAIR
"""Outputs of such a tile, on this CPU."""

FLOATS = ir.VectorType(FLOAT, LANES)


def make_product_tile(
    n_rows: int, n_outputs: int, layout: type[Layout] = InTiles
) -> Callable[..., None]:
    """A function for kernels that computes a tile.

    ``tile(steps, units, row, codes, scales, first, outputs)`` writes the outputs ``first`` and
    after it of the rows ``row`` and after it.

    * steps: int16 (S, K), of inputs that are so many ``units`` (S,).
    * codes and scales: the weights (N, K), as the layout says.
    * outputs: (S, N).

    Args:
        n_rows: rows of a tile.
        n_outputs: outputs of a tile; where weights lie in tiles a divisor of four, of which
            ``first`` is a multiple.
        layout: where the weights lie.
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
        new: list[Any] = []
        for number, start in enumerate(rows):
            at = v.at(start, block, v.number(layout.block))
            inputs = [v.load(at, offset, STEPS) for offset in range(0, layout.block, STEP)]
            for output in range(n_outputs):
                total = totals[number * n_outputs + output]
                products = builder.sitofp(_block_sum(v, inputs, levels[output]), FLOATS)
                if layout.fuses:
                    new.append(v.fma(products, scale[output], total))
                else:
                    new.append(builder.fadd(total, builder.fmul(products, scale[output])))
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


def _block_sum(v: Vectors, inputs: list[Any], levels: list[Any]) -> Any:
    """Products of one block, added up in integers of 32 bits: (8,)."""
    sums = [v.multiply_add(*pair) for pair in zip(levels, inputs, strict=True)]
    total = sums[0]
    for more in sums[1:]:
        total = v.builder.add(total, more)
    return total
