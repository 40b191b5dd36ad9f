"""Products with weights in 8 bits, beside numpy's."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.kernels.matrices.quantized import QuantizedMatrix
from longllama_code.kernels.sharing import threads as threads_module
from longllama_code.kernels.sharing.threads import LEAST_ROWS, Threads

RNG = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 19), st.integers(1, 22), st.integers(1, 5), st.floats(1e-3, 1e3))
def test_a_product_is_that_of_the_weights_that_the_codes_stand_for(
    n_rows, n_outputs, n_blocks, size
):
    inputs = size * normal(n_rows, 64 * n_blocks)
    matrix = QuantizedMatrix.of(normal(n_outputs, 64 * n_blocks))
    wanted = inputs.astype(np.float64) @ matrix.floats().T
    found = matrix.times(inputs)
    assert found.shape == wanted.shape
    norms = np.linalg.norm(inputs, axis=1, keepdims=True) * np.linalg.norm(matrix.floats(), axis=1)
    assert (np.abs(found - wanted) <= 3e-4 * norms).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 19), st.integers(1, 3))
def test_a_row_of_a_product_does_not_depend_on_the_others(n_rows, n_blocks):
    inputs, matrix = normal(n_rows, 64 * n_blocks), QuantizedMatrix.of(normal(8, 64 * n_blocks))
    together = matrix.times(inputs)
    alone = np.concatenate([matrix.times(row[None]) for row in inputs])
    np.testing.assert_array_equal(together, alone)


def test_codes_are_the_nearest_ones():
    weights = normal(8, 128)
    error = np.abs(QuantizedMatrix.of(weights).floats() - weights).reshape(8, 2, 64)
    largest = np.abs(weights).reshape(8, 2, 64).max(axis=2, keepdims=True)
    assert (error <= largest / 127 / 2 * 1.001).all()


def test_zeros_stay_zeros():
    matrix = QuantizedMatrix.of(np.zeros((4, 64), np.float32))
    assert not matrix.times(normal(3, 64)).any()
    assert not QuantizedMatrix.of(normal(4, 64)).times(np.zeros((2, 64), np.float32)).any()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 100), st.integers(1, 4))
def test_threads_share_rows(n_rows, n_threads):
    inputs, matrix = normal(n_rows, 64), QuantizedMatrix.of(normal(8, 64))
    shared = matrix.times(inputs, Threads(n_threads))
    np.testing.assert_array_equal(shared, matrix.times(inputs))


def test_few_rows_are_not_shared() -> None:
    names: list[str] = []
    shares: list[tuple[int, int]] = []

    def work(first: int, end: int) -> None:
        names.append(threading.current_thread().name)
        shares.append((first, end))

    Threads(4).run(work, 2 * LEAST_ROWS - 1)
    assert names == [threading.current_thread().name]
    Threads(4).run(work, 4 * LEAST_ROWS)
    assert len(set(names)) > 1
    assert sorted(shares[1:]) == [(LEAST_ROWS * n, LEAST_ROWS * (n + 1)) for n in range(4)]


def test_a_failure_in_another_thread_is_told() -> None:
    def work(first: int, _: int) -> None:
        if first:
            raise ValueError(first)

    with pytest.raises(ValueError, match="50"):
        Threads(2).run(work, 100)


def test_threads_that_do_not_help_are_left_out() -> None:
    """In fifths of a second: what a busy machine adds to them is no gain."""
    lock = threading.Lock()

    def one_after_the_other(first: int, end: int) -> None:
        with lock:
            time.sleep((end - first) / 500)

    def side_by_side(first: int, end: int) -> None:
        threading.Event().wait((end - first) / 250)

    assert Threads.measured(2, lambda some: some.run(one_after_the_other, 100)).n_threads == 1
    assert Threads.measured(2, lambda some: some.run(side_by_side, 100)).n_threads == 2
    assert Threads.measured(1, lambda _: None).n_threads == 1


@pytest.mark.parametrize(
    ("milliseconds", "best"),
    [
        ({1: 40, 2: 20, 4: 10, 6: 5}, 6),
        ({1: 40, 2: 20, 4: 20, 6: 20}, 2),  # more would only be busy
        ({1: 40, 2: 60, 4: 10, 6: 60}, 4),
        ({1: 10, 2: 20, 4: 30, 6: 40}, 1),
    ],
)
def test_the_number_that_measures_best_is_taken(
    milliseconds: dict[int, int], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: set[int] = set()
    now = [0.0]
    monkeypatch.setattr(threads_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def work(threads: Threads) -> None:
        tried.add(threads.n_threads)
        now[0] += milliseconds[threads.n_threads] / 1000

    assert Threads.measured(6, work).n_threads == best
    assert tried == set(milliseconds)
