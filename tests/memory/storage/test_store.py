"""Segments on disk: whole or not there, whatever happens to their files."""

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from longllama_code.errors import StoreError
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.memory.storage import store as store_module
from longllama_code.memory.storage.manifest import MIGRATIONS
from longllama_code.memory.storage.record_file import GROWTH, MIN_BYTES
from longllama_code.memory.storage.store import USE_STEP_S, SegmentStore
from tests.memory.storage.stored import N_BYTES, N_ROWS, content, held, name, opened, put


@pytest.fixture(params=["disk", "ram"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SegmentStore]:
    store = SegmentStore(tmp_path if request.param == "disk" else None, N_BYTES)
    yield store
    store.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SegmentStore]:
    """A store on disk."""
    store = opened(tmp_path)
    yield store
    store.close()


def test_what_was_put_is_there(store: SegmentStore) -> None:
    for number in range(50):
        put(store, number)
    assert all(held(store, number) for number in range(50))
    assert name(7) in store
    assert name(99) not in store
    assert store.find(name(99)) is None
    assert store.totals() == (50, 50 * N_ROWS, 50 * N_ROWS * N_BYTES)
    assert store.n_damaged == 0


def test_it_is_there_for_the_next_process(kept: SegmentStore, tmp_path: Path) -> None:
    put(kept, 1)
    again = opened(tmp_path)
    assert held(again, 1)
    again.close()


def test_a_second_time_changes_nothing(store: SegmentStore) -> None:
    assert put(store, 1) == put(store, 1, seed=5)
    assert held(store, 1)
    assert store.totals()[0] == 1


def test_rows_that_were_read_stay_as_the_file_grows(kept: SegmentStore) -> None:
    put(kept, 0)
    rows = kept.records.rows[:N_ROWS]
    n_more = round(GROWTH * MIN_BYTES / N_BYTES / N_ROWS) + 2
    for number in range(1, n_more):
        put(kept, number)
    assert torch.equal(rows, content(0))
    assert held(kept, n_more - 1)


