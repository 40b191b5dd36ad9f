"""Segments on disk: whole or not there, whatever happens to processes and their room."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.memory.storage.stored import N_ROWS, held, name, opened, put

N_PROCESSES, N_SEGMENTS, N_KILLS = 3, 12, 100


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
from longllama_code.memory.storage.store import SegmentStore
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
from longllama_code.memory.storage.store import SegmentStore

def tell(what):
    os.write(1, f"{what}\\n".encode())

def put_and_collect(first):
    tell(os.getpid())
    store = SegmentStore(Path(sys.argv[1]), 64)
    for number in count(first):
        rows = torch.full((20, 64), number % 251, dtype=torch.uint8)
        store.put(f"{number:032x}", rows, [0, 16, 40])
        tell(number)
        if number % 7 == 6:
            store.collect(max_bytes=10**9)

for line in sys.stdin:
    if os.fork() == 0:
        put_and_collect(int(line))
    os.wait()
    tell("gone")
"""
"""A child for each line it reads, forked: to import torch a hundred times would take minutes.

It tells a line in one write: `print` makes two where Python is unbuffered, and a kill between
them would leave half a line.
"""


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
