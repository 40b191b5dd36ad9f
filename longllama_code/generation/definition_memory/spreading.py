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

MIXED = 8
"""Number of channels that are mixed before they get codes of 2 bits."""
OUTER, INNER = 1.510, 0.4528
"""Levels of 2 bits, either sign, in units of the scale: those of a normal distribution."""
CUBIC = f32((OUTER / 1.5 - INNER / 0.5) / 2)
LINEAR = f32(INNER / 0.5 - CUBIC / 4)
"""A code's level is ``LINEAR · x + CUBIC · x³``, with x from -1.5 to 1.5 in steps of 1."""


@loose_kernel
def spread_keys(
    codes: Codes, zeros: NDArray[Any], steps: Floats, cos: Floats, sin: Floats, rows: Addresses
) -> None:
    """Write rotated keys from codes of unrotated ones.

    Args:
        codes: of 4 bits, (H, n, D / 2); the low bits are of the first half of the channels.
        zeros: zero of each channel in steps (H, D).
        steps: step of each channel (H, D).
        cos: cosines of the tokens' positions (n, D).
        sin: sines (n, D).
        rows: where each head's keys are written, (n, D) each.
    """
    n_heads, n_tokens, half = codes.shape
    size = 2 * half
    lows = np.empty(size, np.float32)
    ones, others = np.empty(half, np.float32), np.empty(half, np.float32)
    for head in range(n_heads):
        step = steps[head]
        for channel in range(size):
            lows[channel] = f32(zeros[head, channel]) * step[channel]
        keys = carray(pointer(rows[head]), (n_tokens, size), np.float32)
        (low_steps, high_steps), (low_lows, high_lows) = _halves(step), _halves(lows)
        for token in range(n_tokens):
            code, (low_keys, high_keys) = codes[head, token], _halves(keys[token])
            for place in range(half):
                ones[place] = f32(i32(code[place]) & i32(15)) * low_steps[place] + low_lows[place]
            for place in range(half):
                others[place] = f32(i32(code[place]) >> i32(4)) * high_steps[place]
                others[place] += high_lows[place]
            (low_cos, high_cos), (low_sin, high_sin) = _halves(cos[token]), _halves(sin[token])
            for place in range(half):
                one, other = ones[place], others[place]
                low_keys[place] = one * low_cos[place] - other * low_sin[place]
                high_keys[place] = other * high_cos[place] + one * high_sin[place]


@loose_kernel
def _halves(numbers: Floats) -> tuple[Floats, Floats]:
    half = numbers.shape[0] // 2
    return numbers[:half], numbers[half:]


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


@loose_kernel
def spread_mixed_values(codes: Codes, scales: Floats, rows: Addresses) -> None:
    """Write values from codes of 2 bits of mixed ones.

    Args:
        codes: (H, n, D / 4); the lowest bits are of the first quarter of the channels.
        scales: scale of each token and head (H, n).
        rows: where each head's values are written, (n, D) each.
    """
    n_heads, n_tokens, quarter = codes.shape
    size = 4 * quarter
    for head in range(n_heads):
        values = carray(pointer(rows[head]), (n_tokens, size), np.float32)
        for token in range(n_tokens):
            scale = scales[head, token] / f32(np.sqrt(MIXED))
            code, value = codes[head, token], values[token]
            for part in range(4):
                of_part = value[part * quarter : (part + 1) * quarter]
                for place in range(quarter):
                    x = f32(i32(code[place]) >> i32(2 * part) & i32(3)) - f32(1.5)
                    of_part[place] = scale * x * (LINEAR + CUBIC * x * x)
            apart = size // 2
            while apart >= size // MIXED:
                _add_and_subtract(value, apart)
                apart //= 2


@loose_kernel
def _add_and_subtract(numbers: Floats, apart: int) -> None:
    """Replace two numbers that are ``apart`` by their sum and their difference, for all of them."""
    for start in range(0, numbers.shape[0], 2 * apart):
        firsts, seconds = numbers[start : start + apart], numbers[start + apart : start + 2 * apart]
        for place in range(apart):
            first, second = firsts[place], seconds[place]
            firsts[place], seconds[place] = first + second, first - second
