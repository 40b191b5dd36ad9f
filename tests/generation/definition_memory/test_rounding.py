"""Rounded keys and values: bytes, and what is lost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.rounding import RoundedFormat

FORMAT = RoundedFormat(2, 3, 8)
CODER = RoundedFormat(24, 2, 64)


def random_opening(n_tokens: int, seed: int, offset: float, scale: float) -> Opening:
    generator = torch.Generator().manual_seed(seed)
    shape = 2, 3, n_tokens, 8
    keys = torch.randn(shape, generator=generator) * scale
    keys += offset * torch.randn(2, 3, 1, 8, generator=generator)
    return Opening(keys, torch.randn(shape, generator=generator) * scale)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(0, 1000),
    st.floats(0, 300, allow_subnormal=False),
    st.sampled_from([1e-3, 0.1, 1.0, 50.0]),
)
def test_no_number_is_off_by_more_than_half_a_step(
    n_tokens: int, seed: int, offset: float, scale: float
) -> None:
    opening = random_opening(n_tokens, seed, offset, scale)
    content = FORMAT.pack(opening)
    assert (content.dtype, len(content)) == (torch.uint8, FORMAT.n_bytes(n_tokens))
    found = FORMAT.unpack(torch.cat((content, torch.zeros(7, dtype=torch.uint8))), n_tokens)
    low, high = opening.keys.aminmax(dim=2, keepdim=True)
    key_step = torch.maximum((high - low) / 255, low.abs() / 30_000).clamp_min(1e-4)
    # A code may be half a step off, and the zero of its channel as well.
    assert ((found.keys - opening.keys).abs() <= 1.1 * key_step).all()
    low, high = opening.values.aminmax(dim=3, keepdim=True)
    value_step = ((high - low) / 15).clamp_min(1e-4)
    half_precision = low.abs() * 2**-10
    off = (found.values - opening.values).abs()
    assert (off <= 0.51 * value_step + half_precision).all()


def test_the_same_keys_and_values_are_the_same_bytes() -> None:
    one, other = (FORMAT.pack(random_opening(9, 3, 20, 1)) for _ in range(2))
    assert torch.equal(one, other)


def test_numbers_that_are_all_the_same_stay_what_they_are() -> None:
    opening = Opening(torch.full((2, 3, 4, 8), 7.5), torch.full((2, 3, 4, 8), -2.0))
    found = FORMAT.unpack(FORMAT.pack(opening), 4)
    torch.testing.assert_close(found.keys, opening.keys, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.values, opening.values, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("n_tokens", "most"), [(48, 5100), (128, 4950)])
def test_a_token_of_the_default_model_takes_about_five_kilobytes(n_tokens: int, most: int) -> None:
    assert CODER.n_bytes(n_tokens) / n_tokens < most
