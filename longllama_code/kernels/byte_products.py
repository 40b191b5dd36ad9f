"""Products of bytes, with woven weights of a GGUF file, for CPUs that sum such products.

Inputs are rounded to 8 bits of the largest of each 32, and a row's result does not depend on other
rows. Where a CPU lacks the instruction, ``block_products`` does the same with inputs in 15 bits and
with blocks as they are in the file.
"""

import numpy as np
from numpy.typing import NDArray

from longllama_code.kernels.block_products import Bytes
from longllama_code.kernels.codegen.block_levels import (
    CHUNK,
    CHUNK_SCALES,
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
from longllama_code.kernels.codegen.byte_tiles import (
    FEW_ROWS,
    ROWS,
    make_panel_product,
    make_unpacking,
    make_woven_product,
)
from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.codegen.panels import FIELDS, OUTPUTS
from longllama_code.kernels.codegen.rounding_tile import make_rounding
from longllama_code.kernels.products import Floats

MANY_ROWS = 2 * FEW_ROWS
"""Rows above which a panel is unpacked first."""
CACHED_BYTES = 1 << 19
"""Bytes of inputs that are multiplied with all weights at a time: half a second-level cache."""

Steps = NDArray[np.int8]
Integers = NDArray[np.int32]
Rounded = tuple[Steps, Floats, Integers]
"""Steps, units and sums of rows of inputs; see ``round_to_bytes``."""
Inputs = tuple[Steps, Floats, Integers, Floats, int, int]
"""Steps, units, starts and moments of rows of inputs; first row, and one past the last."""

f32 = np.float32

_CHUNK_SCALES = np.array(CHUNK_SCALES)
_ZEROS = np.array([fields.zero for fields in FIELDS])

_round_row = make_rounding()
_one_q4_0, _few_q4_0 = make_woven_product(Q4_0, 1), make_woven_product(Q4_0, FEW_ROWS)
_one_q4_1, _few_q4_1 = make_woven_product(Q4_1, 1), make_woven_product(Q4_1, FEW_ROWS)
_one_q5_0, _few_q5_0 = make_woven_product(Q5_0, 1), make_woven_product(Q5_0, FEW_ROWS)
_one_q5_1, _few_q5_1 = make_woven_product(Q5_1, 1), make_woven_product(Q5_1, FEW_ROWS)
_one_q8_0, _few_q8_0 = make_woven_product(Q8_0, 1), make_woven_product(Q8_0, FEW_ROWS)
_one_q4_k, _few_q4_k = make_woven_product(Q4_K, 1), make_woven_product(Q4_K, FEW_ROWS)
_one_q5_k, _few_q5_k = make_woven_product(Q5_K, 1), make_woven_product(Q5_K, FEW_ROWS)
_one_q6_k, _few_q6_k = make_woven_product(Q6_K, 1), make_woven_product(Q6_K, FEW_ROWS)
_unpack_q4_0, _unpack_q4_1 = make_unpacking(Q4_0), make_unpacking(Q4_1)
_unpack_q5_0, _unpack_q5_1 = make_unpacking(Q5_0), make_unpacking(Q5_1)
_unpack_q8_0, _unpack_q4_k = make_unpacking(Q8_0), make_unpacking(Q4_K)
_unpack_q5_k, _unpack_q6_k = make_unpacking(Q5_K), make_unpacking(Q6_K)
_plain_panel, _panel_with_offsets = make_panel_product(1, False), make_panel_product(1, True)
_panel_of_halves = make_panel_product(2, False)


@kernel
def round_to_bytes(inputs: Floats, steps: Steps, units: Floats, sums: Integers) -> None:
    """Round each 32 numbers of a row to multiples of a unit of their own.

    Args:
        inputs: (S, K), K a multiple of 32.
        steps: multiples (S, K), written.
        units: (S, chunks), written.
        sums: sums of the steps of the first half of each chunk, and then those of the last halves,
            (S, 2 · chunks), written.
    """
    for row in range(inputs.shape[0]):
        _round_row(inputs, row, steps, units, sums)


@kernel
def multiply_panels(
    kind: int,
    rounded: Rounded,
    panels: Bytes,
    n_outputs: int,
    first: int,
    end: int,
    outputs: Floats,
    column: int,
) -> None:
    """Multiply rows of rounded inputs with some panels of woven weights.

    Args:
        kind: kind of the blocks that were woven.
        rounded: of S rows.
        panels: (panels, bytes), see ``weaving.py``.
        n_outputs: N, outputs of all panels; the last panel may have more, which count nothing.
        first: first panel.
        end: one past the last panel, more than ``first``.
        outputs: (S, …), N columns of which are written, from ``column`` on.
        column: column of the first output of all.
    """
    steps, units, sums = rounded
    n_rows, size = steps.shape
    n_chunks, n_scales = size // CHUNK, _CHUNK_SCALES[kind]
    has_offsets = kind in WITH_OFFSETS
    starts = np.empty((n_rows, n_chunks * n_scales), np.int32)
    moments = np.empty((n_rows if has_offsets else 0, n_chunks), np.float32)
    _find_starts(sums, _ZEROS[kind], starts)
    if has_offsets:
        _find_moments(units, sums, moments)
    is_many = n_rows > MANY_ROWS
    unpacked = n_chunks if is_many else 0
    levels = np.empty((unpacked, CHUNK * OUTPUTS), np.uint8)
    scales = np.empty((unpacked * n_scales, OUTPUTS), np.float32)
    offsets = np.empty((unpacked if has_offsets else 0, OUTPUTS), np.float32)
    rest = np.empty((n_rows if end * OUTPUTS > n_outputs else 0, OUTPUTS), np.float32)
    n_cached = max(ROWS, CACHED_BYTES // size // ROWS * ROWS)
    for start in range(0, n_rows, n_cached):
        stop = min(start + n_cached, n_rows)
        inputs = steps, units, starts, moments, start, stop
        for number in range(first, end):
            panel, n_left = panels[number], n_outputs - number * OUTPUTS
            into, at = outputs, column + number * OUTPUTS
            if n_left < OUTPUTS:
                into, at = rest, 0
            if is_many:
                _unpack(kind, panel, levels, scales, offsets)
                _multiply_unpacked(kind, inputs, levels, scales, offsets, into, at)
            elif n_rows == 1:
                _multiply_one(kind, inputs, panel, into, at)
            else:
                _multiply_few(kind, inputs, panel, into, at)
            if n_left < OUTPUTS:
                for row in range(start, stop):
                    for place in range(n_left):
                        outputs[row, column + number * OUTPUTS + place] = rest[row, place]


@kernel
def _find_starts(sums: Integers, zero: int, starts: Integers) -> None:
    """Write what sums of products begin with: less what the level that stands for zero adds."""
    n_chunks = sums.shape[1] // 2
    for row in range(sums.shape[0]):
        for chunk in range(n_chunks):
            first, last = sums[row, chunk], sums[row, n_chunks + chunk]
            if starts.shape[1] == n_chunks:
                starts[row, chunk] = -(first + last) * zero
            else:
                starts[row, 2 * chunk], starts[row, 2 * chunk + 1] = -first * zero, -last * zero


@kernel
def _find_moments(units: Floats, sums: Integers, moments: Floats) -> None:
    """Write the sum of each chunk's rounded inputs."""
    n_chunks = units.shape[1]
    for row in range(units.shape[0]):
        for chunk in range(n_chunks):
            total = sums[row, chunk] + sums[row, n_chunks + chunk]
            moments[row, chunk] = f32(total) * units[row, chunk]


@kernel
def _multiply_one(kind: int, inputs: Inputs, panel: Bytes, outputs: Floats, column: int) -> None:
    known = *inputs, panel, outputs, column
    if kind == Q4_0:
        _one_q4_0(*known)
    elif kind == Q4_1:
        _one_q4_1(*known)
    elif kind == Q5_0:
        _one_q5_0(*known)
    elif kind == Q5_1:
        _one_q5_1(*known)
    elif kind == Q8_0:
        _one_q8_0(*known)
    elif kind == Q4_K:
        _one_q4_k(*known)
    elif kind == Q5_K:
        _one_q5_k(*known)
    elif kind == Q6_K:
        _one_q6_k(*known)


@kernel
def _multiply_few(kind: int, inputs: Inputs, panel: Bytes, outputs: Floats, column: int) -> None:
    known = *inputs, panel, outputs, column
    if kind == Q4_0:
        _few_q4_0(*known)
    elif kind == Q4_1:
        _few_q4_1(*known)
    elif kind == Q5_0:
        _few_q5_0(*known)
    elif kind == Q5_1:
        _few_q5_1(*known)
    elif kind == Q8_0:
        _few_q8_0(*known)
    elif kind == Q4_K:
        _few_q4_k(*known)
    elif kind == Q5_K:
        _few_q5_k(*known)
    elif kind == Q6_K:
        _few_q6_k(*known)


@kernel
def _multiply_unpacked(
    kind: int,
    inputs: Inputs,
    levels: Bytes,
    scales: Floats,
    offsets: Floats,
    outputs: Floats,
    column: int,
) -> None:
    known = *inputs, levels, scales, offsets, outputs, column
    if kind in WITH_OFFSETS:
        _panel_with_offsets(*known)
    elif kind == Q6_K:
        _panel_of_halves(*known)
    else:
        _plain_panel(*known)


@kernel
def _unpack(kind: int, panel: Bytes, levels: Bytes, scales: Floats, offsets: Floats) -> None:
    known = panel, levels, scales, offsets
    if kind == Q4_0:
        _unpack_q4_0(*known)
    elif kind == Q4_1:
        _unpack_q4_1(*known)
    elif kind == Q5_0:
        _unpack_q5_0(*known)
    elif kind == Q5_1:
        _unpack_q5_1(*known)
    elif kind == Q8_0:
        _unpack_q8_0(*known)
    elif kind == Q4_K:
        _unpack_q4_k(*known)
    elif kind == Q5_K:
        _unpack_q5_k(*known)
    elif kind == Q6_K:
        _unpack_q6_k(*known)
