"""Lists hold what was put into them; the search finds what reading all that it reads would."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from longllama_code.kernels.search import _nearest
from longllama_code.kernels.sharing.threads import LEAST_ROWS, Threads
from longllama_code.memory.retrieval import clusters, search
from longllama_code.memory.retrieval.clusters import ClusterLists
from longllama_code.memory.retrieval.kernel_search import KernelSearch, search_of
from longllama_code.memory.retrieval.row_view import RowView
from longllama_code.memory.retrieval.rows import MemoryRows
from longllama_code.memory.retrieval.search import RowSearch
from longllama_code.memory.segments.segment import EncodedSegment
from longllama_code.memory.storage.records import RecordFormat
from longllama_code.memory.storage.store import SegmentStore, StoredSegment
from longllama_code.model.attention import softmax_attention
from longllama_code.model.memory_source import DenseView
from tests.memory.retrieval.tables import N_CLUSTERS, D, H, keys_like, queries_like, table_of

TABLE = table_of()
FORM = RecordFormat(H, D, torch.float32, TABLE, 8, 8)
FIVE = RecordFormat(H, D, torch.float32, TABLE, 8, 5)
NARROW = RecordFormat(H, D, torch.float32, TABLE, 4, 4)
FLOATS = RecordFormat(H, D, torch.float32)
BOTH = pytest.mark.parametrize("search_of", [RowSearch, KernelSearch])
R, S, K = 2, 5, 8
N_SEGMENTS, N_TOKENS = 12, 60


def segment(number: int) -> EncodedSegment:
    keys = keys_like(N_TOKENS, number)
    values = torch.randn(H, N_TOKENS, D, generator=torch.Generator().manual_seed(number))
    ids = torch.full((N_TOKENS,), number).int()
    return EncodedSegment(f"{number:032x}", keys, values, ids, torch.tensor([0]).int())


def rows_of(
    numbers: list[int], form: RecordFormat = FORM, *, sorts_each: bool = False
) -> MemoryRows:
    store = SegmentStore(None, form.n_bytes)
    rows = MemoryRows(form, store.records)
    for number in numbers:
        one = segment(number)
        rows.add(store.put(one.id, form.pack(one), [0]))
        if sorts_each:
            rows.lists  # noqa: B018
    return rows


def kept_keys(rows: MemoryRows, head: int) -> Tensor:
    return rows.record_format.keys(rows.records.rows, rows.positions(), head)


def asked(seed: int = 0) -> Tensor:
    return queries_like(R * S, seed).view(R, S, D)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.lists(st.integers(0, 5), min_size=1, max_size=9)),
            st.tuples(st.just("remove"), st.integers(0, 20)),
            st.tuples(st.just("look"), st.integers(0, 5)),
        ),
        max_size=30,
    )
)
def test_lists_hold_what_was_put_into_them(steps: list[tuple[str, object]]) -> None:
    lists, expected, spans, end = ClusterLists(2, 6), dict[int, int](), list[tuple[int, int]](), 0
    for step, what in steps:
        if step == "add":
            clusters = torch.tensor(what)
            lists.add(end, torch.stack((clusters, 5 - clusters)))
            expected |= {end + place: cluster for place, cluster in enumerate(what)}
            spans.append((end, end + len(what)))
            end += len(what)
        elif step == "remove" and spans:
            start, stop = spans.pop(what % len(spans))
            lists.remove(start, stop)
            for row in range(start, stop):
                del expected[row]
        elif step == "look":
            check(lists, expected, [what, 5 - what])
    check(lists, expected, list(range(6)))


def check(lists: ClusterLists, expected: dict[int, int], clusters: list[int]) -> None:
    lists.sort()
    for head, of in enumerate((lambda c: c, lambda c: 5 - c)):
        held = [(row, of(cluster)) for row, cluster in expected.items()]
        counts = [sum(cluster == mine for _, mine in held) for cluster in range(6)]
        assert lists.counts(head).tolist() == counts
        rows, places = lists.rows(head, torch.tensor(clusters))
        pairs = zip(rows.tolist(), places.tolist(), strict=True)
        found = sorted((row, clusters[place]) for row, place in pairs)
        wanted = [(row, cluster) for row, cluster in held for c in clusters if c == cluster]
        assert found == sorted(wanted)


@pytest.mark.parametrize(
    ("form", "search_of"),
    [(FORM, RowSearch), (FORM, KernelSearch), (NARROW, KernelSearch), (FLOATS, RowSearch)],
    ids=["int8", "int8 by kernels", "int4 by kernels", "floats"],
)
@pytest.mark.parametrize("hides", [False, True])
def test_all_is_read_where_that_is_asked(
    form: RecordFormat, search_of: type[RowSearch], hides: bool
) -> None:
    rows = rows_of(list(range(N_SEGMENTS)), form)
    visible = torch.rand(len(rows), generator=torch.Generator().manual_seed(4)) < 0.5
    seen = visible if hides else torch.ones(len(rows), dtype=torch.bool)
    for head in range(H):
        one = search_of(rows, head, visible if hides else None, None)
        best, found = one.best(asked(), K)
        scores = asked() @ kept_keys(rows, head).T * D**-0.5
        expected = scores.masked_fill(~seen, -1e9).topk(K).values
        assert torch.allclose(best, expected, atol=1e-3)
        assert torch.allclose(scores.gather(-1, found), expected, atol=1e-3)
        everything = one.scores(asked())
        assert torch.allclose(everything[..., seen], scores[..., seen], atol=1e-3)
        assert bool((everything[..., ~seen] < -1e30).all())


@BOTH
@pytest.mark.parametrize("read", [60, 150, 400])
def test_the_nearest_clusters_are_read(search_of: type[RowSearch], read: int) -> None:
    """Clusters by their best score with a query head of the token, until enough keys are read."""
    rows, head = rows_of(list(range(N_SEGMENTS))), 1
    best, found = search_of(rows, head, None, read).best(asked(), K)
    turned = (asked() * D**-0.5) @ TABLE.back[head].T
    ranks = (turned @ TABLE.centroids[head].T).amax(0)  # (S, C)
    cluster = FORM.clusters(rows.records.rows, rows.positions())[head].long()
    counts = torch.bincount(cluster, minlength=N_CLUSTERS)
    scores = asked() @ kept_keys(rows, head).T * D**-0.5
    for token in range(S):
        chosen, n_read = list[int](), 0
        for candidate in ranks[token].argsort(descending=True).tolist():
            if n_read >= read:
                break
            chosen.append(candidate)
            n_read += int(counts[candidate])
        is_read = torch.isin(cluster, torch.tensor(chosen))
        expected = scores[:, token].masked_fill(~is_read, -1e9).topk(K).values
        assert torch.allclose(best[:, token], expected, atol=1e-3)
        assert bool(is_read[found[:, token]].all())
    missed = float((scores.topk(K).values - best).mean())
    assert missed < (0.2 if read == 400 else 1.0)


@pytest.mark.parametrize("hides", [False, True])
def test_many_tokens_at_once_are_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch, hides: bool
) -> None:
    rows = rows_of(list(range(N_SEGMENTS)))
    visible = torch.arange(len(rows)) % 3 > 0 if hides else None
    queries = queries_like(R * 40).view(R, 40, D)
    for read in (130, 300, 700):
        found: list[tuple[Tensor, Tensor]] = []
        for share in (0, 1000):
            monkeypatch.setattr(search, "MAX_BLOCK_SHARE", share)
            found.append(RowSearch(rows, 1, visible, read).best(queries, K))
        assert torch.allclose(found[0][0], found[1][0], atol=1e-4)
        assert (found[0][1] == found[1][1]).float().mean() > 0.999


@BOTH
def test_hidden_rows_are_read_and_not_found(search_of: type[RowSearch]) -> None:
    rows = rows_of(list(range(N_SEGMENTS)))
    visible = torch.arange(len(rows)) % 2 == 0
    _, found = search_of(rows, 0, visible, 150).best(asked(), K)
    assert bool((found % 2 == 0).all())


@BOTH
def test_fewer_than_wanted_score_lowest(search_of: type[RowSearch]) -> None:
    rows = rows_of([0])
    visible = torch.zeros(len(rows), dtype=torch.bool)
    visible[3] = True
    best, found = search_of(rows, 0, visible, None).best(asked(), K)
    assert bool((found[..., 0] == 3).all())
    assert bool((best[..., 1:] < -1e30).all())
    best, found = search_of(rows, 0, None, None).best(asked(), 100)
    assert best.shape == found.shape == (R, S, 100)
    assert bool((best[..., N_TOKENS:] < -1e30).all())


@settings(deadline=None, max_examples=20)
@given(st.permutations(list(range(N_SEGMENTS))), st.integers(0, 6), st.sampled_from([100, 10**6]))
def test_what_is_found_depends_on_the_set_alone(order: list[int], n_gone: int, read: int) -> None:
    """Not on the order in which it came, nor on what was there and went."""
    gone = order[:n_gone]
    rows = rows_of(order)
    rows.lists  # noqa: B018 - some came before lists were looked at, some after
    for number in gone:
        rows.remove(segment(number).id)
    fresh = rows_of(sorted(order[n_gone:]))
    for head in range(H):
        found = [
            search_of(which, head, which.visible([]), read).best(asked(), K)[0]
            for which in (rows, fresh)
        ]
        assert torch.allclose(*found, atol=1e-4)


@pytest.mark.parametrize("top_k", [K, None])
@pytest.mark.parametrize("hides", [False, True])
def test_attention_is_that_of_the_tensors(top_k: int | None, hides: bool) -> None:
    rows = rows_of(list(range(N_SEGMENTS)), FLOATS)
    heads = range(1, 3)
    visible = torch.arange(len(rows)) % 3 > 0 if hides else None
    keys = torch.stack([kept_keys(rows, head) for head in heads])[None]
    values = torch.stack([FLOATS.values(rows.records.rows, rows.positions(), h) for h in heads])
    dense = DenseView(keys, values[None], None if visible is None else visible[None, None, None])
    queries = queries_like(2 * R * S).view(1, 2, R, S, D)
    local = torch.randn(2, 1, 2, 7, D)
    sees = torch.ones(1, 1, S, 7, dtype=torch.bool)
    with torch.no_grad():
        one, other = (
            softmax_attention(queries, *local, sees, view, top_k)
            for view in (RowView(rows, heads, visible), dense)
        )
    assert torch.allclose(one, other, atol=1e-4)


def test_a_part_of_a_view() -> None:
    heard: list[int] = []
    view = RowView(rows_of([0]), range(3), None, lambda first, *_: heard.append(first))
    part = view.part(slice(1, 3), slice(40, 50))
    assert part.heads == range(1, 3)
    assert part.observe is not None
    part.observe(2, torch.zeros(1), None)
    assert heard == [42]


def test_moved_rows_are_the_same() -> None:
    rows = rows_of([3, 4, 5])
    before = search_of(rows, 0, None, 100).best(asked(), K)
    other = SegmentStore(None, FORM.n_bytes)
    starts = {}
    for number in (5, 9, 4, 3):
        one = segment(number)
        starts[one.id] = other.put(one.id, FORM.pack(one), [0]).start
    rows.move(other.records, starts)
    after = search_of(rows, 0, None, 100).best(asked(), K)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


@settings(deadline=None, max_examples=25)
@given(
    st.permutations(list(range(N_SEGMENTS))),
    st.integers(0, 6),
    st.integers(0, N_SEGMENTS),
    st.sampled_from([130, 300, 10**6]),
    st.sampled_from([FORM, FIVE]),
)
def test_keys_beside_the_lists_are_those_of_the_records(
    order: list[int], n_gone: int, n_kept: int, read: int, form: RecordFormat
) -> None:
    """Merged and late ones, after removals; and once there was no more room for them."""
    found: list[tuple[Tensor, Tensor]] = []
    with pytest.MonkeyPatch.context() as patch:
        for room in (10**6, n_kept * N_TOKENS + 1, 0):
            patch.setattr(clusters, "KEPT_BYTES", H * form.head_dim * room)
            rows = rows_of(order, form, sorts_each=True)
            for number in order[:n_gone]:
                rows.remove(segment(number).id)
            assert rows.lists is not None
            assert rows.lists.keeps_keys or room < 10**6
            assert not rows.lists.keeps_keys or room > 0
            found.append(search_of(rows, 1, rows.visible([]), read).best(asked(), K))
    for other in found[1:]:
        assert torch.equal(found[0][0], other[0])
        assert torch.equal(found[0][1], other[1])


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([FORM, FIVE, NARROW]),
    st.integers(1, N_SEGMENTS),
    st.sampled_from([1, 130, 300, 10**6]),
    st.booleans(),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_kernels_find_what_the_tensors_find(
    form: RecordFormat, n_segments: int, read: int, hides: bool, k: int, seed: int
) -> None:
    """In memory that is partly merged and partly late; values are mixed alike."""
    rows = rows_of(list(range(n_segments)), form)
    rows.lists  # noqa: B018
    rows.add(StoredSegment(segment(n_segments).id, 0, N_TOKENS, ()))
    visible = torch.arange(len(rows)) % 3 > 0 if hides else None
    one, other = (kind(rows, 1, visible, read) for kind in (RowSearch, KernelSearch))
    (best, _), (found, places) = one.best(asked(seed), k), other.best(asked(seed), k)
    if read == 10**6:  # else clusters that score alike within rounding may change places
        assert torch.allclose(best, found, atol=2e-2)
    weights = found.softmax(-1)
    assert torch.allclose(one.mix(weights, places), other.mix(weights, places), atol=1e-4)


def test_each_token_finds_by_kernels_what_it_finds_alone() -> None:
    """In a pass of many, too, which threads share."""
    search = KernelSearch(rows_of(list(range(N_SEGMENTS))), 2, None, 200, Threads(3))
    for n_tokens in (S, 7 * LEAST_ROWS + 1):
        queries = queries_like(R * n_tokens, n_tokens).view(R, n_tokens, D)
        together = search.best(queries, K)
        for token in range(n_tokens):
            alone = search.best(queries[:, token : token + 1], K)
            for part, whole in zip(alone, together, strict=True):
                assert torch.equal(part, whole[:, token : token + 1])


@pytest.mark.parametrize(("form", "kind"), [(FORM, KernelSearch), (FLOATS, RowSearch)])
def test_kernels_search_where_there_are_clusters(form: RecordFormat, kind: type[RowSearch]) -> None:
    assert type(search_of(rows_of([0], form), 0, None, None)) is kind


@pytest.mark.parametrize("numbers", [[np.nan] * 6, [1, np.nan, 3, 2, np.nan, 0], [np.inf, 1, 2, 3]])
def test_scores_that_are_no_numbers_choose_clusters_that_exist(numbers: list[float]) -> None:
    near = np.array([numbers, numbers], np.float32)
    counts = np.full(len(numbers), 2, np.int64)
    chosen = _nearest(near, counts, 5)
    assert 1 <= len(chosen) <= len(numbers)
    assert len({*chosen}) == len(chosen)
    assert all(0 <= each < len(numbers) for each in chosen)
