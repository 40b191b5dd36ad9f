"""Kernels of a decoder layer, beside numpy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import silu
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from longllama_code.kernels.layer import (
    exponentials,
    gate,
    normalize,
    place_heads,
    rotate,
    split_heads,
)
from longllama_code.kernels.sharing.helpers import Helpers
from longllama_code.kernels.sharing.shared_work import gate_shared
from longllama_code.model.rope import rotate as rotate_in_torch

RNG = np.random.default_rng(7)

HELPERS = Helpers(2)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


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


def test_heads_are_columns():
    joined, heads = normal(3, 40), np.empty((2, 3, 8), np.float32)
    split_heads(joined, 16, heads)
    np.testing.assert_array_equal(heads, joined[:, 16:32].reshape(3, 2, 8).transpose(1, 0, 2))


@pytest.mark.parametrize("rotates", [True, False])
def test_heads_are_placed_behind_those_before(rotates):
    (n_heads, n_groups, size), n_before = (4, 2, 16), 5
    joined, cos, sin = normal(3, (n_heads + 2 * n_groups) * size), normal(3, size), normal(3, size)
    if not rotates:
        cos, sin = cos[:0], sin[:0]
    queries = np.empty((n_heads, 3, size), np.float32)
    before = normal(2, n_groups, 9, size)
    keys, values = before.copy()
    place_heads(joined, cos, sin, n_before, queries, keys, values)
    parts = torch.from_numpy(joined).view(3, -1, size).transpose(0, 1)
    turned = parts
    if rotates:
        turned = rotate_in_torch(parts, torch.from_numpy(cos), torch.from_numpy(sin))
    new = slice(n_before, n_before + 3)
    np.testing.assert_allclose(queries, turned[:n_heads], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(keys[:, new], turned[n_heads : n_heads + n_groups], 1e-5, 1e-6)
    np.testing.assert_array_equal(values[:, new], parts[n_heads + n_groups :])
    for placed, former in zip((keys, values), before, strict=True):
        np.testing.assert_array_equal(placed[:, :n_before], former[:, :n_before])
        np.testing.assert_array_equal(placed[:, n_before + 3 :], former[:, n_before + 3 :])


def test_the_gate_is_silu():
    both, gated = 30 * normal(3, 40), np.empty((3, 20), np.float32)
    gate(both, gated)
    first, second = torch.from_numpy(both).chunk(2, dim=1)
    np.testing.assert_allclose(gated, silu(first) * second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 2, 37, 300])
def test_threads_share_a_gate_and_change_no_bit(n_rows):
    both = normal(n_rows, 2 * 96)
    wanted, found = np.empty((2, n_rows, 96), np.float32)
    gate(both, wanted)
    with HELPERS.board() as board:
        gate_shared(board, both, found)
    np.testing.assert_array_equal(found, wanted)
