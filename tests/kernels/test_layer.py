"""Kernels of a decoder layer, beside numpy and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import silu
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from longllama_code.kernels.layer import exponentials, gate, normalize, rotate, split_heads
from longllama_code.model.rope import rotate as rotate_in_torch

RNG = np.random.default_rng(7)


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


@pytest.mark.parametrize("biased", [True, False])
def test_heads_are_columns(biased):
    joined, bias = normal(3, 40), normal(40) if biased else np.empty(0, np.float32)
    heads = np.empty((2, 3, 8), np.float32)
    split_heads(joined, bias, 16, heads)
    wanted = joined + bias if biased else joined
    np.testing.assert_array_equal(heads, wanted[:, 16:32].reshape(3, 2, 8).transpose(1, 0, 2))


def test_the_gate_is_silu():
    both, gated = 30 * normal(3, 40), np.empty((3, 20), np.float32)
    gate(both, gated)
    first, second = torch.from_numpy(both).chunk(2, dim=1)
    np.testing.assert_allclose(gated, silu(first) * second, rtol=1e-5, atol=1e-6)
