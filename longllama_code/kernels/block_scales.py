"""The scales in a row of blocks of a GGUF file, as float32; and the offsets, where it has any.

A weight is a level times its scale, and the offset of its chunk: ``level * scale + offset``.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.block_levels import BLOCK_BYTES, Q4_1, Q4_K, Q5_1, Q5_K, Q6_K
from longllama_code.kernels.compiling import kernel
from longllama_code.kernels.half_floats import make_halves, read_eight_scales, read_sixteen_scales
from longllama_code.kernels.vectors import LANES

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BLOCK_BYTES = np.array(BLOCK_BYTES)
_read_one, _read_eight = make_halves(1), make_halves(LANES)


@kernel
def read_scales(kind: int, row: Bytes, scales: Floats, offsets: Floats) -> None:
    """Take the scales of a row.

    Args:
        kind: of its blocks.
        row: its bytes.
        scales: (chunks,) or (2 * chunks,), written.
        offsets: (chunks,) or more, written where the kind has them.
    """
    step = _BLOCK_BYTES[kind]
    if kind == Q6_K:
        for block in range(row.shape[0] // step):
            read_sixteen_scales(row, block * step, scales, block * 16)
    elif kind in (Q4_K, Q5_K):
        for block in range(row.shape[0] // step):
            read_eight_scales(row, block * step, scales, offsets, block * LANES)
    else:
        _read_halves(row, 0, step, scales)
        if kind in (Q4_1, Q5_1):
            _read_halves(row, 2, step, offsets)


@kernel
def _read_halves(row: Bytes, first: int, step: int, floats: Floats) -> None:
    """Float16 of each block."""
    n_blocks = row.shape[0] // step
    if n_blocks < LANES:
        for number in range(n_blocks):
            _read_one(row, first + number * step, step, floats, number)
        return
    for number in range(0, n_blocks - LANES + 1, LANES):
        _read_eight(row, first + number * step, step, floats, number)
    last = n_blocks - LANES
    _read_eight(row, first + last * step, step, floats, last)
