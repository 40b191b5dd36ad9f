"""Records of memory as the arrays that kernels read, and weighted sums of the values in them.

A record has the keys and values of one token. ``search`` finds the keys; a value is stored in 8, 5
or 4 bits for each channel, with a range of its own.

Shapes: ``R`` query heads that share the head, ``S`` tokens, ``D`` head size, ``N`` records, ``M``
rows of memory, ``k`` keys wanted.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.compiling import kernel, loose_kernel

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Codes = NDArray[np.int8]
Rows = NDArray[np.int32]
Counts = NDArray[np.int64]

i32 = np.int32
f32 = np.float32


class RecordArrays(NamedTuple):
    """Records as arrays, and the offsets of one head's keys and values in them."""

    content: Bytes
    """Records, (N, bytes)."""
    signed: Codes
    """View of ``content`` as signed bytes, on the same memory."""
    positions: Rows
    """Record of each row, (M,)."""
    visible: NDArray[np.bool_]
    """Visible rows, (M,), or empty if all are."""
    key: int
    """Offset of a key's codes in a record."""
    key_bits: int
    value: int
    """Offset of a value's codes."""
    value_bits: int
    range: int
    """Offset of a value's range: its lowest value and its step, as float16."""


@loose_kernel
def mix_values(weights: Floats, found: Counts, records: RecordArrays, mixed: Floats) -> None:
    """Write weighted sums of the values of rows.

    Args:
        weights: (R, S, k).
        found: rows, (R, S, k).
        records: values of all rows.
        mixed: (R, S, D), written.
    """
    n_heads, n_tokens, n_keys = weights.shape
    size = mixed.shape[2]
    narrow, eighth = size // 2, size // 8
    for head in range(n_heads):
        for token in range(n_tokens):
            out = mixed[head, token]
            out[:] = 0
            for place in range(n_keys):
                record = records.content[records.positions[found[head, token, place]]]
                weight = weights[head, token, place]
                low = weight * _half(record, records.range)
                step = weight * _half(record, records.range + 2)
                if records.value_bits == 8:
                    codes = record[records.value : records.value + size]
                    for i in range(size):
                        out[i] += low + step * f32(codes[i])
                else:
                    packed = record[records.value : records.value + narrow]
                    for i in range(narrow):
                        out[i] += low + step * f32(packed[i] & 15)
                        out[narrow + i] += low + step * f32(packed[i] >> 4)
                if records.value_bits == 5:
                    fifth = record[records.value + narrow : records.value + narrow + eighth]
                    for place_in_byte in range(8):
                        for i in range(eighth):
                            bit = f32((fifth[i] >> place_in_byte) & 1)
                            out[place_in_byte * eighth + i] += step * f32(16) * bit


@kernel
def _half(record: Bytes, first: int) -> np.float32:
    """Return a float16 as float32, by hand: numba has no float16 on CPUs."""
    bits = i32(record[first]) | (i32(record[first + 1]) << i32(8))
    exponent, fraction = (bits >> 10) & 31, bits & 1023
    size = math.ldexp(1024 + fraction, exponent - 25) if exponent else math.ldexp(fraction, -24)
    return f32(-size if bits >> 15 else size)
