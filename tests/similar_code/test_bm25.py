"""The index of chunks: scores are those of the formula, whatever was put, edited and removed."""

from collections import Counter
from collections.abc import Mapping
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.similar_code.bm25 import ChunkIndex
from longllama_code.similar_code.chunks import Chunk, chunks_of, terms_of

WORDS = st.sampled_from(["alpha", "beta", "gamma_ray", "deltaWing", "x", "9", "\n", "\n"])
TEXTS = st.lists(WORDS, max_size=120).map(" ".join)
PATHS = st.sampled_from(["a.py", "b.py", "lib/c.py"])
CHANGES = st.lists(st.tuples(PATHS, st.none() | TEXTS), max_size=12)
"""Files that are put, or removed if they have no text."""


def by_formula(texts: Mapping[str, str], query: str, path: str) -> dict[Chunk, float]:
    """The score of every chunk of other files, term by term as in the literature."""
    chunks = [chunk for name in texts if name != path for chunk in chunks_of(name, texts[name])]
    bags = [(chunk, Counter(terms_of(chunk.text))) for chunk in chunks if terms_of(chunk.text)]
    n = len(bags)
    scores: dict[Chunk, float] = {}
    for chunk, bag in bags:
        length = bag.total() / (sum(other.total() for _, other in bags) / n)
        score = 0.0
        for term in set(terms_of(query)):
            df = sum(term in other for _, other in bags)
            idf = log(1 + (n - df + 0.5) / (df + 0.5))
            score += idf * bag[term] * 2.2 / (bag[term] + 1.2 * (0.25 + 0.75 * length))
        if score:
            scores[chunk] = score
    return scores


def found(index: ChunkIndex, query: str, path: str, n: int = 1000) -> dict[Chunk, float]:
    return dict(index.search(query, path, n))


def changed(index: ChunkIndex, changes: list[tuple[str, str | None]]) -> dict[str, str]:
    """The texts that are left."""
    texts: dict[str, str] = {}
    for path, text in changes:
        if text is None:
            index.forget(path)
            texts.pop(path, None)
        else:
            index.put(path, text)
            texts[path] = text
    return texts


@given(CHANGES, TEXTS, PATHS)
def test_scores_are_those_of_the_formula(
    changes: list[tuple[str, str | None]], query: str, path: str
) -> None:
    index = ChunkIndex()
    texts = changed(index, changes)
    assert found(index, query, path) == pytest.approx(by_formula(texts, query, path))


@given(CHANGES, CHANGES, st.lists(PATHS, max_size=2), TEXTS, PATHS)
def test_a_users_files_stand_over_those_of_the_base(
    changes: list[tuple[str, str | None]],
    own: list[tuple[str, str | None]],
    restored: list[str],
    query: str,
    path: str,
) -> None:
    base = ChunkIndex()
    texts = changed(base, changes)
    before = found(base, query, path)
    user = ChunkIndex(base)
    visible = {**texts, **changed(user, own)}
    for gone in {name for name, _ in own} - changed(ChunkIndex(), own).keys():
        visible.pop(gone, None)
    for name in restored:
        user.restore(name)
        visible.pop(name, None)
        if name in texts:
            visible[name] = texts[name]
    assert found(user, query, path) == pytest.approx(by_formula(visible, query, path))
    for name in ("a.py", "b.py", "lib/c.py"):
        assert user.chunks(name) == tuple(chunks_of(name, visible.get(name, "")))
    assert found(base, query, path) == before


@given(CHANGES, TEXTS, st.integers(1, 5))
def test_the_best_come_first_and_equal_ones_by_path_and_line(
    changes: list[tuple[str, str | None]], query: str, n: int
) -> None:
    index = ChunkIndex()
    texts = changed(index, changes)
    every = index.search(query, "", 1000)
    assert index.search(query, "", n) == every[:n]
    assert every == sorted(every, key=lambda pair: (-pair[1], pair[0].path, pair[0].line))
    other = ChunkIndex()
    for path in sorted(texts, reverse=True):
        other.put(path, texts[path])
    assert other.search(query, "", 1000) == every


def test_a_chunk_with_rarer_names_is_better() -> None:
    index = ChunkIndex()
    index.put("moor.py", "def moor(ship, berth):\n    return berth.take(ship)\n")
    index.put("dues.py", "def dues(ship, rate):\n    return ship.tonnes * rate\n")
    index.put("sail.py", "def sail(ship):\n    return ship\n")
    best, _ = index.search("return ship, berth", "office.py", 3)[0]
    assert best.path == "moor.py"
    assert {chunk.path for chunk in found(index, "tonnes", "office.py")} == {"dues.py"}
    assert found(index, "tonnes", "dues.py") == {}
    assert found(index, "nowhere", "office.py") == {}


def test_a_file_that_is_removed_leaves_nothing_behind() -> None:
    index = ChunkIndex()
    for _ in range(3):
        index.put("a.py", "ship = 1\n" * 50)
        index.put("a.py", "berth = 1\n" * 50)
        index.forget("a.py")
        assert index.search("ship berth", "", 10) == []
    assert index.chunks("a.py") == ()
    assert len(index._postings) == 0
    assert len(index._chunks) == 5  # the rows of removed chunks are used again
