"""Kernels that spread rounded keys and values into rows of a cache.

Shapes: ``H`` heads of all layers, ``n`` tokens, ``D`` head size.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import kernel

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]


@kernel
def spread_keys(
    codes: Codes,
    zeros: NDArray[Any],
    steps: Floats,
    cos: Floats,
    sin: Floats,
    rows: Floats,
    at: int,
) -> None:
    """Write rotated keys from codes of unrotated ones.

    Args:
        codes: (H, n, D).
        zeros: zero of each channel in steps (H, D).
        steps: step of each channel (H, D).
        cos: cosines of the tokens' positions (n, D).
        sin: sines (n, D).
        rows: (H, rows, D), written from row ``at`` on.
        at: first row.
    """
    half = codes.shape[2] // 2
    for head in range(codes.shape[0]):
        for row in range(codes.shape[1]):
            for first in range(half):
                second = first + half
                one = (codes[head, row, first] + zeros[head, first]) * steps[head, first]
                other = (codes[head, row, second] + zeros[head, second]) * steps[head, second]
                rows[head, at + row, first] = one * cos[row, first] - other * sin[row, first]
                rows[head, at + row, second] = other * cos[row, second] + one * sin[row, second]


@kernel
def spread_values(codes: Codes, lows: Floats, steps: Floats, rows: Floats, at: int) -> None:
    """Write values from codes of 4 bits.

    Args:
        codes: (H, n, D / 2); the low bits are of the first half of the channels.
        lows: lowest value of each token and head (H, n).
        steps: step of each (H, n).
        rows: (H, rows, D), written from row ``at`` on.
        at: first row.
    """
    half = codes.shape[2]
    for head in range(codes.shape[0]):
        for row in range(codes.shape[1]):
            low, step = lows[head, row], steps[head, row]
            for first in range(half):
                code = codes[head, row, first]
                rows[head, at + row, first] = low + step * (code & 15)
                rows[head, at + row, first + half] = low + step * (code >> 4)
