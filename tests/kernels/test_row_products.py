"""Products with weights that are kept row by row, beside numpy's."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.kernels.codegen import vectors
from longllama_code.kernels.row_products import multiply_packed, multiply_rows

RNG = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 19), st.integers(1, 9), st.integers(1, 5))
def test_a_product_with_codes(n_rows, n_outputs, n_blocks):
    codes = RNG.integers(-127, 128, (n_outputs, 64 * n_blocks), dtype=np.int8)
    scales, inputs = np.abs(normal(n_outputs)), normal(n_rows, 64 * n_blocks)
    found = np.empty((n_rows, n_outputs), np.float32)
    multiply_rows(inputs, codes, scales, found)
    weights = codes * scales[:, None]
    norms = np.linalg.norm(inputs, axis=1, keepdims=True) * np.linalg.norm(weights, axis=1)
    assert (np.abs(found - inputs @ weights.T) <= 3e-4 * norms).all()
    alone = np.empty_like(found)
    for row in range(n_rows):
        multiply_rows(inputs[row : row + 1], codes, scales, alone[row : row + 1])
    np.testing.assert_array_equal(alone, found)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 19), st.integers(1, 9), st.integers(1, 5))
def test_a_product_with_packed_levels(n_rows, n_outputs, n_groups):
    levels = RNG.integers(0, 16, (n_outputs, 32 * n_groups), dtype=np.uint8)
    packed = levels[:, 0::2] | (levels[:, 1::2] << 4)
    scales = np.abs(normal(n_outputs, n_groups)).astype(np.float16)
    scales[0, 0] = RNG.choice([0.0, 6e-8, 3e-5, 60_000.0])  # nothing, what float16 hardly has, much
    inputs, found = normal(n_rows, 32 * n_groups), np.empty((n_rows, n_outputs), np.float32)
    multiply_packed(inputs, packed, scales.view(np.uint16), found)
    weights = (levels.astype(np.float32) - 8) * scales.astype(np.float32).repeat(32, axis=1)
    norms = np.linalg.norm(inputs, axis=1, keepdims=True) * np.linalg.norm(weights, axis=1)
    assert (np.abs(found - inputs.astype(np.float64) @ weights.T) <= 3e-4 * norms + 1e-30).all()
    alone = np.empty_like(found)
    for row in range(n_rows):
        multiply_packed(inputs[row : row + 1], packed, scales.view(np.uint16), alone[row : row + 1])
    np.testing.assert_array_equal(alone, found)


def test_the_largest_steps_and_codes_do_not_overflow():
    inputs = np.tile(np.float32([1, -1]), (2, 64))
    codes = np.tile(np.int8([127, -127]), (3, 64))
    found = np.empty((2, 3), np.float32)
    multiply_rows(inputs, codes, np.ones(3, np.float32), found)
    np.testing.assert_allclose(found, 127 * 128, rtol=1e-6)


@pytest.mark.parametrize("has_madd", [True, False])
def test_any_cpu_gives_the_same_bits(has_madd, monkeypatch):
    """The vectors' portable form, which CPUs without that instruction take."""
    if has_madd and not vectors.HAS_MADD:
        pytest.skip("this CPU does not multiply and add in one instruction")
    codes, scales = RNG.integers(-127, 128, (7, 192), dtype=np.int8), np.abs(normal(7))
    packed = codes.view(np.uint8)[:, :96].copy()
    halves = np.abs(normal(7, 6)).astype(np.float16).view(np.uint16)
    inputs = normal(6, 192)
    for multiply, weights in (
        (multiply_rows, (codes, scales)),
        (multiply_packed, (packed, halves)),
    ):
        wanted, found = np.empty((2, 6, 7), np.float32)
        multiply(inputs, *weights, wanted)
        with monkeypatch.context() as patch:
            patch.setattr(vectors, "HAS_MADD", has_madd)
            numba.njit(multiply.py_func)(inputs, *weights, found)
        np.testing.assert_array_equal(found, wanted)
