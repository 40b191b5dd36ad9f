"""A decoder layer over a few tokens: norm, 8-bit products, rotation, attention, feed-forward.

Shapes: ``S`` tokens, ``E`` hidden, ``H`` query heads, ``G`` key-value heads, ``D`` head size.
Weights are 8-bit codes in blocks of 64 with a scale each; inputs are rounded to 15 bits of each
token's largest value, and block sums are integers, so a token's result does not depend on how many
others are in the pass. That is what makes verified drafts exact.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.compiling import kernel, loose_kernel

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]
Steps = NDArray[np.int16]

BLOCK = 64
"""Weights that share a scale."""
OUTPUTS = 4
"""Outputs computed at once: sizes are multiples of it."""
MOST = 16383
"""The largest step of an input: products of 15 and 8 bits, 64 of them, fit into 32 bits."""

i32 = np.int32
f32 = np.float32


@kernel
def multiply(inputs: Floats, codes: Codes, scales: Floats, outputs: Floats) -> None:
    """(S, K) times the transpose of (N, K) weights into (S, N).

    Args:
        inputs: (S, K).
        codes: (N, K).
        scales: (N, K / 64).
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    steps = np.empty((n_rows, size), np.int16)
    units = np.empty(n_rows, np.float32)
    _round(inputs, steps, units)
    for output in range(0, codes.shape[0], OUTPUTS):
        row = 0
        while row + 3 < n_rows:
            for pair in range(output, output + OUTPUTS, 2):
                _four_rows(steps, units, row, codes, scales, pair, outputs)
            row += 4
        while row < n_rows:
            _one_row(steps, units, row, codes, scales, output, outputs)
            row += 1


@kernel
def _round(inputs: Floats, steps: Steps, units: Floats) -> None:
    """Each row as steps of a unit of its own."""
    for row in range(inputs.shape[0]):
        largest = f32(0)
        for column in range(inputs.shape[1]):
            largest = max(largest, abs(inputs[row, column]))
        units[row] = max(largest, f32(1e-30)) / f32(MOST)
        per_unit = f32(1) / units[row]
        for column in range(inputs.shape[1]):
            steps[row, column] = np.int16(np.rint(inputs[row, column] * per_unit))


@kernel
def _one_row(
    steps: Steps, units: Floats, row: int, codes: Codes, scales: Floats, first: int, outputs: Floats
) -> None:
    """Four outputs of one row. The casts keep sums in 32 bits, which is what is fast."""
    a = b = c = d = f32(0)
    for block in range(scales.shape[1]):
        start, end = block * BLOCK, (block + 1) * BLOCK
        x = steps[row, start:end]
        wa, wb = codes[first, start:end], codes[first + 1, start:end]
        wc, wd = codes[first + 2, start:end], codes[first + 3, start:end]
        sum_a = sum_b = sum_c = sum_d = i32(0)
        for k in range(BLOCK):
            step = i32(x[k])
            sum_a = i32(sum_a + i32(i32(wa[k]) * step))
            sum_b = i32(sum_b + i32(i32(wb[k]) * step))
            sum_c = i32(sum_c + i32(i32(wc[k]) * step))
            sum_d = i32(sum_d + i32(i32(wd[k]) * step))
        a += f32(sum_a) * scales[first, block]
        b += f32(sum_b) * scales[first + 1, block]
        c += f32(sum_c) * scales[first + 2, block]
        d += f32(sum_d) * scales[first + 3, block]
    outputs[row, first] = a * units[row]
    outputs[row, first + 1] = b * units[row]
    outputs[row, first + 2] = c * units[row]
    outputs[row, first + 3] = d * units[row]


