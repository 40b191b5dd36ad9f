"""Products with weights that are kept row by row, in 8 or 4 bits, as files are rounded to.

Inputs are rounded and sums are taken as in `products.py`, which knows an order of weights that is
faster where there are several rows of inputs.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.compiling import kernel
from longllama_code.kernels.dots import BLOCK, GROUP, dot_codes, dot_packed
from longllama_code.kernels.products import Codes, Floats, round_inputs

Bytes = NDArray[np.uint8]

i32 = np.int32
f32 = np.float32


@kernel
def multiply_rows(inputs: Floats, codes: Codes, scales: Floats, outputs: Floats) -> None:
    """(S, K) times the transpose of (N, K) weights into (S, N).

    Args:
        inputs: (S, K).
        codes: (N, K), K a multiple of 64.
        scales: (N, K / 64), or (N, 1) where a row has one.
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    steps, units = np.empty((n_rows, size), np.int16), np.empty(n_rows, np.float32)
    round_inputs(inputs, steps, units)
    n_blocks, n_scales = size // BLOCK, scales.shape[1]
    scale_step = 1 if n_scales > 1 else 0
    for output in range(codes.shape[0]):
        for row in range(n_rows):  # a row of codes stays in the cache for all of them
            found = dot_codes(
                codes,
                output * size,
                steps,
                row * size,
                scales,
                output * n_scales,
                scale_step,
                n_blocks,
            )
            outputs[row, output] = found * units[row]


@kernel
def multiply_packed(
    inputs: Floats, packed: Bytes, scales: NDArray[np.uint16], outputs: Floats
) -> None:
    """(S, K) times the transpose of (N, K) weights in 4 bits into (S, N).

    Args:
        inputs: (S, K).
        packed: (N, K / 2), K a multiple of 32; each level is 8 more than what it stands for.
        scales: (N, K / 32), the bits of positive float16.
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    steps, units = np.empty((n_rows, size), np.int16), np.empty(n_rows, np.float32)
    round_inputs(inputs, steps, units)
    parted, n_groups = np.empty_like(steps), size // GROUP
    for row in range(n_rows):
        for group in range(0, size, GROUP):
            for i in range(GROUP // 2):
                parted[row, group + i] = steps[row, group + 2 * i]
                parted[row, group + GROUP // 2 + i] = steps[row, group + 2 * i + 1]
    bits = np.empty(n_groups, np.int32)
    own = bits.view(np.float32)
    for output in range(packed.shape[0]):
        for group in range(n_groups):  # the exponent of float32, after a shift, is 112 higher
            bits[group] = i32(scales[output, group]) << i32(13)
        for group in range(n_groups):
            own[group] *= f32(2.0**112)
        for row in range(n_rows):
            found = dot_packed(packed, output * size // 2, parted, row * size, own, n_groups)
            outputs[row, output] = found * units[row]
