"""Segments on disk: whole or not there, whatever happens to files and processes."""

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
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
from torch import Tensor

from longllama_code.errors import StoreError
from longllama_code.memory import store as store_module
from longllama_code.memory.manifest import MIGRATIONS
from longllama_code.memory.record_file import GROWTH, MIN_BYTES
from longllama_code.memory.segmenter import Slice
from longllama_code.memory.store import USE_STEP_S, SegmentStore, StoredSegment

N_BYTES, N_ROWS = 64, 20
N_PROCESSES, N_SEGMENTS, N_KILLS = 3, 12, 100


def name(number: int) -> str:
    return f"{number:032x}"


def content(number: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * seed + number)
    return torch.randint(256, (N_ROWS, N_BYTES), generator=generator, dtype=torch.uint8)


def put(store: SegmentStore, number: int, seed: int = 0) -> StoredSegment:
    return store.put(name(number), content(number, seed), [0, 16, 40])


def held(store: SegmentStore, number: int, seed: int = 0) -> bool:
    """Whether a segment is there, as it was put."""
    found = store.find(name(number))
    if found is None:
        return False
    assert (found.id, found.n_tokens, found.page_offsets) == (name(number), N_ROWS, (0, 16, 40))
    rows = store.records.rows[found.start : found.start + N_ROWS]
    return torch.equal(rows, content(number, seed))


def opened(folder: Path, max_bytes: int | None = None) -> SegmentStore:
    return SegmentStore(folder, N_BYTES, max_bytes)


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
    assert store.collect(held=[name(1)]) == 4
    assert [held(store, number) for number in range(7)] == [1, 1, 0, 0, 0, 0, 1]
    assert store.records is not old
    assert [path.name for path in tmp_path.glob("records-*")] == ["records-1.bin"]
    assert store.n_damaged == 0
    store.close()


def test_what_is_held_stays_beyond_the_limit(store: SegmentStore) -> None:
    for number in range(6):
        put(store, number)
    assert store.collect(held=[name(n) for n in range(4)], max_bytes=0) == 2
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
    assert kept.collect(held=[name(2), name(3)], max_bytes=0) == 2
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
    with pytest.raises(StoreError, match=r"newer version \(format 3, known: 2\). Upgrade, or name"):
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
    with pytest.raises(StoreError, match=r"the manifest in .* failed"):
        opened(tmp_path)


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
        self.stores[which].collect(held=[*map(name, stay)], max_bytes=0)
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


def fill(folder: str, process: int) -> None:
    """Put segments of one's own, and shared ones, which no two processes round alike."""
    store = opened(Path(folder))
    for number in range(N_SEGMENTS):
        put(store, 100 * (process + 1) + number)
        put(store, number, seed=process)
        if number % 5 == process:
            store.collect(max_bytes=10**9)
    store.close()


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """From the creation of the manifest on: they all start on an empty folder."""
    spawn = multiprocessing.get_context("spawn")
    arguments = [(str(tmp_path), process) for process in range(N_PROCESSES)]
    processes = [spawn.Process(target=fill, args=pair) for pair in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * N_PROCESSES
    store = opened(tmp_path)
    for number in range(N_SEGMENTS):
        assert any(held(store, number, seed) for seed in range(N_PROCESSES))
        assert all(held(store, 100 * (p + 1) + number) for p in range(N_PROCESSES))
    assert store.totals()[0] == (N_PROCESSES + 1) * N_SEGMENTS
    assert store.n_damaged == 0
    store.close()


FULL = """
import resource, sys, torch
from pathlib import Path
from longllama_code.errors import StoreError
from longllama_code.memory.store import SegmentStore
store = SegmentStore(Path(sys.argv[1]), 64)
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
rows = torch.zeros(4000, 64, dtype=torch.uint8)
for number in range(99):
    try:
        store.put(f"{number:032x}", rows + number, [0])
    except StoreError as error:
        print(number, error)
        break
assert all(store.find(f"{n:032x}") for n in range(number)), "what was put before is still there"
assert store.find(f"{number:032x}") is None
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
def test_a_disk_without_room(tmp_path: Path) -> None:
    """A file that may not grow is what a full disk looks like; a mapped write would kill."""
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_put = int(done.stdout.split()[0])
    assert n_put > 0
    assert f"{tmp_path} cannot be written: " in done.stdout
    store = opened(tmp_path)
    assert store.totals()[0] == n_put
    store.close()


FORK_AND_PUT = """
import os, sys, torch
from itertools import count
from pathlib import Path
from longllama_code.memory.store import SegmentStore

def put_and_collect(first):
    print(os.getpid(), flush=True)
    store = SegmentStore(Path(sys.argv[1]), 64)
    for number in count(first):
        rows = torch.full((20, 64), number % 251, dtype=torch.uint8)
        store.put(f"{number:032x}", rows, [0, 16, 40])
        print(number, flush=True)
        if number % 7 == 6:
            store.collect(max_bytes=10**9)

for line in sys.stdin:
    if os.fork() == 0:
        put_and_collect(int(line))
    os.wait()
    print("gone", flush=True)
"""
"""A child for each line it reads, forked: to import torch a hundred times would take minutes."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_again_and_again(tmp_path: Path) -> None:
    """A hundred times, while it puts and collects: what was told is there, and nothing is half."""
    rng, expected = random.Random(0), set[int]()
    command = [sys.executable, "-c", FORK_AND_PUT, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forker:
        assert forker.stdin is not None
        assert forker.stdout is not None
        for _ in range(N_KILLS):
            print(max(expected, default=-1) + 2, file=forker.stdin, flush=True)
            pid = int(forker.stdout.readline())
            expected |= {int(forker.stdout.readline()) for _ in range(rng.randint(1, 12))}
            time.sleep(rng.random() / 100)
            os.kill(pid, signal.SIGKILL)
            while (line := forker.stdout.readline()) != "gone\n":
                expected.add(int(line))
        forker.stdin.close()
    store = opened(tmp_path)
    for number in expected:
        found = store.find(name(number))
        assert found is not None, number
        rows = store.records.rows[found.start : found.start + N_ROWS]
        assert rows.unique().tolist() == [number % 251]
    assert store.n_damaged == 0
    assert len(expected) <= store.totals()[0] <= len(expected) + N_KILLS
    store.close()
