"""Weights of a GGUF file's blocks in the order in which a product of bytes reads them.

The outputs of a matrix are split into panels. In a panel, four neighbouring weights (a quad) of
each output are side by side, so that each lane of a vector belongs to an output. A panel keeps the
file's bits, one block after the other; a block has the float16 numbers (units) of all outputs, and
of each chunk of 32 weights:

    codes       of the scales, and of the offsets, where they have 6 or 8 bits
    high bits   the fifth bit, or the fifth and sixth
    low bits    by quad; where they are 4, the first four quads are in the low halves of bytes, and
                the last four in the high halves

This is the order in which a product reads, since a CPU fetches ahead what is read in order.

A weight is its level, less the kind's zero, times a scale, plus the chunk's offset if the kind has
offsets. Levels are unsigned.

Source of the formats: ``ggml-common.h`` and ``ggml-quants.c`` of llama.cpp.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.block_products import Bytes
from longllama_code.kernels.codegen.block_levels import (
    BLOCK_BYTES,
    BLOCK_CHUNKS,
    CHUNK,
    Q4_K,
    Q5_0,
    Q5_1,
    Q5_K,
    Q6_K,
    Q8_0,
)
from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.codegen.panels import FIELDS, OUTPUTS, QUADS, SUPER

Words = NDArray[np.uint32]

_BLOCK_BYTES, _BLOCK_CHUNKS = np.array(BLOCK_BYTES), np.array(BLOCK_CHUNKS)
_LOW, _HIGH = np.array([each.low for each in FIELDS]), np.array([each.high for each in FIELDS])
_CODES, _UNITS = (
    np.array([each.codes for each in FIELDS]),
    np.array([each.units for each in FIELDS]),
)
_WOVEN_BYTES = np.array([each.block_bytes for each in FIELDS])
_CHUNK_BYTES = np.array([each.chunk_bytes for each in FIELDS])
_HALF = CHUNK // 2

u8 = np.uint8
u32 = np.uint32


def shape_of_woven(kind: int, n_outputs: int, row_bytes: int) -> tuple[int, int]:
    """Return the number of panels of blocks (N, bytes), and the bytes of a panel."""
    fields = FIELDS[kind]
    n_blocks = row_bytes // BLOCK_BYTES[kind] * BLOCK_CHUNKS[kind] // fields.n_chunks
    return -(-n_outputs // OUTPUTS), n_blocks * fields.block_bytes


@kernel
def weave(kind: int, blocks: Bytes, woven: Bytes) -> None:
    """Write blocks as panels.

    Args:
        kind: kind of the blocks.
        blocks: (N, bytes).
        woven: zeros, of the shape that ``shape_of_woven`` says; those of missing outputs stay.
    """
    n_bytes, n_chunks = _BLOCK_BYTES[kind], _BLOCK_CHUNKS[kind]
    n_numbers, first = _UNITS[kind] // 2, OUTPUTS * _UNITS[kind]
    bits_at = OUTPUTS * _CODES[kind]
    levels = np.empty(CHUNK * n_chunks, np.uint8)
    codes, halves = np.empty(2 * n_chunks, np.uint8), np.empty(4, np.uint8)
    quads = levels.view(np.uint32)
    for output in range(blocks.shape[0]):
        panel, place = woven[output // OUTPUTS], output % OUTPUTS
        for number in range(blocks.shape[1] // n_bytes):
            block = blocks[output, number * n_bytes : (number + 1) * n_bytes]
            mine = panel[number * _WOVEN_BYTES[kind] : (number + 1) * _WOVEN_BYTES[kind]]
            _read_levels(kind, block, levels)
            _read_scales(kind, block, codes, halves)
            for half in range(n_numbers):
                to = 2 * (half * OUTPUTS + place)
                mine[to], mine[to + 1] = halves[2 * half], halves[2 * half + 1]
            for chunk in range(n_chunks):
                start = first + chunk * _CHUNK_BYTES[kind]
                to = mine[start : start + _CHUNK_BYTES[kind]]
                own = quads[chunk * QUADS : (chunk + 1) * QUADS]
                for code in range(_CODES[kind]):
                    to[code * OUTPUTS + place] = codes[2 * chunk + code]
                _put_bits(own, place, _LOW[kind], _HIGH[kind], to[bits_at:])


@kernel
def _put_bits(quads: Words, place: int, n_low: int, n_high: int, chunk: Bytes) -> None:
    """Write the bits of a chunk's levels of one output into a panel."""
    words = chunk.view(np.uint32)
    n_quads, n_bits = n_low // 4, n_high // 4
    mask, each = (u32(0x01010101), QUADS) if n_bits == 1 else (u32(0x03030303), QUADS // 2)
    for part in range(n_bits):
        word = u32(0)
        for quad in range(each):
            bits = (quads[part * each + quad] >> u32(4)) & mask
            word = u32(word | (bits << u32(quad * n_bits)))
        words[part * OUTPUTS + place] = word
    first = n_bits * OUTPUTS + place
    for quad in range(n_quads):
        word = quads[quad]
        if n_quads < QUADS:
            low, last = word & u32(0x0F0F0F0F), quads[quad + n_quads] & u32(0x0F0F0F0F)
            word = u32(low | (last << u32(4)))
        words[first + quad * OUTPUTS] = word


@kernel
def _read_levels(kind: int, block: Bytes, levels: Bytes) -> None:
    """Write the unsigned levels of a block."""
    if kind == Q8_0:
        for i in range(CHUNK):
            levels[i] = block[2 + i] ^ u8(128)
    elif kind == Q6_K:
        _read_six_bits(block, levels)
    elif kind in (Q4_K, Q5_K):
        _read_nibbles(block[-4 * CHUNK :], levels)
        if kind == Q5_K:
            for i in range(levels.shape[0]):
                bit = (block[16 + i % CHUNK] >> u8(i // CHUNK)) & u8(1)
                levels[i] |= bit << u8(4)
    else:
        first = block.shape[0] - _HALF
        for i in range(_HALF):
            levels[i], levels[_HALF + i] = block[first + i] & u8(15), block[first + i] >> u8(4)
        if kind in (Q5_0, Q5_1):
            for i in range(CHUNK):
                bit = (block[first - 4 + i // 8] >> u8(i % 8)) & u8(1)
                levels[i] |= bit << u8(4)


@kernel
def _read_nibbles(packed: Bytes, levels: Bytes) -> None:
    """Write levels of 4 bits: of each 32 bytes, the low halves are a chunk, the high ones next."""
    for number in range(packed.shape[0] // CHUNK):
        for i in range(CHUNK):
            both = packed[number * CHUNK + i]
            levels[2 * number * CHUNK + i] = both & u8(15)
            levels[(2 * number + 1) * CHUNK + i] = both >> u8(4)


@kernel
def _read_six_bits(block: Bytes, levels: Bytes) -> None:
    """Write the levels of a ``Q6_K`` block."""
    for half in range(2):
        for number in range(4):
            start = 64 * half + CHUNK * (number % 2)
            for i in range(CHUNK):
                low = (block[start + i] >> u8(4 * (number // 2))) & u8(15)
                top = (block[128 + CHUNK * half + i] >> u8(2 * number)) & u8(3)
                levels[(4 * half + number) * CHUNK + i] = low | (top << u8(4))


@kernel
def _read_scales(kind: int, block: Bytes, codes: Bytes, halves: Bytes) -> None:
    """Write the codes of a block's scales and offsets, and the bytes of its float16 numbers."""
    if kind == Q6_K:
        codes[:], halves[:2] = block[192:208], block[208:210]
        return
    halves[:] = block[:4]
    if kind in (Q4_K, Q5_K):
        packed = block[4:16]
        for i in range(SUPER):
            if i < 4:
                scale, offset = packed[i] & u8(63), packed[i + 4] & u8(63)
            else:
                scale = (packed[i + 4] & u8(15)) | ((packed[i - 4] >> u8(6)) << u8(4))
                offset = (packed[i + 4] >> u8(4)) | ((packed[i] >> u8(6)) << u8(4))
            codes[2 * i], codes[2 * i + 1] = scale, offset
