"""Products with weights in rows of 8 or 4 bits, as they are quantized while a file is loaded.

Inputs are rounded and sums computed as in ``products.py``, by the same tiles.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.codegen.product_tiles import PAIR, ROWS, make_product_tile
from longllama_code.kernels.codegen.weight_layouts import GROUP, OUTPUTS, ByRow, Packed
from longllama_code.kernels.products import Codes, Floats, Steps, round_inputs

Bytes = NDArray[np.uint8]
Halves = NDArray[np.uint16]
"""Bits of positive float16 numbers."""

CACHED_ROWS = 32
"""Rows of inputs that are multiplied with all weights at a time: 256 to 700 kB for a 7B model,
which fit in a core's second-level cache."""

i32 = np.int32
f32 = np.float32

# A single row takes one output after the other, so that weights are read in order.
_one, _four_rows = make_product_tile(1, 1, ByRow), make_product_tile(ROWS, PAIR, ByRow)
_one_packed = make_product_tile(1, 1, Packed)
_four_rows_packed = make_product_tile(ROWS, PAIR, Packed)


@kernel
def multiply_rows(inputs: Floats, codes: Codes, scales: Floats, outputs: Floats) -> None:
    """Multiply inputs (S, K) with the transpose of weights (N, K), into (S, N).

    Args:
        inputs: (S, K).
        codes: (N, K), K a multiple of 64.
        scales: (N,).
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    steps, units = np.empty((n_rows, size), np.int16), np.empty(n_rows, np.float32)
    round_inputs(inputs, steps, units)
    n_whole = codes.shape[0] - codes.shape[0] % OUTPUTS
    for start in range(0, n_rows, CACHED_ROWS):
        end = min(start + CACHED_ROWS, n_rows)
        for first in range(0, n_whole, OUTPUTS):
            row = start
            while row + ROWS <= end:
                for pair in range(first, first + OUTPUTS, PAIR):
                    _four_rows(steps, units, row, codes, scales, pair, outputs)
                row += ROWS
            for output in range(first, first + OUTPUTS):
                for rest in range(row, end):
                    _one(steps, units, rest, codes, scales, output, outputs)
    for output in range(n_whole, codes.shape[0]):
        for row in range(n_rows):
            _one(steps, units, row, codes, scales, output, outputs)


@kernel
def multiply_packed(inputs: Floats, packed: Bytes, scales: Halves, outputs: Floats) -> None:
    """Multiply inputs (S, K) with the transpose of 4-bit weights (N, K), into (S, N).

    Args:
        inputs: (S, K).
        packed: (N, K / 2), K a multiple of 32; a code is a level plus 8.
        scales: (N, K / 32).
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    steps, units = np.empty((n_rows, size), np.int16), np.empty(n_rows, np.float32)
    round_inputs(inputs, steps, units)
    _part(steps)
    own = np.empty((OUTPUTS, size // GROUP), np.float32)
    n_whole = packed.shape[0] - packed.shape[0] % OUTPUTS
    for start in range(0, n_rows, CACHED_ROWS):
        end = min(start + CACHED_ROWS, n_rows)
        for first in range(0, n_whole, OUTPUTS):
            _spread(scales[first : first + OUTPUTS], own)
            row = start
            while row + ROWS <= end:
                for pair in range(first, first + OUTPUTS, PAIR):
                    _four_rows_packed(steps, units, row, packed, own, pair, outputs)
                row += ROWS
            for output in range(first, first + OUTPUTS):
                for rest in range(row, end):
                    _one_packed(steps, units, rest, packed, own, output, outputs)
    _spread(scales[n_whole:], own)
    for output in range(n_whole, packed.shape[0]):
        for row in range(n_rows):
            _one_packed(steps, units, row, packed, own, output, outputs)


@kernel
def _part(steps: Steps) -> None:
    """Reorder the steps of each group: those for the low halves of bytes come first."""
    group = np.empty(GROUP, np.int16)
    for row in range(steps.shape[0]):
        for start in range(0, steps.shape[1], GROUP):
            group[:] = steps[row, start : start + GROUP]
            for i in range(GROUP // 2):
                steps[row, start + i] = group[2 * i]
                steps[row, start + GROUP // 2 + i] = group[2 * i + 1]


@kernel
def _spread(halves: Halves, floats: Floats) -> None:
    """Convert positive float16 (n, K / 32) to float32: shift the bits, and add 112 to exponents."""
    for row in range(halves.shape[0]):
        bits = floats[row].view(np.int32)
        for group in range(halves.shape[1]):
            bits[group] = i32(halves[row, group]) << i32(13)
        for group in range(halves.shape[1]):
            floats[row, group] *= f32(2.0**112)
