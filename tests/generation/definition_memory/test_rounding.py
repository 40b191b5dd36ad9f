"""Rounded keys and values: bytes, and what is lost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.rounding import CosSin, RoundedFormat, Rows

FORMAT, SMALL = RoundedFormat(2, 3, 8), RoundedFormat(2, 3, 8, 2)
CODER, SMALL_CODER = RoundedFormat(24, 2, 64), RoundedFormat(24, 2, 64, 2)


def random_opening(n_tokens: int, seed: int, offset: float, scale: float) -> Opening:
    generator = torch.Generator().manual_seed(seed)
    shape = 2, 3, n_tokens, 8
    keys = torch.randn(shape, generator=generator) * scale
    keys += offset * torch.randn(2, 3, 1, 8, generator=generator)
    return Opening(keys, torch.randn(shape, generator=generator) * scale)


def unturned(n_tokens: int) -> CosSin:
    return torch.ones(n_tokens, 8), torch.zeros(n_tokens, 8)


def turned(n_tokens: int) -> CosSin:
    angles = torch.arange(3, 3 + n_tokens)[:, None] * torch.tensor([1.0, 0.3, 0.1, 0.01])
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def spread(content: torch.Tensor, rotation: CosSin, rounded: RoundedFormat = FORMAT) -> Opening:
    n_tokens = len(rotation[0])
    rows = Opening(*(torch.full((2, 3, n_tokens + 2, 8), 5.0) for _ in range(2)))
    rounded.spread(content, rotation, Rows(list(zip(rows.keys, rows.values, strict=True))), 1)
    for part in (rows.keys, rows.values):
        assert (part[:, :, [0, -1]] == 5).all()
    return Opening(rows.keys[:, :, 1:-1], rows.values[:, :, 1:-1])


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
    content = FORMAT.pack(opening, unturned(n_tokens))
    assert (content.dtype, len(content)) == (torch.uint8, FORMAT.n_bytes(n_tokens))
    found = spread(torch.cat((content, torch.zeros(7, dtype=torch.uint8))), unturned(n_tokens))
    low, high = opening.keys.aminmax(dim=2, keepdim=True)
    key_step = torch.maximum((high - low) / 15, low.abs() / 30_000).clamp_min(1e-4)
    # A code may be half a step off, and the zero of its channel as well.
    assert ((found.keys - opening.keys).abs() <= 1.1 * key_step).all()
    low, high = opening.values.aminmax(dim=3, keepdim=True)
    value_step = ((high - low) / 15).clamp_min(1e-4)
    half_precision = low.abs() * 2**-10
    off = (found.values - opening.values).abs()
    assert (off <= 0.51 * value_step + half_precision).all()


def test_the_same_keys_and_values_are_the_same_bytes() -> None:
    one, other = (FORMAT.pack(random_opening(9, 3, 20, 1), turned(9)) for _ in range(2))
    assert torch.equal(one, other)


def test_a_rotation_costs_nothing() -> None:
    """Keys with large channels, rotated by their positions, are off by no more than without it."""
    plain = random_opening(40, 1, 200, 1)
    cos, sin = turned(40)
    first, second = plain.keys.chunk(2, dim=-1)
    rotated = Opening(plain.keys * cos + torch.cat((-second, first), dim=-1) * sin, plain.values)
    found = spread(FORMAT.pack(rotated, (cos, sin)), (cos, sin))
    off = (found.keys - rotated.keys).abs().max()
    by_channel = (rotated.keys.amax(2) - rotated.keys.amin(2)).max() / 15
    assert off < 1 < by_channel


def test_numbers_that_are_all_the_same_stay_what_they_are() -> None:
    opening = Opening(torch.full((2, 3, 4, 8), 7.5), torch.full((2, 3, 4, 8), -2.0))
    found = spread(FORMAT.pack(opening, unturned(4)), unturned(4))
    torch.testing.assert_close(found.keys, opening.keys, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.values, opening.values, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("rounded", "n_tokens", "most"),
    [(CODER, 48, 3550), (CODER, 128, 3400), (SMALL_CODER, 48, 2700), (SMALL_CODER, 128, 2500)],
)
def test_a_token_of_the_default_model_takes_few_bytes(
    rounded: RoundedFormat, n_tokens: int, most: int
) -> None:
    assert rounded.n_bytes(n_tokens) / n_tokens < most


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1e-3, 0.1, 1.0, 50.0]))
def test_values_of_two_bits_have_the_error_of_the_best_four_levels(
    n_tokens: int, seed: int, scale: float
) -> None:
    opening = random_opening(n_tokens, seed, 0, scale)
    content = SMALL.pack(opening, unturned(n_tokens))
    assert len(content) == SMALL.n_bytes(n_tokens) < FORMAT.n_bytes(n_tokens)
    found = spread(content, unturned(n_tokens), SMALL)
    same_keys = spread(FORMAT.pack(opening, unturned(n_tokens)), unturned(n_tokens))
    assert torch.equal(found.keys, same_keys.keys)
    lost = (found.values - opening.values).square().sum() / opening.values.square().sum()
    assert lost < 0.3  # of few numbers; see the next test


def test_values_that_stand_out_are_no_worse_off_with_two_bits() -> None:
    """Four levels lose 0.1175 of the squares of a normal distribution."""
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(2, 3, 400, 64, generator=generator)
    heavy = normal.clone()
    heavy[..., 5] *= 6
    rounded = RoundedFormat(2, 3, 64, 2)
    for values, most in ((normal, 0.12), (heavy, 0.16)):
        keys, written = torch.zeros_like(values), torch.full_like(values, torch.nan)
        one = torch.ones(400, 64), torch.zeros(400, 64)
        content = rounded.pack(Opening(keys, values), one)
        rounded.spread(content, one, Rows(list(zip(keys, written, strict=True))), 0)
        assert (written - values).square().sum() / values.square().sum() < most


def test_values_that_are_all_zero_stay_zero_with_two_bits() -> None:
    opening = Opening(torch.zeros(2, 3, 4, 8), torch.zeros(2, 3, 4, 8))
    found = spread(SMALL.pack(opening, unturned(4)), unturned(4), SMALL)
    assert found.values.abs().max() < 1e-3
