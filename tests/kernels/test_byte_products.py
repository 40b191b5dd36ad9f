"""Products of bytes with woven weights, beside numpy's with the numbers that gguf-py reads."""

import gguf
import numba
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.kernels.byte_products import (
    CACHED_BYTES,
    MANY_ROWS,
    multiply_panels,
    round_to_bytes,
)
from longllama_code.kernels.codegen import vectors
from longllama_code.kernels.codegen.block_levels import CHUNK, KINDS
from longllama_code.kernels.codegen.byte_tiles import (
    make_panel_product,
    make_unpacking,
    make_woven_product,
)
from longllama_code.kernels.codegen.panels import FIELDS, OUTPUTS
from longllama_code.kernels.matrices.blocks import BlockMatrix, BlockRows
from longllama_code.kernels.matrices.room import PIECE_BYTES, Room
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.kernels.weaving import shape_of_woven, weave
from tests.kernels.test_block_products import ALL_KINDS, block_size, by_words, normal, some_rows

THREADS = Threads(2)
needs_byte_dots = pytest.mark.skipif(
    not vectors.HAS_BYTE_DOTS, reason="this CPU does not sum products of bytes"
)


def rounded(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_rows, size = inputs.shape
    steps, units = np.empty((n_rows, size), np.int8), np.empty((n_rows, size // CHUNK), np.float32)
    sums = np.empty((n_rows, 2 * (size // CHUNK)), np.int32)
    round_to_bytes(inputs, steps, units, sums)
    return steps, units, sums


def taken(inputs: np.ndarray) -> np.ndarray:
    """Inputs as products take them: multiples of a 127th of the largest of each 32."""
    steps, units, _ = rounded(inputs)
    chunks = steps.reshape(*units.shape, CHUNK).astype(np.float64) * units[..., None]
    return chunks.reshape(inputs.shape)


def woven(rows: BlockRows) -> np.ndarray:
    found = np.zeros(shape_of_woven(KINDS[rows.kind], *rows.blocks.shape), np.uint8)
    weave(KINDS[rows.kind], rows.blocks, found)
    return found


def floats(rows: BlockRows) -> np.ndarray:
    return gguf.dequantize(rows.blocks, Kind[rows.kind]).astype(np.float64)


def assert_exact(found: np.ndarray, inputs: np.ndarray, rows: BlockRows) -> None:
    """Equal but for the rounding of float32, of which some sums have far larger parts."""
    known, weights = taken(inputs), floats(rows)
    parts = np.abs(known) @ np.abs(weights).T
    largest = np.abs(known).sum(axis=1)[:, None] * np.abs(weights).max()
    assert (np.abs(found - known @ weights.T) <= 2e-6 * parts + 3e-7 * largest + 1e-30).all()


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.floats(-30, 30))
def test_inputs_are_rounded_to_the_nearest_step(n_rows, n_chunks, exponent):
    inputs = normal(n_rows, n_chunks * CHUNK) * np.float32(10.0**exponent)
    steps, units, sums = rounded(inputs)
    unit = np.repeat(units, CHUNK, axis=1)
    assert (np.abs(taken(inputs) - inputs) <= 0.501 * unit).all()
    assert np.abs(steps.astype(int)).max() <= 127
    halves = steps.reshape(n_rows, n_chunks, 2, CHUNK // 2).astype(int).sum(axis=3)
    np.testing.assert_array_equal(sums, halves.transpose(0, 2, 1).reshape(n_rows, -1))


def test_zeros_stay_zeros():
    steps, units, sums = rounded(np.zeros((2, 2 * CHUNK), np.float32))
    assert not steps.any()
    assert not sums.any()
    assert np.isfinite(units).all()


@ALL_KINDS
def test_weaving_keeps_every_bit(kind):
    """The bytes are as many as in the file, but for codes of 6 bits, which take 8."""
    rows = some_rows(kind, 2 * OUTPUTS, 3)
    if FIELDS[KINDS[kind]].codes and kind != "Q6_K":
        assert woven(rows).nbytes < 1.03 * rows.blocks.nbytes
    else:
        assert woven(rows).nbytes == rows.blocks.nbytes


@needs_byte_dots
@ALL_KINDS
@pytest.mark.parametrize("extreme", [False, True], ids=["usual scales", "extreme scales"])
@settings(deadline=None, max_examples=25)
@given(st.integers(1, 2 * MANY_ROWS), st.integers(1, 80), st.integers(1, 5))
def test_weights_are_exactly_those_of_the_file(kind, extreme, n_rows, n_outputs, n_blocks):
    rows, inputs = some_rows(kind, n_outputs, n_blocks, extreme), normal(n_rows, n_blocks)
    inputs = np.repeat(inputs, block_size(kind), axis=1) * normal(1, rows.n_inputs)
    assert_exact(BlockMatrix([rows]).times(inputs), inputs, rows)


@needs_byte_dots
@ALL_KINDS
@settings(deadline=None, max_examples=25)
@given(st.integers(1, 2 * MANY_ROWS + 5), st.integers(1, 120), st.integers(1, 4))
def test_a_row_is_the_same_alone_beside_others_and_by_threads(kind, n_rows, n_outputs, n_blocks):
    rows, inputs = some_rows(kind, n_outputs, n_blocks), normal(n_rows, n_blocks * block_size(kind))
    matrix = BlockMatrix([rows])
    together = matrix.times(inputs)
    alone = np.concatenate([matrix.times(row[None]) for row in inputs])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(matrix.times(inputs, THREADS), together)
    for few in range(2, min(n_rows, MANY_ROWS + 2)):
        np.testing.assert_array_equal(matrix.times(inputs[:few]), together[:few])


@needs_byte_dots
def test_many_rows_of_long_inputs_meet_weights_group_by_group():
    """More than stay in a core's cache, and no multiple of what does."""
    n_rows = CACHED_BYTES // 4864 + 7
    rows, inputs = some_rows("Q6_K", 3, 19), normal(n_rows, 4864)
    found = BlockMatrix([rows]).times(inputs)
    assert_exact(found, inputs, rows)
    np.testing.assert_array_equal(BlockMatrix([rows]).times(inputs[30:31]), found[30:31])


@needs_byte_dots
@pytest.mark.parametrize("n_rows", [1, 3, 300])
def test_parts_stand_side_by_side_whatever_the_panels_and_the_threads(n_rows):
    parts = [some_rows("Q5_0", 90, 8), some_rows("Q8_0", 33, 8), some_rows("Q6_K", 64, 1)]
    inputs = normal(n_rows, 256)
    wanted = np.concatenate([BlockMatrix([part]).times(inputs) for part in parts], axis=1)
    matrix = BlockMatrix(parts)
    np.testing.assert_array_equal(matrix.times(inputs), wanted)
    np.testing.assert_array_equal(matrix.times(inputs, Threads(3)), wanted)


@needs_byte_dots
@ALL_KINDS
def test_bytes_give_what_words_do_but_for_their_rounding(kind):
    rows, inputs = some_rows(kind, 100, 4), normal(9, 4 * block_size(kind))
    of_words, of_bytes = by_words(rows, inputs), BlockMatrix([rows]).times(inputs)
    assert np.abs(of_words - of_bytes).max() < 0.02 * np.abs(of_words).max()


@needs_byte_dots
def test_nothing_is_written_beside_the_outputs():
    rows, inputs = some_rows("Q4_K", OUTPUTS + 3, 1), normal(4, 256)
    outputs, panels = np.full((4, OUTPUTS + 9), 7, np.float32), woven(rows)
    multiply_panels(KINDS["Q4_K"], rounded(inputs), panels, OUTPUTS + 3, 0, 2, outputs, 2)
    assert (outputs[:, :2] == 7).all()
    assert (outputs[:, OUTPUTS + 5 :] == 7).all()
    assert_exact(outputs[:, 2 : OUTPUTS + 5], inputs, rows)


@ALL_KINDS
def test_any_cpu_gives_the_same_bits(kind, monkeypatch):
    """The vectors' portable form, beside the exact product and, where there is one, the CPU's."""
    rows = some_rows(kind, OUTPUTS, 2)
    inputs = normal(1, rows.n_inputs)
    found = {vectors.HAS_BYTE_DOTS: multiplied_anew(rows, inputs)}
    monkeypatch.setattr(vectors, "HAS_BYTE_DOTS", False)
    found[False] = multiplied_anew(rows, inputs)
    assert_exact(found[False], inputs, rows)
    for each in found.values():
        np.testing.assert_array_equal(each, found[False])


def multiplied_anew(rows: BlockRows, inputs: np.ndarray) -> np.ndarray:
    """By code that is compiled here and now, both forms of which give the same bits."""
    kind, n_chunks = KINDS[rows.kind], rows.n_inputs // CHUNK
    n_scales, has_offsets = 1 + (rows.kind == "Q6_K"), FIELDS[kind].zero == 0
    multiply, unpack = make_woven_product(kind, 1), make_unpacking(kind)
    multiply_unpacked = make_panel_product(n_scales, has_offsets)
    steps, units, sums = rounded(inputs)
    halves = sums.reshape(1, 2, n_chunks)
    whole = halves.transpose(0, 2, 1).reshape(1, -1) if n_scales == 2 else halves.sum(axis=1)
    starts = (-whole * FIELDS[kind].zero).astype(np.int32)
    moments = halves.sum(axis=1).astype(np.float32) * units
    panel, first, second = woven(rows)[0], *np.empty((2, 1, OUTPUTS), np.float32)
    levels = np.empty((n_chunks, CHUNK * OUTPUTS), np.uint8)
    scales, offsets = np.empty((2, 2 * n_chunks, OUTPUTS), np.float32)

    @numba.njit
    def run(steps, units, starts, moments, panel, first, second, levels, scales, offsets):
        multiply(steps, units, starts, moments, 0, 1, panel, first, 0)
        unpack(panel, levels, scales, offsets)
        multiply_unpacked(steps, units, starts, moments, 0, 1, levels, scales, offsets, second, 0)

    run(steps, units, starts, moments, panel, first, second, levels, scales, offsets)
    np.testing.assert_array_equal(first, second)
    return first


def test_room_is_aligned_zero_and_shared_by_no_two():
    room = Room()
    arrays = [room.zeros((3, 1000 + number)) for number in range(20)]
    arrays.append(room.zeros((1, PIECE_BYTES + 1)))
    for number, array in enumerate(arrays):
        assert array.ctypes.data % 64 == 0
        assert not array.any()
        array[:] = number + 1
    assert all((array == number + 1).all() for number, array in enumerate(arrays))
