"""Kernels that spread rounded keys and values into the rows of a cache.

Shapes: ``H`` heads of all layers, ``n`` tokens, ``D`` head size. A layer's rows lie wherever its
cache has them, so they are passed by their addresses.
"""

from typing import Any

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import loose_kernel
from longllama_code.kernels.sharing.atomics import pointer

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Addresses = NDArray[np.int64]
"""Address of the first token's numbers for each head of all layers, (H,)."""

f32, i32 = np.float32, np.int32


@loose_kernel
def spread_keys(
    codes: Codes, zeros: NDArray[Any], steps: Floats, cos: Floats, sin: Floats, rows: Addresses
) -> None:
    """Write rotated keys from codes of unrotated ones.

    Args:
        codes: (H, n, D).
        zeros: zero of each channel in steps (H, D).
        steps: step of each channel (H, D).
        cos: cosines of the tokens' positions (n, D).
        sin: sines (n, D).
        rows: where each head's keys are written, (n, D) each.
    """
    n_heads, n_tokens, size = codes.shape
    half = size // 2
    lows = np.empty(size, np.float32)
    for head in range(n_heads):
        step = steps[head]
        for channel in range(size):
            lows[channel] = f32(zeros[head, channel]) * step[channel]
        keys = carray(pointer(rows[head]), (n_tokens, size), np.float32)
        for token in range(n_tokens):
            code, key, cosines, sines = codes[head, token], keys[token], cos[token], sin[token]
            for first in range(half):
                second = first + half
                one = f32(i32(code[first])) * step[first] + lows[first]
                other = f32(i32(code[second])) * step[second] + lows[second]
                key[first] = one * cosines[first] - other * sines[first]
                key[second] = other * cosines[second] + one * sines[second]


@loose_kernel
def spread_values(codes: Codes, lows: Floats, steps: Floats, rows: Addresses) -> None:
    """Write values from codes of 4 bits.

    Args:
        codes: (H, n, D / 2); the low bits are of the first half of the channels.
        lows: lowest value of each token and head (H, n).
        steps: step of each (H, n).
        rows: where each head's values are written, (n, D) each.
    """
    n_heads, n_tokens, half = codes.shape
    for head in range(n_heads):
        values = carray(pointer(rows[head]), (n_tokens, 2 * half), np.float32)
        for token in range(n_tokens):
            low, step = lows[head, token], steps[head, token]
            code, firsts, seconds = codes[head, token], values[token, :half], values[token, half:]
            for place in range(half):
                firsts[place] = low + step * f32(i32(code[place]) & i32(15))
            for place in range(half):
                seconds[place] = low + step * f32(i32(code[place]) >> i32(4))
