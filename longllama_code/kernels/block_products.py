"""Products with weights in the blocks of a GGUF file, as they lie there.

Inputs are rounded as in ``products.py``, and a row comes out the same alone or beside others.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.block_levels import (
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
)
from longllama_code.kernels.block_scales import Bytes, Floats, read_scales
from longllama_code.kernels.block_tiles import (
    make_block_tile,
    make_finishing,
    make_panel_tile,
    make_unpacking,
)
from longllama_code.kernels.compiling import kernel
from longllama_code.kernels.products import Steps, round_inputs
from longllama_code.kernels.vectors import LANES

ROWS, PAIR = 4, 2
"""Of a tile."""
CACHED_BYTES = 1 << 18
"""Of inputs that meet all weights before the next ones do: half of a core's second cache."""

Levels = NDArray[np.int16]

f32 = np.float32

_FACTORS = np.array(FACTORS, np.float32)
_CHUNK_SCALES = np.array(CHUNK_SCALES)

_tile_q4_0, _unpack_q4_0 = make_block_tile(Q4_0, PAIR), make_unpacking(Q4_0)
_tile_q4_1, _unpack_q4_1 = make_block_tile(Q4_1, PAIR), make_unpacking(Q4_1)
_tile_q5_0, _unpack_q5_0 = make_block_tile(Q5_0, PAIR), make_unpacking(Q5_0)
_tile_q5_1, _unpack_q5_1 = make_block_tile(Q5_1, PAIR), make_unpacking(Q5_1)
_tile_q8_0, _unpack_q8_0 = make_block_tile(Q8_0, PAIR), make_unpacking(Q8_0)
_tile_q4_k, _unpack_q4_k = make_block_tile(Q4_K, PAIR), make_unpacking(Q4_K)
_tile_q5_k, _unpack_q5_k = make_block_tile(Q5_K, PAIR), make_unpacking(Q5_K)
_tile_q6_k, _unpack_q6_k = make_block_tile(Q6_K, PAIR), make_unpacking(Q6_K)
_four_rows, _four_rows_halves = make_panel_tile(ROWS, PAIR, 1), make_panel_tile(ROWS, PAIR, 2)
_one_row, _one_row_halves = make_panel_tile(1, PAIR, 1), make_panel_tile(1, PAIR, 2)
_finish, _finish_offsets = make_finishing(False), make_finishing(True)


@kernel
def round_in_order(inputs: Floats, steps: Steps, units: Floats, sums: Floats) -> None:
    """Each row as steps of a unit of its own, in the order in which tiles take them.

    Args:
        inputs: (S, K), K a multiple of 32.
        steps: (S, K), written: of each 32 those at even places first.
        units: (S,), written.
        sums: (S, chunks), written: of the steps of each 32; zeros behind them.
    """
    round_inputs(inputs, steps, units)
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
def multiply_blocks(
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
    """Rounded inputs times the transpose of some rows of weights.

    Args:
        kind: of blocks.
        steps: (S, K), as ``round_in_order`` gives them.
        units: (S,), likewise.
        sums: (S, chunks), likewise.
        blocks: (N, bytes).
        first: the first row of weights.
        end: one past the last.
        outputs: (S, …), written from ``column`` on.
        column: of the row ``first``.
    """
    n_rows, size = steps.shape
    n_cached = max(ROWS, CACHED_BYTES // (2 * size) // ROWS * ROWS)
    scales = np.empty((PAIR, size // CHUNK * _CHUNK_SCALES[kind]), np.float32)
    offsets = np.zeros((PAIR, sums.shape[1]), np.float32)
    levels = np.empty((PAIR, size if n_rows > 1 or (end - first) % PAIR else 0), np.int16)
    totals = np.empty((ROWS * PAIR, LANES), np.float32)
    for start in range(0, n_rows, n_cached):
        last = min(start + n_cached, n_rows)
        for output in range(first, end, PAIR):
            n_outputs = min(PAIR, end - output)
            for number in range(n_outputs):
                read_scales(kind, blocks[output + number], scales[number], offsets[number])
            if last - start == 1 and n_outputs == PAIR:
                _multiply_as_they_lie(kind, steps, start, blocks, output, scales, totals)
                at = column + output - first
                _write(kind, totals, 1, PAIR, offsets, sums, start, units, outputs, at)
            else:
                for number in range(n_outputs):
                    _unpack(kind, blocks, output + number, levels, number)
                row = start
                while row < last:
                    n_together = ROWS if row + ROWS <= last else 1
                    if n_together == ROWS:
                        if _CHUNK_SCALES[kind] == 1:
                            _four_rows(steps, row, levels, 0, scales, totals)
                        else:
                            _four_rows_halves(steps, row, levels, 0, scales, totals)
                    elif _CHUNK_SCALES[kind] == 1:
                        _one_row(steps, row, levels, 0, scales, totals)
                    else:
                        _one_row_halves(steps, row, levels, 0, scales, totals)
                    at = column + output - first
                    _write(
                        kind, totals, n_together, n_outputs, offsets, sums, row, units, outputs, at
                    )
                    row += n_together


@kernel
def _write(
    kind: int,
    totals: Floats,
    n_rows: int,
    n_outputs: int,
    offsets: Floats,
    sums: Floats,
    row: int,
    units: Floats,
    outputs: Floats,
    column: int,
) -> None:
    """Outputs of a tile."""
    factors = _FACTORS[kind]
    for number in range(n_rows):
        for output in range(n_outputs):
            at, to = number * PAIR + output, column + output
            if kind in (Q4_1, Q5_1, Q4_K, Q5_K):
                _finish_offsets(
                    totals, at, factors, offsets, output, sums, row + number, units, outputs, to
                )
            else:
                _finish(
                    totals, at, factors, offsets, output, sums, row + number, units, outputs, to
                )


@kernel
def _multiply_as_they_lie(
    kind: int, steps: Steps, row: int, blocks: Bytes, output: int, scales: Floats, totals: Floats
) -> None:
    if kind == Q4_0:
        _tile_q4_0(steps, row, blocks, output, scales, totals)
    elif kind == Q4_1:
        _tile_q4_1(steps, row, blocks, output, scales, totals)
    elif kind == Q5_0:
        _tile_q5_0(steps, row, blocks, output, scales, totals)
    elif kind == Q5_1:
        _tile_q5_1(steps, row, blocks, output, scales, totals)
    elif kind == Q8_0:
        _tile_q8_0(steps, row, blocks, output, scales, totals)
    elif kind == Q4_K:
        _tile_q4_k(steps, row, blocks, output, scales, totals)
    elif kind == Q5_K:
        _tile_q5_k(steps, row, blocks, output, scales, totals)
    elif kind == Q6_K:
        _tile_q6_k(steps, row, blocks, output, scales, totals)


@kernel
def _unpack(kind: int, blocks: Bytes, output: int, levels: Levels, place: int) -> None:
    if kind == Q4_0:
        _unpack_q4_0(blocks, output, levels, place)
    elif kind == Q4_1:
        _unpack_q4_1(blocks, output, levels, place)
    elif kind == Q5_0:
        _unpack_q5_0(blocks, output, levels, place)
    elif kind == Q5_1:
        _unpack_q5_1(blocks, output, levels, place)
    elif kind == Q8_0:
        _unpack_q8_0(blocks, output, levels, place)
    elif kind == Q4_K:
        _unpack_q4_k(blocks, output, levels, place)
    elif kind == Q5_K:
        _unpack_q5_k(blocks, output, levels, place)
    elif kind == Q6_K:
        _unpack_q6_k(blocks, output, levels, place)
