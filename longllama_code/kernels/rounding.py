"""Quantization of a file's weights to 8 or 4 bits, row by row, while a row is in the cache.

Floats are passed as their bits; a left shift by ``shift`` makes them float32 (16 for bfloat16, 0
for float32). Results equal those of the same steps in torch, to the bit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.codegen.rounding_tile import SIGNLESS, TO_INTEGER

Bits = NDArray[Any]
"""(N, K), uint16 or uint32."""
Floats = NDArray[np.float32]

u32 = np.uint32
f32 = np.float32


@kernel
def round_codes(bits: Bits, shift: int, rows: NDArray[np.int8], scales: Floats) -> None:
    """Quantize weights to 8 bits, with a scale for each row: its largest weight divided by 127.

    Args:
        bits: (N, K).
        shift: left shift to the bits of float32.
        rows: (N, K), written.
        scales: (N,), written.
    """
    spread = np.empty(bits.shape[1], np.uint32)
    values = spread.view(np.float32)
    top = np.empty(1, np.uint32)
    for row in range(bits.shape[0]):
        largest = u32(0)
        for i in range(bits.shape[1]):
            spread[i] = u32(bits[row, i]) << u32(shift)
            largest = max(largest, u32(spread[i] & u32(SIGNLESS)))
        top[0] = largest
        scale = max(f32(top.view(np.float32)[0] / f32(127)), f32(1.1754944e-38))
        scales[row] = scale
        for i in range(bits.shape[1]):
            values[i] = f32(values[i] / scale) + f32(TO_INTEGER)
        for i in range(bits.shape[1]):
            rows[row, i] = np.int8(spread[i] & u32(255))


@kernel
def largest_of_groups(bits: Bits, shift: int, largest: Floats) -> None:
    """Write the largest magnitude in each group: (N, K) → (N, K / group)."""
    group = bits.shape[1] // largest.shape[1]
    found = np.empty(largest.shape[1], np.uint32)
    values = found.view(np.float32)
    for row in range(bits.shape[0]):
        for g in range(largest.shape[1]):
            top = u32(0)
            for i in range(g * group, (g + 1) * group):
                top = max(top, u32((u32(bits[row, i]) << u32(shift)) & u32(SIGNLESS)))
            found[g] = top
        largest[row] = values


@kernel
def pack_levels(bits: Bits, shift: int, divisors: Floats, packed: NDArray[np.uint8]) -> None:
    """Quantize weights to 4 bits, as codes that are levels plus 8, two in a byte.

    Args:
        bits: (N, K).
        shift: left shift to the bits of float32.
        divisors: (N, K / group), above 0.
        packed: (N, K / 2), written; the first of two codes is in the low half.
    """
    size = bits.shape[1]
    group = size // divisors.shape[1]
    spread, levels = np.empty(size, np.uint32), np.empty(size, np.uint8)
    values = spread.view(np.float32)
    for row in range(bits.shape[0]):
        for i in range(size):
            spread[i] = u32(bits[row, i]) << u32(shift)
        for g in range(divisors.shape[1]):
            divisor = divisors[row, g]
            for i in range(g * group, (g + 1) * group):
                level = f32(values[i] / divisor)
                values[i] = min(max(level, f32(-8)), f32(7)) + f32(TO_INTEGER + 8)
        for i in range(size):
            levels[i] = np.uint8(spread[i] & u32(15))
        for i in range(size // 2):
            packed[row, i] = levels[2 * i] | (levels[2 * i + 1] << np.uint8(4))
