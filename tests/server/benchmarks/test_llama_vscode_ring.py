"""llama.vscode's ring of chunks."""

from collections.abc import Sequence
from itertools import combinations
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lsp_server.benchmarks.systems.ring import (
    CHUNK_LINES,
    MAX_CHUNKS,
    MAX_QUEUED,
    MAX_SIMILARITY,
    MIN_LINES,
    PART_LINES,
    Ring,
    similarity,
)

LINES = st.lists(st.sampled_from([f"line {n}" for n in range(12)]), max_size=CHUNK_LINES + 30)


def numbered(n: int, name: str = "line") -> list[str]:
    return [f"{name} {at}" for at in range(n)]


def picked(lines: Sequence[str], seed: int = 0) -> tuple[str, ...] | None:
    ring = Ring(Random(seed))
    ring.pick("/w/a.py", lines)
    return ring.queued[0].lines if ring.queued else None


class RingMachine(RuleBasedStateMachine):
    """A ring of which every chunk was picked with eviction, as by visits and saves."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Ring(Random(7))

    @rule(lines=LINES)
    def pick(self, lines: list[str]) -> None:
        self.ring.pick("/w/a.py", lines)

    @rule(n=st.integers(0, 30), at=st.integers(0, 400))
    def pick_around(self, n: int, at: int) -> None:
        self.ring.pick_around(f"/w/{n}.py", numbered(401, str(n)), at)

    @rule()
    def update(self) -> None:
        n_queued = len(self.ring.queued)
        assert self.ring.update() == (n_queued > 0)

    @invariant()
    def is_bounded(self) -> None:
        assert len(self.ring.chunks) <= MAX_CHUNKS
        assert len(self.ring.queued) <= MAX_QUEUED

    @invariant()
    def has_no_similar_chunks(self) -> None:
        chunks = [*self.ring.chunks, *self.ring.queued]
        assert len({chunk.text for chunk in chunks}) == len(chunks)
        for one, other in combinations(chunks, 2):
            assert similarity(one.lines, other.lines) <= MAX_SIMILARITY

    @invariant()
    def has_chunks_of_a_bounded_length(self) -> None:
        for chunk in (*self.ring.chunks, *self.ring.queued):
            assert MIN_LINES <= len(chunk.lines) < CHUNK_LINES
            assert chunk.text.count("\n") == len(chunk.lines)


TestRing = RingMachine.TestCase


@given(st.integers(0, 200), st.integers(0, 99))
def test_a_chunk_is_a_text_or_a_half_chunk_of_a_long_one(n: int, seed: int):
    chunk = picked(numbered(n), seed)
    if n < MIN_LINES:
        assert chunk is None
    elif n <= CHUNK_LINES - 2:
        assert chunk == tuple(numbered(n))
    else:
        assert chunk is not None
        start = int(chunk[0].split()[1])
        assert chunk == tuple(numbered(n)[start : start + PART_LINES])
        assert len(chunk) == PART_LINES


def test_the_part_of_a_long_text_depends_on_the_seed_alone():
    starts = [picked(numbered(500), seed) for seed in range(8)]
    assert starts == [picked(numbered(500), seed) for seed in range(8)]
    assert len(set(starts)) > 4


def test_every_part_of_a_long_text_may_be_picked():
    starts = {picked(numbered(PART_LINES * 2), seed) for seed in range(600)}
    assert len(starts) == PART_LINES + 1


def test_a_chunk_around_a_cursor_ends_with_the_file():
    ring = Ring(Random(0))
    ring.pick_around("/w/a.py", numbered(100), 0)
    ring.pick_around("/w/b.py", numbered(100, "other"), 99)
    first, last = ring.queued
    assert first.lines == tuple(numbered(100)[:33])
    assert last.lines == tuple(numbered(100, "other")[67:])


def test_a_changed_text_replaces_its_old_chunk_wherever_it_is():
    ring = Ring(Random(0))
    old = numbered(40)
    ring.pick("/w/a.py", old)
    ring.update()
    ring.pick("/w/a.py", [*old, "one more"])
    assert not ring.chunks
    ring.pick("/w/a.py", [*old, "another"])
    assert [chunk.lines[-1] for chunk in ring.queued] == ["another"]


def test_without_eviction_a_text_is_picked_again():
    ring = Ring(Random(0))
    ring.pick("/w/a.py", numbered(40))
    ring.pick("/w/a.py", numbered(40))
    assert len(ring.queued) == 1
    ring.pick("/w/a.py", numbered(40), evict=False)
    assert len(ring.queued) == 2


def test_updates_move_the_oldest_and_drop_the_oldest():
    ring = Ring(Random(0))
    for n in range(MAX_CHUNKS + 2):
        ring.pick(f"/w/{n}.py", numbered(5, str(n)))
        assert ring.update()
    assert [chunk.file for chunk in ring.chunks] == [f"/w/{n}.py" for n in range(2, 18)]
    assert not ring.update()


def test_a_full_queue_drops_the_oldest():
    ring = Ring(Random(0))
    for n in range(MAX_QUEUED + 1):
        ring.pick(f"/w/{n}.py", numbered(5, str(n)))
    ring.update_all()
    assert [chunk.file for chunk in ring.chunks] == [f"/w/{n}.py" for n in range(1, 17)]


@given(LINES, LINES)
def test_similarity_is_symmetric_and_1_for_equal_sets(one: list[str], other: list[str]):
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert (similarity(one, other) == 1) == (set(one) == set(other))
