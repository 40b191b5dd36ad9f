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
from longllama_code.kernels.codegen.panels import FIELDS, OUTPUTS, QUAD, QUADS, SUPER

Halves, Words = NDArray[np.uint16], NDArray[np.uint32]
"""Two bytes of a block each, and four."""

_BLOCK_BYTES, _BLOCK_CHUNKS = np.array(BLOCK_BYTES), np.array(BLOCK_CHUNKS)
_CODES, _UNITS = (
    np.array([each.codes for each in FIELDS]),
    np.array([each.units for each in FIELDS]),
)
_WOVEN_BYTES = np.array([each.block_bytes for each in FIELDS])
_CHUNK_BYTES = np.array([each.chunk_bytes for each in FIELDS])

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
    # Places in whole arrays, as each slice of one would take as long as a chunk.
    halves, words, shorts = blocks.view(np.uint16), woven.view(np.uint32), woven.view(np.uint16)
    n_bytes, n_chunks, n_codes = _BLOCK_BYTES[kind], _BLOCK_CHUNKS[kind], _CODES[kind]
    size, of_chunk, of_units = _WOVEN_BYTES[kind], _CHUNK_BYTES[kind], OUTPUTS * _UNITS[kind]
    codes, units_at = np.empty(2 * SUPER, np.uint8), 208 if kind == Q6_K else 0
    for output in range(blocks.shape[0]):
        panel, place = output // OUTPUTS, output % OUTPUTS
        for number in range(blocks.shape[1] // n_bytes):
            block, to = number * n_bytes, number * size
            for unit in range(_UNITS[kind] // 2):
                half = halves[output, (block + units_at) // 2 + unit]
                shorts[panel, to // 2 + unit * OUTPUTS + place] = half
            if n_codes:
                _read_codes(kind, blocks, output, block, codes)
            for chunk in range(n_chunks):
                at = to + of_units + chunk * of_chunk
                for code in range(n_codes):
                    woven[panel, at + code * OUTPUTS + place] = codes[2 * chunk + code]
                at = (at + n_codes * OUTPUTS) // 4 + place
                if kind == Q6_K:
                    _put_six_bits(halves, output, block, chunk, words, panel, at)
                elif kind in (Q4_K, Q5_K):
                    _put_nibbles(kind, halves, output, block, chunk, words, panel, at)
                else:
                    _put_words(kind, halves, output, block, words, panel, at)


@kernel
def _put_words(
    kind: int, halves: Halves, output: int, block: int, words: Words, panel: int, at: int
) -> None:
    """Write the levels of a block of one chunk: words of the file, as halves of bytes fit."""
    n_quads = QUADS if kind == Q8_0 else QUADS // 2
    first = block + _BLOCK_BYTES[kind] - QUAD * n_quads
    if kind in (Q5_0, Q5_1):
        words[panel, at] = _spread(_word(halves, output, first - QUAD))
        at += OUTPUTS
    signs = u32(0x80808080) if kind == Q8_0 else u32(0)  # signed codes, plus 128
    for quad in range(n_quads):
        words[panel, at + quad * OUTPUTS] = _word(halves, output, first + QUAD * quad) ^ signs


@kernel
def _put_nibbles(
    kind: int,
    halves: Halves,
    output: int,
    block: int,
    chunk: int,
    words: Words,
    panel: int,
    at: int,
) -> None:
    """Write the levels of a chunk of a ``Q4_K`` or ``Q5_K`` block."""
    first = block + _BLOCK_BYTES[kind] - CHUNK // 2 * SUPER + CHUNK * (chunk // 2)
    if kind == Q5_K:
        bits = u32(0)
        for quad in range(QUADS):
            word = _word(halves, output, block + 16 + QUAD * quad)
            bits |= ((word >> u32(chunk)) & u32(0x01010101)) << u32(quad)
        words[panel, at] = bits
        at += OUTPUTS
    _put_low_bits(halves, output, first, 4 * (chunk % 2), words, panel, at)


@kernel
def _put_six_bits(
    halves: Halves, output: int, block: int, chunk: int, words: Words, panel: int, at: int
) -> None:
    """Write the levels of a chunk of a ``Q6_K`` block."""
    half, number = chunk // 4, chunk % 4
    for part in range(2):
        bits, tops = u32(0), block + 128 + CHUNK * half + CHUNK // 2 * part
        for quad in range(QUADS // 2):
            word = _word(halves, output, tops + QUAD * quad) >> u32(2 * number)
            bits |= (word & u32(0x03030303)) << u32(2 * quad)
        words[panel, at + part * OUTPUTS] = bits
    first = block + 64 * half + CHUNK * (number % 2)
    _put_low_bits(halves, output, first, 4 * (number // 2), words, panel, at + 2 * OUTPUTS)


@kernel
def _put_low_bits(
    halves: Halves, output: int, first: int, shift: int, words: Words, panel: int, at: int
) -> None:
    """Write the low four bits of a chunk, which are the low or high halves of 32 bytes."""
    for quad in range(QUADS // 2):
        low = (_word(halves, output, first + QUAD * quad) >> u32(shift)) & u32(0x0F0F0F0F)
        last = _word(halves, output, first + CHUNK // 2 + QUAD * quad) >> u32(shift)
        words[panel, at + quad * OUTPUTS] = low | ((last & u32(0x0F0F0F0F)) << u32(4))


@kernel
def _word(halves: Halves, output: int, first: int) -> np.uint32:
    """Return four bytes of a row, the first of which has an even index, as a number."""
    low, high = u32(halves[output, first // 2]), u32(halves[output, first // 2 + 1])
    return u32(low | (high << u32(16)))


@kernel
def _spread(bits: np.uint32) -> np.uint32:
    """Return 32 bits with that of level ``4 q + b`` as bit ``q`` of byte ``b``."""
    found = u32(0)
    for byte in range(QUAD):
        mine = (bits >> u32(byte)) & u32(0x11111111)
        mine = (mine | (mine >> u32(3))) & u32(0x03030303)
        mine = (mine | (mine >> u32(6))) & u32(0x000F000F)
        mine = (mine | (mine >> u32(12))) & u32(0xFF)
        found |= mine << u32(8 * byte)
    return found


@kernel
def _read_codes(kind: int, blocks: Bytes, output: int, block: int, codes: Bytes) -> None:
    """Write the codes of a block's scales and offsets, two of each chunk."""
    if kind == Q6_K:
        for i in range(2 * SUPER):
            codes[i] = blocks[output, block + 192 + i]
        return
    for i in range(SUPER // 2):
        at = block + 4 + i
        scale, offset, rest = blocks[output, at], blocks[output, at + 4], blocks[output, at + 8]
        codes[2 * i], codes[2 * i + 1] = scale & u8(63), offset & u8(63)
        last = 2 * i + SUPER
        codes[last] = (rest & u8(15)) | ((scale >> u8(6)) << u8(4))
        codes[last + 1] = (rest >> u8(4)) | ((offset >> u8(6)) << u8(4))
