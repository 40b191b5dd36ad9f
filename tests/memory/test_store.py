"""Segments on disk: whole or not there, whatever happens to files and processes."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from longllama_code.errors import StoreError
from longllama_code.memory import store as store_module
from longllama_code.memory.segment import EncodedSegment
from longllama_code.memory.store import MIGRATIONS, ORPHAN_S, USE_STEP_S, SegmentStore

N_PROCESSES, N_SEGMENTS = 3, 12


def segment(number: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> EncodedSegment:
    generator = torch.Generator().manual_seed(1000 * seed + number)
    keys, values = torch.randn(2, 3, 20, 8, generator=generator).to(dtype)
    ids = torch.arange(number, number + 20).int()
    return EncodedSegment(f"{number:032x}", keys, values, ids, torch.tensor([0, 16, 40]).int())


def same(one: EncodedSegment | None, other: EncodedSegment) -> bool:
    parts = ("keys", "values", "ids", "page_offsets")
    return (
        one is not None
        and one.id == other.id
        and all(torch.equal(getattr(one, part), getattr(other, part)) for part in parts)
        and one.keys.dtype == other.keys.dtype
    )


def file_of(folder: Path, number: int) -> Path:
    (path,) = folder.rglob(f"{number:032x}-*.safetensors")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SegmentStore]:
    store = SegmentStore(tmp_path)
    yield store
    store.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_round_trip(store: SegmentStore, tmp_path: Path, dtype: torch.dtype) -> None:
    store.put(segment(1, dtype))
    again = SegmentStore(tmp_path)
    assert same(again.get(segment(1).id), segment(1, dtype))
    again.close()


def test_what_was_not_put_is_not_there(store: SegmentStore) -> None:
    store.put(segment(1))
    assert store.get(segment(2).id) is None
    assert segment(1).id in store
    assert segment(2).id not in store
    assert store.n_damaged == 0


def test_rows_of_a_larger_tensor_are_stored_alone(store: SegmentStore, tmp_path: Path) -> None:
    large = torch.randn(3, 100_000, 8)
    part = large[:, 10:30]
    ids, offsets = torch.arange(20).int(), torch.tensor([0, 9]).int()
    store.put(EncodedSegment(segment(1).id, part, part, ids, offsets))
    assert store.get(segment(1).id).keys.equal(part)
    assert file_of(tmp_path, 1).stat().st_size < 10_000


def test_totals(store: SegmentStore, tmp_path: Path) -> None:
    assert store.totals() == (0, 0, 0)
    for number in (1, 2, 2):
        store.put(segment(number))
    sizes = [file_of(tmp_path, number).stat().st_size for number in (1, 2)]
    assert store.totals() == (2, 40, sum(sizes))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_damage_is_found_and_mended(
    store: SegmentStore, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store.put(segment(1))
    store.put(segment(2))
    damage(file_of(tmp_path, 1))
    assert store.get(segment(1).id) is None
    assert store.n_damaged == 1
    assert store.get(segment(1).id) is None
    assert store.n_damaged == 1
    assert store.totals()[0] == 1
    store.put(segment(1))
    assert same(store.get(segment(1).id), segment(1))
    assert same(store.get(segment(2).id), segment(2))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The store's clock, moved by hand."""
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(store_module, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def held(store: SegmentStore, *numbers: int) -> list[bool]:
    return [segment(number).id in store for number in numbers]


def test_what_was_used_longest_ago_is_removed(tmp_path: Path, clock: SimpleNamespace) -> None:
    probe = SegmentStore(tmp_path / "probe")
    probe.put(segment(1))
    size = probe.totals()[2]
    probe.close()
    store = SegmentStore(tmp_path / "store", max_bytes=4 * size)
    for number in (1, 2, 3, 4):
        store.put(segment(number))
        clock.now += 2 * USE_STEP_S
    assert held(store, 1, 2, 3, 4) == [True] * 4
    assert store.get(segment(1).id) is not None
    clock.now += 1
    store.put(segment(5))
    assert held(store, 1, 2, 3, 4, 5) == [True, False, False, True, True]
    assert store.totals()[2] == 3 * size
    files = {path.name[:32] for path in (tmp_path / "store").rglob("*.safetensors")}
    assert files == {segment(number).id for number in (1, 4, 5)}
    assert store.n_damaged == 0
    store.close()
    # The limit is that of what is there, whoever put it.
    store = SegmentStore(tmp_path / "store", max_bytes=size)
    store.put(segment(6))
    assert store.totals()[0] == 0
    store.close()


def test_files_without_a_row_are_removed_once_they_are_old(
    store: SegmentStore, tmp_path: Path, clock: SimpleNamespace
) -> None:
    store.put(segment(1))
    left = [tmp_path / "segments" / "00" / name for name in (".new-abc", f"{segment(9).id}-x")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert store.collect(10**9) == 0
    assert all(path.exists() for path in left)
    clock.now += ORPHAN_S + 60
    assert store.collect(10**9) == 0
    assert not any(path.exists() for path in left)
    assert same(store.get(segment(1).id), segment(1))


def test_what_another_process_collects_is_no_damage(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the row and reading the file."""
    store.put(segment(1))
    other, read = SegmentStore(tmp_path), Path.read_bytes

    def late(path: Path) -> bytes:
        other.collect(0)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert store.get(segment(1).id) is None
    assert store.n_damaged == 0
    other.close()


def test_a_collection_that_fails_takes_nothing(store: SegmentStore, tmp_path: Path) -> None:
    store.put(segment(1))
    locked = sqlite3.connect(tmp_path / "manifest.sqlite")
    locked.execute("BEGIN IMMEDIATE")
    store._manifest.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(StoreError, match="manifest"):
        store.collect(0)
    locked.rollback()
    locked.close()
    assert same(store.get(segment(1).id), segment(1))
    assert store.collect(0) == 1


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    SegmentStore(tmp_path).close()
    manifest = sqlite3.connect(tmp_path / "manifest.sqlite")
    manifest.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    manifest.close()
    with pytest.raises(StoreError, match=r"newer version \(format 2, known: 1\). Upgrade, or name"):
        SegmentStore(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/memory cannot hold the memory store"):
        SegmentStore(tmp_path / "file" / "memory")


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.sqlite").write_text("no database, but long enough to be read as one" * 99)
    with pytest.raises(StoreError, match="cannot hold the memory store"):
        SegmentStore(tmp_path)


def test_a_folder_that_goes_away(store: SegmentStore, tmp_path: Path) -> None:
    (tmp_path / "segments").rmdir()
    (tmp_path / "segments").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        store.put(segment(1))
    assert segment(1).id not in store


def test_two_stores_share_a_folder(store: SegmentStore, tmp_path: Path) -> None:
    other = SegmentStore(tmp_path)
    for number in range(4):
        (store, other)[number % 2].put(segment(number))
        other.put(segment(0))
    for reader in (store, other):
        assert all(same(reader.get(segment(n).id), segment(n)) for n in range(4))
        assert reader.n_damaged == 0
    other.close()


def fill(folder: str, process: int) -> None:
    """Put segments of one's own, and shared ones, which no two processes round alike."""
    torch.set_num_threads(1)
    store = SegmentStore(Path(folder))
    for number in range(N_SEGMENTS):
        store.put(segment(100 * (process + 1) + number))
        store.put(segment(number, seed=process))
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
    store = SegmentStore(tmp_path)
    for number in range(N_SEGMENTS):
        found = store.get(segment(number).id)
        assert any(same(found, segment(number, seed=seed)) for seed in range(N_PROCESSES))
        for process in range(N_PROCESSES):
            own = segment(100 * (process + 1) + number)
            assert same(store.get(own.id), own)
    assert store.totals()[0] == (N_PROCESSES + 1) * N_SEGMENTS
    assert store.n_damaged == 0
    store.close()


PUT_FOR_EVER = """
import sys, torch
from itertools import count
from pathlib import Path
from longllama_code.memory.segment import EncodedSegment
from longllama_code.memory.store import SegmentStore
store = SegmentStore(Path(sys.argv[1]))
for number in count():
    rows = torch.full((3, 20, 8), float(number))
    ids, offsets = torch.arange(20).int(), torch.tensor([0, 9]).int()
    store.put(EncodedSegment(f"{number:032x}", rows, rows.clone(), ids, offsets))
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_whole_segments(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PUT_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        put = [int(process.stdout.readline()) for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        put += map(int, process.stdout.read().split())
    store = SegmentStore(tmp_path)
    n_stored = store.totals()[0]
    assert len(put) <= n_stored <= len(put) + 1
    for number in range(n_stored):
        assert store.get(f"{number:032x}").keys.unique().tolist() == [number]
    assert store.n_damaged == 0
    store.close()