def test_how_a_file_is_cut(store: SegmentStore) -> None:
    pieces = [Slice(0, 10, 0, 2), Slice(10, 12, 3, 3)]
    store.put_pieces(name(1), pieces)
    store.put_pieces(name(2), [])
    assert store.pieces(name(1)) == pieces
    assert store.pieces(name(2)) == []
    assert store.pieces(name(3)) is None


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[N_BYTES * N_ROWS - 5] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, N_BYTES * N_ROWS - 1)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [flip, truncate, remove])
def test_damage_is_found_and_mended(
    kept: SegmentStore, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    put(kept, 1)
    put(kept, 2)
    damage(tmp_path / "records-0.bin")
    again = opened(tmp_path)
    assert not held(again, 1)
    assert again.n_damaged == 1
    assert not held(again, 1)
    assert again.n_damaged == 1
    put(again, 1)
    assert held(again, 1)
    assert held(again, 2) == (damage is flip)
    again.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The store's clock, moved by hand."""
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(store_module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def test_what_was_used_longest_ago_is_removed(tmp_path: Path, clock: SimpleNamespace) -> None:
    store = opened(tmp_path, max_bytes=6 * N_ROWS * N_BYTES)
    for number in range(6):
        put(store, number)
        clock.now += 2 * USE_STEP_S
    assert not store.is_full
    assert held(store, 0)
    put(store, 6)
    assert store.is_full
    old = store.records
    assert store.collect(in_use=[name(1)]) == 4
    assert [held(store, number) for number in range(7)] == [1, 1, 0, 0, 0, 0, 1]
    assert store.records is not old
    assert [path.name for path in tmp_path.glob("records-*")] == ["records-1.bin"]
    assert store.n_damaged == 0
    store.close()


def test_what_is_held_stays_beyond_the_limit(store: SegmentStore) -> None:
    for number in range(6):
        put(store, number)
    assert store.collect(in_use=[name(n) for n in range(4)], max_bytes=0) == 2
    assert [held(store, number) for number in range(6)] == [1, 1, 1, 1, 0, 0]
    put(store, 9)
    assert held(store, 9)


def test_another_store_moves_after_a_collection(kept: SegmentStore, tmp_path: Path) -> None:
    for number in range(4):
        put(kept, number)
    other = opened(tmp_path)
    found = other.find(name(3))
    assert found is not None
    before = other.records
    assert kept.collect(in_use=[name(2), name(3)], max_bytes=0) == 2
    rows = before.rows[found.start : found.start + N_ROWS]
    assert torch.equal(rows, content(3))  # what it maps is still there
    assert other.records is before
    assert not held(other, 0)
    assert held(other, 3)
    assert other.records is not before
    put(other, 5)
    assert held(kept, 5)
    other.close()


def test_what_a_killed_collection_left_is_removed(kept: SegmentStore, tmp_path: Path) -> None:
    put(kept, 1)
    (tmp_path / "records-1.bin").write_bytes(b"half" * 1000)
    (tmp_path / "records-7.bin").write_bytes(b"old")
    opened(tmp_path).close()
    assert [path.name for path in tmp_path.glob("records-*")] == ["records-0.bin"]
    (tmp_path / "records-1.bin").write_bytes(b"half" * 1000)
    kept.collect(max_bytes=10**9)
    assert held(kept, 1)


def test_a_file_that_was_cut_can_be_collected(kept: SegmentStore, tmp_path: Path) -> None:
    for number in range(3):
        put(kept, number)
    os.truncate(tmp_path / "records-0.bin", 2 * N_ROWS * N_BYTES)
    again = opened(tmp_path)
    assert again.collect(max_bytes=10**9) == 1
    assert [held(again, number) for number in range(3)] == [1, 1, 0]
    again.close()


def test_a_collection_that_fails_takes_nothing(kept: SegmentStore, tmp_path: Path) -> None:
    put(kept, 1)
    locked = sqlite3.connect(tmp_path / "manifest.sqlite")
    locked.execute("BEGIN IMMEDIATE")
    kept._manifest.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(StoreError, match="manifest"):
        kept.collect(max_bytes=0)
    locked.rollback()
    locked.close()
    assert held(kept, 1)
    assert kept.collect(max_bytes=0) == 1


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    manifest = sqlite3.connect(tmp_path / "manifest.sqlite")
    manifest.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    manifest.close()
    with pytest.raises(
        StoreError, match=r"newer version \(format 3, known: 2\). Upgrade this package, or set"
    ):
        opened(tmp_path)


def test_the_first_format_is_left_behind(tmp_path: Path) -> None:
    manifest = sqlite3.connect(tmp_path / "manifest.sqlite")
    manifest.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    manifest.execute("INSERT INTO segments VALUES ('a', 1, 2, 'c', 0)")
    manifest.commit()
    manifest.close()
    (tmp_path / "segments" / "00").mkdir(parents=True)
    (tmp_path / "segments" / "00" / "a.safetensors").write_bytes(b"old")
    store = opened(tmp_path)
    assert store.totals() == (0, 0, 0)
    assert not (tmp_path / "segments").exists()
    put(store, 1)
    assert held(store, 1)
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/memory cannot hold the memory store"):
        opened(tmp_path / "file" / "memory")


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.sqlite").write_text("no database, but long enough to be read as one" * 99)
    store = opened(tmp_path)
    assert store.persists
    assert "manifest.sqlite.damaged is set aside" in str(store.notice)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_it_is_its_owners_alone(kept: SegmentStore, tmp_path: Path) -> None:
    put(kept, 1)
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "records-0.bin").stat().st_mode & 0o777 == 0o600


class Machine(RuleBasedStateMachine):
    """Two stores on one folder, against a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = [opened(Path(self.folder.name)) for _ in range(2)]
        self.expected: dict[int, int] = {}

    which = st.integers(0, 1)
    numbers = st.integers(0, 9)

    @rule(which=which, number=numbers, seed=st.integers(0, 2))
    def put(self, which: int, number: int, seed: int) -> None:
        put(self.stores[which], number, seed)
        self.expected.setdefault(number, seed)

    @rule(which=which, number=numbers)
    def find(self, which: int, number: int) -> None:
        there = number in self.expected
        assert held(self.stores[which], number, self.expected.get(number, 0)) == there

    @rule(which=which, stay=st.sets(numbers))
    def collect(self, which: int, stay: set[int]) -> None:
        self.stores[which].collect(in_use=[*map(name, stay)], max_bytes=0)
        self.expected = {n: seed for n, seed in self.expected.items() if n in stay}

    @rule(which=which)
    def reopen(self, which: int) -> None:
        self.stores[which].close()
        self.stores[which] = opened(Path(self.folder.name))

    @invariant()
    def both_say_the_same(self) -> None:
        totals = len(self.expected), N_ROWS * len(self.expected)
        assert all(store.totals()[:2] == totals for store in self.stores)
        assert all(store.n_damaged == 0 for store in self.stores)

    def teardown(self) -> None:
        for number, seed in self.expected.items():
            assert all(held(store, number, seed) for store in self.stores)
        for store in self.stores:
            store.close()
        self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = settings(deadline=None, max_examples=15, stateful_step_count=20)
