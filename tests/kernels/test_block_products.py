"""Products with the blocks of a GGUF file, beside numpy's with the numbers that gguf-py reads."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gguf
import numba
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.kernels.block_products import multiply_row, multiply_rows, round_to_words
from longllama_code.kernels.codegen import vectors
from longllama_code.kernels.codegen.block_levels import BLOCK_BYTES, BLOCK_CHUNKS, CHUNK, KINDS
from longllama_code.kernels.codegen.block_tiles import make_row_product
from longllama_code.kernels.matrices.blocks import BlockMatrix, BlockRows
from longllama_code.kernels.sharing.helpers import Helpers
from longllama_code.kernels.sharing.shared_work import multiply_shared
from longllama_code.kernels.sharing.threads import Threads

RNG = np.random.default_rng(11)
HALVES = {
    **dict.fromkeys(("Q4_0", "Q5_0", "Q8_0"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    "Q6_K": (208,),
}
"""Where blocks have numbers in float16; all their other bytes may be any."""
EXTREME = np.float16([0.0, -0.0, 6e-8, -3e-5, 6e-5, 1.0, -60_000.0, 65_504.0])
ALL_KINDS = pytest.mark.parametrize("kind", KINDS)


def block_size(kind: str) -> int:
    return CHUNK * BLOCK_CHUNKS[KINDS[kind]]


def some_rows(kind: str, n_outputs: int, n_blocks: int, extreme: bool = False) -> BlockRows:
    """Random valid blocks."""
    n_bytes = BLOCK_BYTES[KINDS[kind]]
    blocks = RNG.integers(0, 256, (n_outputs, n_blocks, n_bytes), dtype=np.uint8)
    for place in HALVES[kind]:
        shape = n_outputs, n_blocks
        usual = (0.01 * RNG.standard_normal(shape)).astype(np.float16)
        halves = RNG.choice(EXTREME, shape) if extreme else usual
        blocks[:, :, place : place + 2] = halves[..., None].view(np.uint8)
    return BlockRows(kind, blocks.reshape(n_outputs, -1), n_blocks * block_size(kind))


def floats(rows: BlockRows) -> np.ndarray:
    return gguf.dequantize(rows.blocks, Kind[rows.kind]).astype(np.float64)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


def rounded(inputs: np.ndarray) -> np.ndarray:
    """Inputs as products take them: multiples of a 16,383rd of their row's largest."""
    units = np.abs(inputs).max(axis=1, keepdims=True) / np.float32(16383)
    return np.rint(inputs * (1 / units)).astype(np.float64) * units


