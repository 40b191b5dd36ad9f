"""Definitions in a decoder's cache: the rows before a prompt, and the position behind them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.decoding.decoder import Decoder, PlacedText
from longllama_code.generation.prompting.definition_layout import excerpt_ids
from longllama_code.model.caches import LongLlamaCache
from tests.code_model import TOKENIZER
from tests.generation.definition_memory.small import (
    CONFIG,
    EXCERPTS,
    HEAD,
    MARKS,
    OWN,
    decoder,
    encode,
    in_one_pass,
    memory,
)

assert MARKS is not None
PROMPT = [*HEAD, *OWN]
ROOM = 1000


def ids_of(number: int) -> list[int]:
    assert MARKS is not None
    return excerpt_ids(EXCERPTS[number].path, EXCERPTS[number].text, TOKENIZER, MARKS)


def logits_after(of: Decoder, placed: PlacedText | None, ids: list[int] = PROMPT) -> torch.Tensor:
    """Logits after a prompt, read step by step."""
    of.prefill(ids, None, lambda: False, placed)
    found: list[torch.Tensor] = []

    def choose(logits: torch.Tensor) -> int:
        found.append(logits)
        return int(logits.argmax())

    next(iter(of.steps(ids, None, choose)))
    return found[0]


@pytest.mark.parametrize("by_kernels", [False, True])
@pytest.mark.parametrize("numbers", [[0], [0, 1], [2, 0, 1]])
def test_the_cache_gives_what_one_pass_over_the_whole_form_gives(
    numbers: list[int], by_kernels: bool
) -> None:
    filled = memory(by_kernels=by_kernels)
    chosen = [EXCERPTS[number] for number in numbers]
    encode(filled, *chosen)
    placed = filled.placed("port", chosen, ROOM)
    assert placed is not None
    wanted = in_one_pass(HEAD, [ids_of(number) for number in numbers], OWN)
    with torch.inference_mode():
        of = decoder(by_kernels=by_kernels)
        of._go_back([*PROMPT, -1], None, placed)
        found = of._forward(OWN, None)
    tolerance = 1e-2 if by_kernels else 1e-4
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("by_kernels", [False, True])
def test_one_definition_alone_equals_the_prompt_that_shows_it(by_kernels: bool) -> None:
    filled = memory(by_kernels=by_kernels)
    encode(filled, EXCERPTS[0])
    placed = filled.placed("port", EXCERPTS[:1], ROOM)
    found = logits_after(decoder(by_kernels=by_kernels), placed)
    shown = [*HEAD, *ids_of(0), *OWN]
    wanted = logits_after(decoder(by_kernels=by_kernels), None, shown)
    if by_kernels:
        assert torch.equal(found, wanted)
    else:
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_without_definitions_nothing_changes_to_the_bit() -> None:
    for by_kernels in (False, True):
        filled = memory(by_kernels=by_kernels)
        encode(filled, *EXCERPTS)
        used = decoder(by_kernels=by_kernels)
        logits_after(used, filled.placed("port", EXCERPTS, ROOM))
        found = logits_after(used, None)
        assert torch.equal(found, logits_after(decoder(by_kernels=by_kernels), None))


def test_definitions_change_what_is_written() -> None:
    filled = memory(by_kernels=True)
    encode(filled, *EXCERPTS)
    without = logits_after(decoder(by_kernels=True), None)
    placed = logits_after(decoder(by_kernels=True), filled.placed("port", EXCERPTS, ROOM))
    assert (without - placed).abs().max() > 0.1


@pytest.mark.parametrize(("value_bits", "most"), [(4, 0.1), (2, 0.6)])
def test_rounding_changes_little_of_what_is_predicted(value_bits: int, most: float) -> None:
    """Random weights need every bit; the default model loses less than a hundredth."""
    found = list[torch.Tensor]()
    for exact in (True, False):
        filled = memory(by_kernels=True, exact=exact, value_bits=value_bits)
        encode(filled, *EXCERPTS)
        found.append(logits_after(decoder(by_kernels=True), filled.placed("port", EXCERPTS, ROOM)))
    exact, rounded = (each.log_softmax(-1) for each in found)
    without = logits_after(decoder(by_kernels=True), None).log_softmax(-1)
    lost, at_stake = ((exact.exp() * (exact - each)).sum() for each in (rounded, without))
    assert 0 <= lost < most * at_stake


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 2)), st.integers(1, len(OWN))), min_size=2, max_size=5
    )
)
def test_a_decoder_that_goes_to_and_fro_equals_a_fresh_one(steps: list[tuple[set[int], int]]):
    filled = memory(by_kernels=True)
    encode(filled, *EXCERPTS)
    used = decoder(by_kernels=True)
    for numbers, length in steps:
        placed = filled.placed("port", [EXCERPTS[number] for number in numbers], ROOM)
        ids = [*HEAD, *OWN[:length]]
        fresh = decoder(by_kernels=True)
        assert torch.equal(logits_after(used, placed, ids), logits_after(fresh, placed, ids))


def test_what_was_read_behind_definitions_is_reused_behind_the_same_ones_alone() -> None:
    filled = memory(by_kernels=True)
    encode(filled, *EXCERPTS)
    both, one = (filled.placed("port", EXCERPTS[:n], ROOM) for n in (2, 1))
    used = decoder(by_kernels=True)
    logits_after(used, both)
    longer = [*PROMPT, *TOKENIZER.encode("dues(")]
    assert used.n_common(longer, None, both) == len(PROMPT)
    assert used.n_common(longer, None, one) == len(HEAD)
    assert used.n_common(longer, None) == 0


@given(st.integers(0, 5), st.integers(1, 8), st.integers(0, 9), st.integers(0, 6))
def test_the_next_position_follows_what_was_placed(
    n_head: int, n_placed: int, following: int, n_own: int
) -> None:
    cache = LongLlamaCache(CONFIG, spills=False)
    shape = CONFIG.num_hidden_layers, CONFIG.n_kv_heads
    with torch.inference_mode():
        if n_head:
            head = torch.zeros(*shape, n_head, 16)
            cache.place(head, head, n_head)
        rows = torch.ones(*shape, n_placed, 16)
        cache.place(rows, rows, n_head + following)
        top = n_head + following
        assert (cache.local_length, cache.following) == (n_head + n_placed, top)
        own = torch.full((*shape, 1, 16), 2.0)
        for number in range(n_own):
            positions = torch.tensor([[cache.following]])
            visible = torch.ones(1, cache.local_length + 1, dtype=torch.bool)
            assert cache.begin(positions, visible).tolist() == [[top + number]]
            for layer, rows_of_layer in enumerate(own):
                cache.append(layer, rows_of_layer[None], rows_of_layer[None], rows_of_layer[None])
        cache.truncate(n_head + n_placed)
        assert cache.following == top
        cache.truncate(n_head)
        assert cache.following == cache.local_length == n_head


def rows_in(of: Decoder) -> tuple[torch.Tensor, torch.Tensor]:
    snapshot = of.snapshot()
    return snapshot.keys, snapshot.values


def read_behind(numbers: list[int], *, by_kernels: bool, then: list[int] | None = None) -> Decoder:
    """Return a decoder that read the prompt behind definitions, which are then exchanged."""
    filled = memory(by_kernels=by_kernels)
    encode(filled, *EXCERPTS)
    of = decoder(by_kernels=by_kernels)
    for chosen in (numbers, then):
        if chosen is not None:
            excerpts = [EXCERPTS[number] for number in chosen]
            placed = filled.placed("port", excerpts, ROOM, exchanges=True)
            of.prefill(PROMPT, None, lambda: False, placed)
            logits_after(of, placed)
    return of


@pytest.mark.parametrize("by_kernels", [False, True])
@pytest.mark.parametrize(
    ("first", "then"), [([0], [0, 1]), ([1, 2], [0]), ([], [1, 2]), ([2], [2])]
)
def test_exchanged_definitions_leave_what_was_read_where_it_belongs(
    first: list[int], then: list[int], by_kernels: bool
) -> None:
    """What is exchanged has the right positions, and what was read stays what it is.

    Keys and values of the first layer depend on no other token, so they tell the positions.
    """
    before, after, fresh = (
        read_behind(numbers, by_kernels=by_kernels, then=second)
        for numbers, second in ((first, None), (first, then), (then, None))
    )
    (keys, values), (fresh_keys, fresh_values) = rows_in(after), rows_in(fresh)
    n_own = len(PROMPT) - len(HEAD)
    torch.testing.assert_close(keys[0], fresh_keys[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(values[0], fresh_values[0], rtol=1e-3, atol=1e-3)
    assert torch.equal(keys[:, :, : -n_own - 1], fresh_keys[:, :, : -n_own - 1])
    kept = rows_in(before)[1][:, :, -n_own:-1]
    assert torch.equal(values[:, :, -n_own:-1], kept)
    assert after.is_stale == (first != then)
    assert not before.is_stale


def test_exchanging_there_and_back_changes_nothing_but_roundings() -> None:
    filled = memory(by_kernels=True)
    encode(filled, *EXCERPTS)
    of = decoder(by_kernels=True)
    one, other = (
        filled.placed("port", [EXCERPTS[n] for n in numbers], ROOM, exchanges=True)
        for numbers in ((0, 1), (2,))
    )
    wanted = logits_after(of, one)
    ids = [*PROMPT, TOKENIZER.encode("x")[0]]
    for placed in (other, one, other, one):
        assert of.prefill(ids[:-1], None, lambda: False, placed) == len(PROMPT) - 1
    torch.testing.assert_close(logits_after(of, one), wanted, rtol=1e-2, atol=1e-2)
    assert of.is_stale
    of.prefill(ids, None, lambda: False, filled.placed("port", EXCERPTS, ROOM))
    assert not of.is_stale
    assert of.n_reused == len(HEAD)
