"""Products with weights in 8 bits.

Weights are codes in blocks of 64, each with a scale. Inputs are rounded to 15 bits of each token's
largest value, and the sums of a block are integers. So a token's result does not depend on the
other tokens of the pass, which makes verified drafts exact.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.codegen.product_tiles import ROWS, WIDTH, make_product_tile
from longllama_code.kernels.codegen.weight_layouts import OUTPUTS

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]
Steps = NDArray[np.int16]

MOST = 16383
"""Largest step of an input; sums of 64 products of 15 and 8 bits fit in 32 bits."""
f32 = np.float32

_one_row, _two_rows = make_product_tile(1, OUTPUTS), make_product_tile(2, OUTPUTS)
_three_rows, _four_rows = make_product_tile(3, OUTPUTS), make_product_tile(ROWS, WIDTH)


@kernel
def multiply(inputs: Floats, codes: Codes, scales: Floats, outputs: Floats) -> None:
    """Multiply inputs (S, K) with the transpose of weights (N, K), into (S, N).

    Args:
        inputs: (S, K).
        codes: (N / 4, K / 64, 4, 64).
        scales: (N / 4, K / 64, 4).
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    steps = np.empty((n_rows, size), np.int16)
    units = np.empty(n_rows, np.float32)
    round_inputs(inputs, steps, units)
    for first in range(0, outputs.shape[1], OUTPUTS):
        row = 0
        while row + ROWS <= n_rows:
            for output in range(first, first + OUTPUTS, WIDTH):
                _four_rows(steps, units, row, codes, scales, output, outputs)
            row += ROWS
        n_left = n_rows - row
        if n_left == 3:
            _three_rows(steps, units, row, codes, scales, first, outputs)
        elif n_left == 2:
            _two_rows(steps, units, row, codes, scales, first, outputs)
        elif n_left == 1:
            _one_row(steps, units, row, codes, scales, first, outputs)


@kernel
def round_inputs(inputs: Floats, steps: Steps, units: Floats) -> None:
    """Round each row to multiples (``steps``) of a unit of its own."""
    for row in range(inputs.shape[0]):
        largest = f32(0)
        for column in range(inputs.shape[1]):
            largest = max(largest, abs(inputs[row, column]))
        units[row] = max(largest, f32(1e-30)) / f32(MOST)
        per_unit = f32(1) / units[row]
        for column in range(inputs.shape[1]):
            steps[row, column] = np.int16(np.rint(inputs[row, column] * per_unit))