def by_words(rows: BlockRows, inputs: np.ndarray) -> np.ndarray:
    """The product of words, which ``BlockMatrix`` takes where a CPU does not multiply bytes."""
    n_rows, size = inputs.shape
    steps, units = np.empty((n_rows, size), np.int16), np.empty((n_rows, 1), np.float32)
    sums = np.empty((n_rows, -(-size // (CHUNK * vectors.LANES)) * vectors.LANES), np.float32)
    found = np.empty((n_rows, len(rows.blocks)), np.float32)
    round_to_words(inputs, steps, units, sums)
    kind, n_outputs = KINDS[rows.kind], len(rows.blocks)
    if n_rows > 1 and n_outputs > 1:
        multiply_rows(kind, steps, units, sums, rows.blocks, 0, n_outputs, found, 0)
    else:
        for row in range(n_rows):
            mine = slice(row, row + 1)
            known = steps[mine], units[mine], sums[mine], rows.blocks
            multiply_row(kind, *known, 0, n_outputs, found[mine], 0)
    return found


def assert_exact(found: np.ndarray, inputs: np.ndarray, rows: BlockRows) -> None:
    """Equal but for the rounding of float32, of which some sums have far larger parts."""
    taken, weights = rounded(inputs), floats(rows)
    parts = np.abs(taken) @ np.abs(weights).T
    largest = np.abs(taken).sum(axis=1)[:, None] * np.abs(weights).max()
    assert (np.abs(found - taken @ weights.T) <= 2e-6 * parts + 3e-7 * largest + 1e-30).all()


def test_sizes_are_those_of_gguf():
    for kind in KINDS:
        expected = block_size(kind), BLOCK_BYTES[KINDS[kind]]
        assert gguf.GGML_QUANT_SIZES[Kind[kind]] == expected


@ALL_KINDS
@pytest.mark.parametrize("extreme", [False, True], ids=["usual scales", "extreme scales"])
@settings(deadline=None, max_examples=25)
@given(st.integers(1, 11), st.integers(1, 9), st.integers(1, 10))
def test_weights_are_exactly_those_of_the_file(kind, extreme, n_rows, n_outputs, n_blocks):
    rows, inputs = some_rows(kind, n_outputs, n_blocks, extreme), normal(n_rows, n_blocks)
    inputs = np.repeat(inputs, block_size(kind), axis=1) * normal(1, rows.n_inputs)
    assert_exact(by_words(rows, inputs), inputs, rows)


@ALL_KINDS
@settings(deadline=None, max_examples=25)
@given(st.integers(1, 19), st.integers(1, 40), st.integers(1, 6))
def test_a_row_is_the_same_alone_beside_others_and_by_threads(kind, n_rows, n_outputs, n_blocks):
    rows, inputs = some_rows(kind, n_outputs, n_blocks), normal(n_rows, n_blocks * block_size(kind))
    alone = np.concatenate([by_words(rows, row[None]) for row in inputs])
    np.testing.assert_array_equal(alone, by_words(rows, inputs))
    matrix = BlockMatrix([rows])
    np.testing.assert_array_equal(matrix.times(inputs, THREADS), matrix.times(inputs))


THREADS = Threads(2)


@pytest.mark.parametrize("n_rows", [1, 2, 300])
def test_threads_share_a_large_product_and_change_no_bit(n_rows):
    rows, inputs = some_rows("Q5_0", 1613, 32), normal(n_rows, 1024)
    matrix, threads = BlockMatrix([rows, some_rows("Q8_0", 90, 32)]), Threads(3)
    wanted = matrix.times(inputs)
    done = time_of_others(), 0.0
    for _ in range(2000):
        np.testing.assert_array_equal(matrix.times(inputs, threads), wanted)
        done = done[0], time_of_others()
        if done[1] - done[0] > 0.02:
            break
    assert done[1] - done[0] > 0.02, "no other thread did anything"


def time_of_others() -> float:
    """Seconds that this process' other threads have run."""
    return time.process_time() - time.thread_time()


def test_a_product_does_not_wait_for_threads_that_do_not_come():
    """Helpers that never wake: the caller takes all shares."""
    helpers, matrix, inputs = Helpers(2), BlockMatrix([some_rows("Q5_0", 900, 32)]), normal(1, 1024)
    found = np.empty((1, 900), np.float32)
    multiply_shared(helpers._board, matrix.table, inputs, found)
    np.testing.assert_array_equal(found, matrix.times(inputs))


def test_callers_at_the_same_time_do_not_share_a_board():
    matrix, threads = BlockMatrix([some_rows("Q5_0", 1600, 32)]), Threads(2)
    asked = [normal(1 + number % 3, 1024) for number in range(40)]
    wanted = [matrix.times(inputs) for inputs in asked]
    with ThreadPoolExecutor(4) as callers:
        found = [*callers.map(lambda inputs: matrix.times(inputs, threads), asked * 5)]
    for mine, right in zip(found, wanted * 5, strict=True):
        np.testing.assert_array_equal(mine, right)


def test_helpers_end_with_those_that_they_help():
    before = set(threading.enumerate())
    threads, matrix = Threads(3), BlockMatrix([some_rows("Q5_0", 1600, 32)])
    matrix.times(normal(1, 1024), threads)
    helping = set(threading.enumerate()) - before
    assert helping
    del threads
    gc.collect()
    for thread in helping:
        thread.join(20)
        assert not thread.is_alive()


def test_many_rows_of_long_inputs_meet_weights_group_by_group():
    """More than stay in a core's cache, and no multiple of what does."""
    rows, inputs = some_rows("Q6_K", 3, 19), normal(61, 4864)
    found = by_words(rows, inputs)
    assert_exact(found, inputs, rows)
    np.testing.assert_array_equal(by_words(rows, inputs[30:31]), found[30:31])


def test_matrices_of_the_same_inputs_stand_behind_each_other():
    parts = [some_rows(kind, n, 2) for kind, n in (("Q4_K", 5), ("Q6_K", 1), ("Q4_K", 8))]
    inputs = normal(3, 512)
    apart = [BlockMatrix([part]).times(inputs) for part in parts]
    joined = BlockMatrix(parts)
    np.testing.assert_array_equal(joined.times(inputs), np.concatenate(apart, axis=1))
    assert joined.n_inputs == 512
    assert joined.nbytes == sum(part.blocks.nbytes for part in parts)


@ALL_KINDS
def test_the_largest_levels_and_inputs_do_not_overflow(kind):
    rows = some_rows(kind, 4, 3)
    blocks = np.full_like(rows.blocks, 0xFF).reshape(4, 3, -1)
    blocks[2:] = 0x80 if kind == "Q8_0" else 0x00  # the least levels, or -128
    for place in HALVES[kind]:
        blocks[:, :, place : place + 2] = np.float16([1]).view(np.uint8)
    rows = BlockRows(kind, blocks.reshape(4, -1), rows.n_inputs)
    inputs = np.ones((5, rows.n_inputs), np.float32)
    inputs[1:] *= np.sign(floats(rows))[[0, 1, 2, 3]] + 1e-3
    assert_exact(by_words(rows, inputs), inputs, rows)


def test_blocks_are_read_where_they_are():
    rows = some_rows("Q5_0", 8, 4)
    given = np.array(rows.blocks)
    given.flags.writeable = False
    assert np.shares_memory(BlockRows("Q5_0", given, 128).blocks, given)


@ALL_KINDS
@pytest.mark.parametrize("has_madd", [True, False])
@pytest.mark.parametrize("has_half_floats", [True, False])
def test_any_cpu_gives_the_same_bits(kind, has_madd, has_half_floats, monkeypatch):
    """The vectors' portable form, which CPUs without those instructions take."""
    if (has_madd, has_half_floats) > (vectors.HAS_MADD, vectors.HAS_HALF_FLOATS):
        pytest.skip("this CPU has no such instruction")
    rows = some_rows(kind, 6, 3, extreme=True)
    inputs = normal(1, rows.n_inputs)
    wanted = by_words(rows, inputs)
    monkeypatch.setattr(vectors, "HAS_MADD", has_madd)
    monkeypatch.setattr(vectors, "HAS_HALF_FLOATS", has_half_floats)
    np.testing.assert_array_equal(multiplied_anew(rows, inputs), wanted)


def multiplied_anew(rows: BlockRows, inputs: np.ndarray) -> np.ndarray:
    """By code that is compiled here and now."""
    multiply = make_row_product(KINDS[rows.kind])
    steps, units = np.empty(inputs.shape, np.int16), np.empty((1, 1), np.float32)
    sums = np.empty((1, -(-rows.n_inputs // 256) * 8), np.float32)
    offsets, found = np.zeros_like(sums), np.empty((1, len(rows.blocks)), np.float32)
    round_to_words(inputs, steps, units, sums)

    @numba.njit
    def run(steps, units, sums, blocks, offsets, found):
        multiply(steps, units, sums, blocks, 0, len(blocks), offsets, found, 0)

    run(steps, units, sums, rows.blocks, offsets, found)
    return found
