"""Kernels of a decoder layer, beside numpy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention, silu
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from longllama_code.kernels.layer import attend, exponentials, gate, normalize, rotate, split_heads
from longllama_code.kernels.quantized import QuantizedMatrix
from longllama_code.model.rope import rotate as rotate_in_torch

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


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-200, 80, width=32), min_size=1, max_size=40))
def test_exponentials(numbers):
    found = np.array(numbers, np.float32)
    total = exponentials(found, np.float32(0))
    wanted = np.exp(np.array(numbers, np.float64))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-38)
    assert total == pytest.approx(wanted.sum(), rel=1e-5, abs=1e-30)


@pytest.mark.parametrize("n_rows", [1, 5])
def test_the_norm_is_that_of_transformers(n_rows):
    norm = LlamaRMSNorm(96, eps=1e-5)
    norm.weight.data = torch.from_numpy(normal(96))
    hidden, normed = normal(n_rows, 96), np.empty((n_rows, 96), np.float32)
    normalize(hidden, norm.weight.detach().numpy(), 1e-5, normed)
    np.testing.assert_allclose(
        normed, norm(torch.from_numpy(hidden)).detach(), rtol=1e-5, atol=1e-6
    )


def test_rotation_is_that_of_the_model():
    heads, cos, sin = normal(3, 4, 16), normal(4, 16), normal(4, 16)
    rotated = np.empty_like(heads)
    rotate(heads, cos, sin, rotated)
    wanted = rotate_in_torch(*(torch.from_numpy(part) for part in (heads, cos, sin)))
    np.testing.assert_allclose(rotated, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("biased", [True, False])
def test_heads_are_columns(biased):
    joined, bias = normal(3, 40), normal(40) if biased else np.empty(0, np.float32)
    heads = np.empty((2, 3, 8), np.float32)
    split_heads(joined, bias, 16, heads)
    wanted = joined + bias if biased else joined
    np.testing.assert_array_equal(heads, wanted[:, 16:32].reshape(3, 2, 8).transpose(1, 0, 2))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 70), st.integers(1, 9), st.sampled_from([(1, 1), (4, 2), (9, 3)]))
def test_attention_is_causal_and_that_of_torch(n_before, n_rows, heads):
    (n_heads, n_groups), size, room = heads, 16, n_before + n_rows + 3
    queries, keys, values = normal(n_heads, n_rows, size), *normal(2, n_groups, room, size)
    mixed = np.empty((n_rows, n_heads * size), np.float32)
    totals = np.empty((n_heads, n_rows), np.float32)
    attend(queries, keys, values, n_before, mixed, totals)
    seen = torch.ones(n_rows, n_before + n_rows, dtype=torch.bool).tril(n_before)
    local = [torch.from_numpy(part[:, : n_before + n_rows]) for part in (keys, values)]
    wanted = scaled_dot_product_attention(
        torch.from_numpy(queries)[None], *(p[None] for p in local), attn_mask=seen, enable_gqa=True
    )
    by_head = mixed.reshape(n_rows, n_heads, size).transpose(1, 0, 2)
    np.testing.assert_allclose(by_head, wanted[0], rtol=1e-4, atol=1e-5)
    scores = torch.from_numpy(queries) @ local[0].repeat_interleave(n_heads // n_groups, 0).mT / 4
    wanted_totals = scores.masked_fill(~seen, -torch.inf).logsumexp(-1)
    np.testing.assert_allclose(totals, wanted_totals, rtol=1e-4, atol=1e-5)


def test_the_gate_is_silu():
    both, gated = 30 * normal(3, 40), np.empty((3, 20), np.float32)
    gate(both, gated)
    first, second = torch.from_numpy(both).chunk(2, dim=1)
    np.testing.assert_allclose(gated, silu(first) * second, rtol=1e-5, atol=1e-6)
