"""The longest match is what a search through all of memory would find."""

from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from longllama_code.memory.retrieval import ngrams
from longllama_code.memory.retrieval.ngrams import MAX_MATCH_TOKENS, Match, NgramIndex

TOKENS = st.integers(0, 3)
SEGMENTS = st.lists(st.lists(TOKENS, max_size=12), max_size=8)


def index_of(*segments: Sequence[int]) -> NgramIndex:
    index = NgramIndex()
    for segment in segments:
        index.add(torch.tensor(segment, dtype=torch.int32))
    return index


def searched(
    segments: Sequence[Sequence[int]], context: Sequence[int], visible: Sequence[bool]
) -> tuple[int, Counter[int]]:
    """Length of the longest match, and what followed, by looking everywhere."""
    best: tuple[int, Counter[int]] = (0, Counter())
    start = 0
    for segment in segments:
        for at in range(1, len(segment)):
            length = 0
            while (
                length < min(at, len(context), MAX_MATCH_TOKENS)
                and segment[at - 1 - length] == context[-1 - length]
            ):
                length += 1
            if not length or not visible[start + at]:
                continue
            if length > best[0]:
                best = length, Counter()
            if length == best[0]:
                best[1][segment[at]] += 1
        start += len(segment)
    return best


def as_counts(match: Match | None) -> tuple[int, Counter[int]]:
    if match is None:
        return 0, Counter()
    counted = dict(zip(match.tokens.tolist(), match.counts.tolist(), strict=True))
    assert Counter(match.followers.tolist()) == counted
    return match.length, Counter(counted)


@given(SEGMENTS, st.lists(TOKENS, max_size=20), st.randoms(use_true_random=False))
@example([[1, 2, 3, 0], [2, 3, 1]], [1, 2, 3], None)
def test_it_is_the_longest(segments, context, rng):
    n_rows = sum(map(len, segments))
    hides = rng is not None
    visible = [not hides or rng.random() < 0.7 for _ in range(n_rows)]
    index = index_of(*segments)
    match = index.match(context, torch.tensor(visible, dtype=torch.bool) if hides else None)
    assert as_counts(match) == searched(segments, context, visible)


@given(st.lists(SEGMENTS, max_size=4), st.lists(TOKENS, min_size=1, max_size=6))
def test_rows_may_come_between_lookups(batches, context):
    index, segments = NgramIndex(), []
    for batch in batches:
        for segment in batch:
            index.add(torch.tensor(segment, dtype=torch.int32))
            segments.append(segment)
        visible = [True] * sum(map(len, segments))
        assert as_counts(index.match(context)) == searched(segments, context, visible)


def test_few_late_rows_are_kept_apart_from_many():
    many = torch.randint(0, 50, (5000,), generator=torch.Generator().manual_seed(0)).tolist()
    index = index_of(many)
    assert index.match([7]) is not None
    index.add(torch.tensor([60, 61, 7, 62]))
    assert index.match([60]).followers.tolist() == [61]
    assert as_counts(index.match([61, 7])) == (2, Counter({62: 1}))
    before = index.match([7]).counts.sum()
    index.add(torch.tensor([7, 63] * 1000))
    assert index.match([63]).counts.sum() == 999
    assert index.match([7]).counts.sum() > before


def test_rows_and_ids_are_those_of_the_segments():
    index = index_of([5, 6, 7], [6, 8])
    match = index.match([6])
    assert sorted(match.rows.tolist()) == [2, 4]
    assert index.ids(3, 5).tolist() == [6, 8]
    assert len(index) == 5
    assert index.nbytes > 0


def test_the_greatest_token_of_a_large_vocabulary():
    greatest = (1 << ngrams.TOKEN_BITS) - 2
    index = index_of([greatest, greatest, greatest, 0], [0, greatest, 1])
    assert as_counts(index.match([greatest] * 3)) == (3, Counter({0: 1}))
    assert as_counts(index.match([0, greatest])) == (2, Counter({1: 1}))


def test_what_is_frequent_is_looked_at_evenly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ngrams, "MAX_CANDIDATES", 10)
    index = index_of(*([1, follower] for follower in range(100)))
    rows = index.match([1]).rows
    assert len(rows) == 10
    assert max(rows.diff()) == min(rows.diff())


def test_nothing_matches():
    assert NgramIndex().match([1]) is None
    assert index_of([1, 2]).match([]) is None
    assert index_of([1, 2]).match([2]) is None
    assert index_of([1]).match([1]) is None
