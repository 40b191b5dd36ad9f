"""Attention to the local context, beside torch's."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from longllama_code.kernels.attention import (
    LOWEST,
    NO_BOUNDS,
    NO_MASSES,
    add_memory,
    attend,
    weigh_memory,
)
from longllama_code.kernels.sharing.helpers import Helpers
from longllama_code.kernels.sharing.shared_work import attend_shared

RNG = np.random.default_rng(7)
HEADS = st.sampled_from([(1, 1), (4, 2), (9, 3), (6, 3)])


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


def run(threads: Helpers | None, *arguments) -> None:
    """Run attention by threads, as models of blocks do, or by ``attend``.

    These are two compiled copies, whose last bits may differ.
    """
    if threads is None:
        attend(*arguments)
        return
    with threads.board() as board:
        attend_shared(board, *arguments)


def attended(queries, keys, values, n_before: int, threads: Helpers | None = None):
    n_heads, n_rows, size = queries.shape
    mixed = np.full((n_rows, n_heads * size), np.nan, np.float32)
    totals = np.full((n_rows, n_heads), np.nan, np.float32)
    run(threads, queries, keys, values, n_before, mixed, totals, NO_BOUNDS, NO_MASSES)
    return mixed, totals


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 70), st.integers(1, 9), HEADS, st.sampled_from([4, 8, 16, 20, 64, 100, 128]))
def test_attention_is_causal_and_that_of_torch(n_before, n_rows, heads, size):
    (n_heads, n_groups), room = heads, n_before + n_rows + 3
    queries, keys, values = normal(n_heads, n_rows, size), *normal(2, n_groups, room, size)
    mixed, totals = attended(queries, keys, values, n_before)
    seen = torch.ones(n_rows, n_before + n_rows, dtype=torch.bool).tril(n_before)
    local = [torch.from_numpy(part[:, : n_before + n_rows]) for part in (keys, values)]
    wanted = scaled_dot_product_attention(
        torch.from_numpy(queries)[None], *(p[None] for p in local), attn_mask=seen, enable_gqa=True
    )
    by_head = mixed.reshape(n_rows, n_heads, size).transpose(1, 0, 2)
    np.testing.assert_allclose(by_head, wanted[0], rtol=1e-4, atol=1e-5)
    shared = local[0].repeat_interleave(n_heads // n_groups, 0)
    scores = torch.from_numpy(queries) @ shared.mT / size**0.5
    wanted_totals = scores.masked_fill(~seen, -torch.inf).logsumexp(-1)
    np.testing.assert_allclose(totals, wanted_totals.T, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 30), st.integers(2, 9), HEADS, st.sampled_from([20, 64]), st.data())
def test_a_token_is_the_same_alone_and_among_others(n_before, n_rows, heads, size, data):
    (n_heads, n_groups), room = heads, n_before + n_rows
    queries, keys, values = normal(n_heads, n_rows, size), *normal(2, n_groups, room, size)
    mixed, totals = attended(queries, keys, values, n_before)
    row = data.draw(st.integers(0, n_rows - 1))
    alone = np.ascontiguousarray(queries[:, row : row + 1])
    of_row, total = attended(alone, keys, values, n_before + row)
    np.testing.assert_array_equal(of_row[0], mixed[row])
    np.testing.assert_array_equal(total[0], totals[row])


ALONE, HELPERS = Helpers(0), Helpers(2)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1500), st.integers(1, 9), HEADS, st.sampled_from([20, 64, 128]))
def test_threads_share_attention_and_change_no_bit(n_before, n_rows, heads, size):
    (n_heads, n_groups), room = heads, n_before + n_rows + 2
    queries, keys, values = normal(n_heads, n_rows, size), *normal(2, n_groups, room, size)
    wanted, wanted_totals = attended(queries, keys, values, n_before, ALONE)
    mixed, totals = attended(queries, keys, values, n_before, HELPERS)
    np.testing.assert_array_equal(mixed, wanted)
    np.testing.assert_array_equal(totals, wanted_totals)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1500), st.integers(1, 9), HEADS, st.sampled_from([20, 64]), st.data())
def test_masses_are_sums_of_weights_by_segment(n_before, n_rows, heads, size, data):
    (n_heads, n_groups), room = heads, n_before + n_rows + 2
    queries, keys, values = normal(n_heads, n_rows, size), *normal(2, n_groups, room, size)
    ends = st.integers(0, n_before + n_rows)
    bounds = np.array(sorted(data.draw(st.lists(ends, min_size=2, max_size=6))))
    shared = torch.from_numpy(keys).repeat_interleave(n_heads // n_groups, 0)
    scores = torch.from_numpy(queries) @ shared[:, : n_before + n_rows].mT / size**0.5
    seen = torch.ones(n_rows, n_before + n_rows, dtype=torch.bool).tril(n_before)
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1).transpose(0, 1)
    wanted = torch.stack(
        [weights[..., first:end].sum(-1) for first, end in pairwise(bounds)], dim=-1
    )
    totals = np.empty((n_rows, n_heads), np.float32)
    known = queries, keys, values, n_before
    for threads in (None, ALONE, HELPERS):
        without, _ = attended(*known, threads)
        mixed, masses = np.empty_like(without), np.ones(wanted.shape, np.float32)
        run(threads, *known, mixed, totals, bounds, masses)
        np.testing.assert_allclose(masses, 1 + wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(mixed, without)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 20), st.integers(0, 3)
)
def test_memory_and_local_context_share_one_softmax(n_groups, n_heads, n_rows, n_keys, n_missing):
    shape, size = (n_groups, n_heads, n_rows), 8
    scores, local = 5 * normal(*shape, n_keys), 5 * normal(*shape)
    scores[..., n_keys - min(n_missing, n_keys) :] = LOWEST
    weights, local_share = np.full_like(scores, np.nan), np.full_like(local, np.nan)
    weigh_memory(scores, local, weights, local_share)
    both = torch.from_numpy(np.concatenate((scores, local[..., None]), axis=-1)).softmax(-1)
    np.testing.assert_allclose(weights, both[..., :-1], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(local_share, both[..., -1], rtol=1e-4, atol=1e-7)
    assert not weights[scores == LOWEST].any()

    heads = np.array([1, 4, 2][:n_groups])
    mixed, from_memory = normal(n_rows, 5 * n_heads * size), normal(*shape, size)
    wanted = mixed.reshape(n_rows, 5, n_heads, size).transpose(1, 2, 0, 3).copy()
    wanted[heads] = wanted[heads] * local_share[..., None] + from_memory
    add_memory(mixed, heads, local_share, from_memory)
    by_head = mixed.reshape(n_rows, 5, n_heads, size).transpose(1, 2, 0, 3)
    np.testing.assert_allclose(by_head, wanted, rtol=1e-5, atol=1e-6)