@kernel
def _four_rows(
    steps: Steps, units: Floats, row: int, codes: Codes, scales: Floats, first: int, outputs: Floats
) -> None:
    """Two outputs of four rows, so that a weight is read once for them."""
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = f32(0)
    for block in range(scales.shape[1]):
        start, end = block * BLOCK, (block + 1) * BLOCK
        x0, x1 = steps[row, start:end], steps[row + 1, start:end]
        x2, x3 = steps[row + 2, start:end], steps[row + 3, start:end]
        wa, wb = codes[first, start:end], codes[first + 1, start:end]
        p0 = p1 = p2 = p3 = q0 = q1 = q2 = q3 = i32(0)
        for k in range(BLOCK):
            u, v = i32(wa[k]), i32(wb[k])
            p0 = i32(p0 + i32(u * i32(x0[k])))
            p1 = i32(p1 + i32(u * i32(x1[k])))
            p2 = i32(p2 + i32(u * i32(x2[k])))
            p3 = i32(p3 + i32(u * i32(x3[k])))
            q0 = i32(q0 + i32(v * i32(x0[k])))
            q1 = i32(q1 + i32(v * i32(x1[k])))
            q2 = i32(q2 + i32(v * i32(x2[k])))
            q3 = i32(q3 + i32(v * i32(x3[k])))
        scale_a, scale_b = scales[first, block], scales[first + 1, block]
        a0, a1, a2, a3 = (
            a0 + f32(p0) * scale_a,
            a1 + f32(p1) * scale_a,
            a2 + f32(p2) * scale_a,
            a3 + f32(p3) * scale_a,
        )
        b0, b1, b2, b3 = (
            b0 + f32(q0) * scale_b,
            b1 + f32(q1) * scale_b,
            b2 + f32(q2) * scale_b,
            b3 + f32(q3) * scale_b,
        )
    outputs[row, first], outputs[row, first + 1] = a0 * units[row], b0 * units[row]
    outputs[row + 1, first], outputs[row + 1, first + 1] = a1 * units[row + 1], b1 * units[row + 1]
    outputs[row + 2, first], outputs[row + 2, first + 1] = a2 * units[row + 2], b2 * units[row + 2]
    outputs[row + 3, first], outputs[row + 3, first + 1] = a3 * units[row + 3], b3 * units[row + 3]


@loose_kernel
def normalize(hidden: Floats, weight: Floats, eps: float, normed: Floats) -> None:
    """RMS norm of (S, E) by row, into ``normed``."""
    for row in range(hidden.shape[0]):
        total = f32(0)
        for column in range(hidden.shape[1]):
            total += hidden[row, column] * hidden[row, column]
        scale = f32(1.0 / np.sqrt(total / hidden.shape[1] + eps))
        for column in range(hidden.shape[1]):
            normed[row, column] = hidden[row, column] * scale * weight[column]


@loose_kernel
def rotate(heads: Floats, cos: Floats, sin: Floats, rotated: Floats) -> None:
    """(H, S, D) by the positions behind ``cos`` and ``sin`` (S, D), into ``rotated``."""
    half = heads.shape[2] // 2
    for head in range(heads.shape[0]):
        for row in range(heads.shape[1]):
            for i in range(half):
                low, high = heads[head, row, i], heads[head, row, i + half]
                rotated[head, row, i] = low * cos[row, i] - high * sin[row, i]
                rotated[head, row, i + half] = high * cos[row, i + half] + low * sin[row, i + half]


@kernel
def split_heads(joined: Floats, bias: Floats, first: int, heads: Floats) -> None:
    """Columns of (S, …) from ``first`` on, with their bias if there is any, as (H, S, D)."""
    n_heads, n_rows, size = heads.shape
    for head in range(n_heads):
        start = first + head * size
        for row in range(n_rows):
            for i in range(size):
                heads[head, row, i] = joined[row, start + i]
            if bias.shape[0]:
                for i in range(size):
                    heads[head, row, i] += bias[start + i]


@loose_kernel
def attend(
    queries: Floats, keys: Floats, values: Floats, n_before: int, mixed: Floats, totals: Floats
) -> None:
    """Causal attention to the local context.

    Args:
        queries: (H, S, D), rotated.
        keys: (G, room, D), rotated; the pass's own are in it from row ``n_before`` on.
        values: (G, room, D).
        n_before: tokens of the local context before the pass.
        mixed: (S, H · D), written.
        totals: (H, S), written: logarithms of the sums of exponentials of scores.
    """
    n_heads, n_rows, size = queries.shape
    n_shared = n_heads // keys.shape[0]
    scale = f32(1 / np.sqrt(size))
    weights = np.empty(n_before + n_rows, np.float32)
    for head in range(n_heads):
        group = head // n_shared
        for row in range(n_rows):
            n_seen = n_before + row + 1
            query = queries[head, row]
            highest = f32(-np.inf)
            for token in range(n_seen):
                score = f32(0)
                key = keys[group, token]
                for i in range(size):
                    score += query[i] * key[i]
                weights[token] = score * scale
                highest = max(highest, weights[token])
            total = exponentials(weights[:n_seen], highest)
            totals[head, row] = highest + np.log(total)
            out = mixed[row, head * size : (head + 1) * size]
            out[:] = 0
            for token in range(n_seen):
                weight, value = weights[token], values[group, token]
                for i in range(size):
                    out[i] += weight * value[i]
            for i in range(size):
                out[i] /= total


@loose_kernel
def exponentials(numbers: Floats, highest: np.float32) -> np.float32:
    """Replace x by exp(x - highest), for differences from -87 to 87; their sum.

    To float32's precision.

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
    """SiLU of the first half of (S, 2 · I) times the second, into (S, I)."""
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
