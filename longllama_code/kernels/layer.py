"""Parts of a decoder layer over a few tokens: norm, rotation, activation, sums.

Shapes: ``S`` tokens, ``E`` hidden, ``H`` query heads, ``G`` key-value heads, ``D`` head size.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import kernel, loose_kernel

Floats = NDArray[np.float32]

i32 = np.int32
f32 = np.float32


@loose_kernel
def normalize(hidden: Floats, weight: Floats, eps: float, normed: Floats) -> None:
    """Write the RMS norm of each row of (S, E) into ``normed``."""
    for row in range(hidden.shape[0]):
        total = f32(0)
        for column in range(hidden.shape[1]):
            total += hidden[row, column] * hidden[row, column]
        scale = f32(1.0 / np.sqrt(total / hidden.shape[1] + eps))
        for column in range(hidden.shape[1]):
            normed[row, column] = hidden[row, column] * scale * weight[column]


@loose_kernel
def rotate(heads: Floats, cos: Floats, sin: Floats, rotated: Floats) -> None:
    """Rotate (H, S, D) by the positions behind ``cos`` and ``sin`` (S, D), into ``rotated``."""
    for head in range(heads.shape[0]):
        for row in range(heads.shape[1]):
            _rotate(heads[head, row], cos[row], sin[row], rotated[head, row])


@loose_kernel
def place_heads(
    joined: Floats,
    cos: Floats,
    sin: Floats,
    n_before: int,
    queries: Floats,
    keys: Floats,
    values: Floats,
) -> None:
    """Split joined projections into rotated queries, and keys and values of the local context.

    Args:
        joined: (S, (H + 2 · G) · D).
        cos: cosines of the tokens' positions (S, D); if empty, nothing is rotated.
        sin: sines (S, D).
        n_before: number of tokens of the local context before the pass.
        queries: (H, S, D), written.
        keys: (G, room, D), written from row ``n_before`` on.
        values: (G, room, D), written from row ``n_before`` on.
    """
    n_heads, n_rows, size = queries.shape
    n_groups, rotates = keys.shape[0], cos.shape[0] > 0
    for row in range(n_rows):
        heads = joined[row].reshape(-1, size)
        for head in range(n_heads):
            if rotates:
                _rotate(heads[head], cos[row], sin[row], queries[head, row])
            else:
                queries[head, row] = heads[head]
        for group in range(n_groups):
            key = keys[group, n_before + row]
            if rotates:
                _rotate(heads[n_heads + group], cos[row], sin[row], key)
            else:
                key[:] = heads[n_heads + group]
            values[group, n_before + row] = heads[n_heads + n_groups + group]


@loose_kernel
def _rotate(head: Floats, cos: Floats, sin: Floats, rotated: Floats) -> None:
    half = head.shape[0] // 2
    for i in range(half):
        low, high = head[i], head[i + half]
        rotated[i] = low * cos[i] - high * sin[i]
        rotated[i + half] = high * cos[i + half] + low * sin[i + half]


@kernel
def split_heads(joined: Floats, first: int, heads: Floats) -> None:
    """Copy columns of (S, …), from ``first`` on, into (H, S, D)."""
    n_heads, n_rows, size = heads.shape
    for head in range(n_heads):
        start = first + head * size
        for row in range(n_rows):
            for i in range(size):
                heads[head, row, i] = joined[row, start + i]


@loose_kernel
def exponentials(numbers: Floats, highest: np.float32) -> np.float32:
    """Replace x by exp(x - highest) to float32's precision; return the sum.

    Differences must be at most 87; those below -87 count as -87.

    Source: Cephes ``expf``: exp(x) = 2ⁿ · exp(r), with a polynomial for r in ±½ ln 2.
    """
    powers = np.empty(numbers.shape[0], np.int32)
    for i in range(numbers.shape[0]):
        x = max(f32(numbers[i] - highest), f32(-87))
        n = np.floor(x * f32(1.44269504) + f32(0.5))
        r = x - n * f32(0.693359375) + n * f32(2.12194440e-4)
        p = f32(1.9875691500e-4) * r + f32(1.3981999507e-3)
        p = p * r + f32(8.3334519073e-3)
        p = p * r + f32(4.1665795894e-2)
        p = p * r + f32(1.6666665459e-1)
        p = p * r + f32(5.0000001201e-1)
        numbers[i] = p * r * r + r + f32(1)
        powers[i] = i32(i32(n) + i32(127)) << i32(23)
    total = f32(0)
    scales = powers.view(np.float32)
    for i in range(numbers.shape[0]):
        numbers[i] *= scales[i]
        total += numbers[i]
    return total


@loose_kernel
def gate(both: Floats, gated: Floats) -> None:
    """Write SiLU of the first half of (S, 2 · I) times the second half, (S, I)."""
    size = gated.shape[1]
    for row in range(both.shape[0]):
        out = gated[row]
        for i in range(size):
            out[i] = -min(max(both[row, i], f32(-80)), f32(80))
        exponentials(out, f32(0))
        for i in range(size):
            out[i] = both[row, i] * both[row, size + i] / (f32(1) + out[i])


@kernel
def add(hidden: Floats, more: Floats) -> None:
    """Add (S, E) to the hidden state in place."""
    for row in range(hidden.shape[0]):
        for column in range(hidden.shape[1]):
            hidden[row, column] += more[row, column]
