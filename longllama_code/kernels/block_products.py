"""Products of words, with weights in the blocks of a GGUF file, for any CPU.

Inputs are rounded as in ``products.py``, and a row's result does not depend on other rows. Where a
CPU sums products of bytes, ``byte_products`` does the same with inputs in 8 bits.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.codegen.block_levels import (
    CHUNK,
    CHUNK_SCALES,
    FACTORS,
    Q4_0,
    Q4_1,
    Q4_K,
    Q5_0,
    Q5_1,
    Q5_K,
    Q6_K,
    Q8_0,
    WITH_OFFSETS,
)
from longllama_code.kernels.codegen.block_tiles import (
    PAIR,
    make_panel_product,
    make_row_product,
    make_unpacking,
)
from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.products import Floats, Steps, round_inputs

ROWS, FEW_ROWS = 4, 2
"""Rows of a tile, and of a tile for fewer rows."""
CACHED_BYTES = 1 << 18
"""Bytes of inputs that are multiplied with all weights at a time: half a second-level cache."""

Bytes = NDArray[np.uint8]
Levels = NDArray[np.int16]

f32 = np.float32

_FACTORS = np.array(FACTORS, np.float32)
_CHUNK_SCALES = np.array(CHUNK_SCALES)

_row_q4_0, _unpack_q4_0 = make_row_product(Q4_0), make_unpacking(Q4_0)
_row_q4_1, _unpack_q4_1 = make_row_product(Q4_1), make_unpacking(Q4_1)
_row_q5_0, _unpack_q5_0 = make_row_product(Q5_0), make_unpacking(Q5_0)
_row_q5_1, _unpack_q5_1 = make_row_product(Q5_1), make_unpacking(Q5_1)
_row_q8_0, _unpack_q8_0 = make_row_product(Q8_0), make_unpacking(Q8_0)
_row_q4_k, _unpack_q4_k = make_row_product(Q4_K), make_unpacking(Q4_K)
_row_q5_k, _unpack_q5_k = make_row_product(Q5_K), make_unpacking(Q5_K)
_row_q6_k, _unpack_q6_k = make_row_product(Q6_K), make_unpacking(Q6_K)
_four_rows, _two_rows = make_panel_product(ROWS, 1, False), make_panel_product(FEW_ROWS, 1, False)
_four_rows_offsets = make_panel_product(ROWS, 1, True)
_two_rows_offsets = make_panel_product(FEW_ROWS, 1, True)
_four_rows_halves = make_panel_product(ROWS, 2, False)
_two_rows_halves = make_panel_product(FEW_ROWS, 2, False)


@kernel
def round_to_words(inputs: Floats, steps: Steps, units: Floats, sums: Floats) -> None:
    """Round each row to multiples of a unit of its own, in the order in which tiles load them.

    Args:
        inputs: (S, K), K a multiple of 32.
        steps: (S, K), written; of each 32 steps, those at even indices come first.
        units: (S, 1), written.
        sums: sums of each 32 steps (S, chunks), written, followed by zeros.
    """
    round_inputs(inputs, steps, units.reshape(-1))
    chunk = np.empty(CHUNK, np.int16)
    for row in range(steps.shape[0]):
        sums[row] = f32(0)
        for number in range(steps.shape[1] // CHUNK):
            mine = steps[row, number * CHUNK : (number + 1) * CHUNK]
            chunk[:] = mine
            total = np.int32(0)
            for i in range(CHUNK // 2):
                mine[i], mine[CHUNK // 2 + i] = chunk[2 * i], chunk[2 * i + 1]
                total += np.int32(chunk[2 * i]) + np.int32(chunk[2 * i + 1])
            sums[row, number] = f32(total)


@kernel
def multiply_row(
    kind: int,
    steps: Steps,
    units: Floats,
    sums: Floats,
    blocks: Bytes,
    first: int,
    end: int,
    outputs: Floats,
    column: int,
) -> None:
    """Multiply one row of rounded inputs with some rows of weights, whose blocks are read in order.

    Args:
        kind: kind of the blocks.
        steps: (1, K), from ``round_to_words``.
        units: (1, 1), from ``round_to_words``.
        sums: (1, chunks), from ``round_to_words``.
        blocks: (N, bytes).
        first: first row of weights.
        end: one past the last row, more than ``first``.
        outputs: (1, …), written from ``column`` on.
        column: column of row ``first``.
    """
    offsets = np.zeros(sums.shape, np.float32)
    if kind == Q4_0:
        _row_q4_0(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q4_1:
        _row_q4_1(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q5_0:
        _row_q5_0(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q5_1:
        _row_q5_1(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q8_0:
        _row_q8_0(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q4_K:
        _row_q4_k(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q5_K:
        _row_q5_k(steps, units, sums, blocks, first, end, offsets, outputs, column)
    elif kind == Q6_K:
        _row_q6_k(steps, units, sums, blocks, first, end, offsets, outputs, column)


@kernel
def multiply_rows(
    kind: int,
    steps: Steps,
    units: Floats,
    sums: Floats,
    blocks: Bytes,
    first: int,
    end: int,
    outputs: Floats,
    column: int,
) -> None:
    """Multiply at least two rows of rounded inputs with at least two rows of weights.

    Weights are unpacked once for all rows of inputs that fit in the cache. Arguments are those of
    ``multiply_row``, with S rows.
    """
    n_rows, size = steps.shape
    n_cached = max(ROWS, CACHED_BYTES // (2 * size) // ROWS * ROWS)
    scales = np.empty((PAIR, size // CHUNK * _CHUNK_SCALES[kind]), np.float32)
    offsets, levels = np.zeros((PAIR, sums.shape[1]), np.float32), np.empty((PAIR, size), np.int16)
    for start in range(0, n_rows, n_cached):
        last = min(start + n_cached, n_rows)
        for number in range(first, end, PAIR):
            output = min(number, end - PAIR)  # the last pair may overlap the one before
            for place in range(PAIR):
                _unpack(kind, blocks, output + place, levels, scales, offsets, place)
            inputs = steps, units, sums, start, last
            _multiply_panel(kind, inputs, levels, scales, offsets, outputs, column + output - first)


@kernel
def _multiply_panel(
    kind: int,
    inputs: tuple[Steps, Floats, Floats, int, int],
    levels: Levels,
    scales: Floats,
    offsets: Floats,
    outputs: Floats,
    column: int,
) -> None:
    """Multiply some rows of inputs with the unpacked levels of two rows of weights."""
    known = *inputs, levels, scales, offsets, kind, _FACTORS, outputs, column
    is_few = inputs[0].shape[0] < ROWS
    if kind in WITH_OFFSETS:
        if is_few:
            _two_rows_offsets(*known)
        else:
            _four_rows_offsets(*known)
    elif _CHUNK_SCALES[kind] == 2:
        if is_few:
            _two_rows_halves(*known)
        else:
            _four_rows_halves(*known)
    elif is_few:
        _two_rows(*known)
    else:
        _four_rows(*known)


@kernel
def _unpack(
    kind: int,
    blocks: Bytes,
    output: int,
    levels: Levels,
    scales: Floats,
    offsets: Floats,
    place: int,
) -> None:
    if kind == Q4_0:
        _unpack_q4_0(blocks, output, levels, scales, offsets, place)
    elif kind == Q4_1:
        _unpack_q4_1(blocks, output, levels, scales, offsets, place)
    elif kind == Q5_0:
        _unpack_q5_0(blocks, output, levels, scales, offsets, place)
    elif kind == Q5_1:
        _unpack_q5_1(blocks, output, levels, scales, offsets, place)
    elif kind == Q8_0:
        _unpack_q8_0(blocks, output, levels, scales, offsets, place)
    elif kind == Q4_K:
        _unpack_q4_k(blocks, output, levels, scales, offsets, place)
    elif kind == Q5_K:
        _unpack_q5_k(blocks, output, levels, scales, offsets, place)
    elif kind == Q6_K:
        _unpack_q6_k(blocks, output, levels, scales, offsets, place)
