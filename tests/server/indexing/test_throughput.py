"""How far reading is, how fast, and what time is left."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.indexing.file_table import FileState, FileTable, Totals, TrackedFile
from lsp_server.indexing.throughput import (
    FASTER,
    LEAST_CORRECTED_S,
    MAX_STEP_S,
    SLOWER,
    Throughput,
    as_text,
    time_as_text,
)

START = Totals(waiting=100, waiting_bytes=300_000)


class Reading:
    """Files that are read one after the other, and what is said meanwhile."""

    def __init__(self, totals: Totals = START) -> None:
        self.now = 0.0
        self.totals = totals
        self.throughput = Throughput(lambda: self.now)
        self.throughput.note(totals)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.throughput.note(self.totals)

    def read(self, n_bytes: int, *, encoded: bool = True) -> None:
        n_bytes = min(n_bytes, self.totals.waiting_bytes)
        self.totals = replace(
            self.totals,
            in_memory=self.totals.in_memory + 1,
            waiting_bytes=self.totals.waiting_bytes - n_bytes,
            indexed_bytes=self.totals.indexed_bytes + n_bytes,
            tokens=self.totals.tokens + n_bytes // 3,
            segments_encoded=self.totals.segments_encoded + encoded,
        )
        self.throughput.note(self.totals)

    def find(self, n_bytes: int) -> None:
        self.totals = replace(self.totals, waiting_bytes=self.totals.waiting_bytes + n_bytes)
        self.throughput.note(self.totals)


def test_steady_reading_says_what_is_true():
    reading = Reading()
    for _ in range(50):
        reading.wait(1)
        reading.read(3_000)
    assert reading.throughput.share == pytest.approx(0.5)
    assert reading.throughput.seconds_left == pytest.approx(50, abs=2)
    assert reading.throughput.tokens_per_second == 1000


def test_nothing_is_said_of_the_time_before_it_was_measured():
    reading = Reading()
    reading.wait(1)
    reading.read(3_000)
    assert (reading.throughput.tokens_per_second, reading.throughput.seconds_left) == (None, None)


def test_what_the_store_has_does_not_count_for_the_speed():
    reading = Reading()
    for _ in range(20):
        reading.wait(0.01)
        reading.read(5_000, encoded=False)
    assert reading.throughput.seconds_left is None
    for _ in range(10):
        reading.wait(1)
        reading.read(1_000)
    assert reading.throughput.seconds_left == pytest.approx(190, abs=5)
    left = reading.throughput.seconds_left
    for _ in range(20):
        reading.wait(0.01)
        reading.read(1_000, encoded=False)
    assert 0 < left - reading.throughput.seconds_left < 10


def test_a_large_file_moves_on_while_it_is_read():
    reading = Reading()
    for _ in range(10):
        reading.wait(1)
        reading.read(3_000)
    shares = [reading.throughput.share]
    for _ in range(30):
        reading.wait(1)
        shares.append(reading.throughput.share)
    assert all(later > earlier for earlier, later in pairwise(shares))
    assert reading.throughput.seconds_left == pytest.approx(60, abs=3)


def test_a_pause_changes_nothing():
    reading = Reading()
    for _ in range(10):
        reading.wait(1)
        reading.read(3_000)
    before = (reading.throughput.seconds_left, reading.throughput.tokens_per_second)
    reading.throughput.pause()
    reading.now += 3600
    reading.throughput.note(reading.totals)
    assert (reading.throughput.seconds_left, reading.throughput.tokens_per_second) == before


def test_what_is_read_anew_begins_at_nothing():
    reading = Reading()
    reading.wait(1)
    reading.read(150_000)
    assert reading.throughput.share == 0.5
    reading.totals = START
    reading.wait(1)
    assert reading.throughput.share < 0.2
    reading.throughput.reset()
    assert (reading.throughput.share, reading.throughput.is_long) == (0, False)


EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0, 100)),
    st.tuples(st.just("read"), st.integers(1, 50_000)),
    st.tuples(st.just("load"), st.integers(1, 50_000)),
    st.tuples(st.just("find"), st.integers(1, 100_000)),
    st.tuples(st.just("pause"), st.floats(0, 10_000)),
)


@given(st.lists(EVENTS, max_size=60))
def test_no_number_jumps(events):
    reading = Reading()
    throughput = reading.throughput
    for kind, amount in events:
        share, left, now = throughput.share, throughput.seconds_left, reading.now
        if kind == "wait":
            reading.wait(amount)
        elif kind == "pause":
            throughput.pause()
            reading.now += amount
            throughput.note(reading.totals)
        elif kind == "find":
            reading.find(amount)
        else:
            reading.read(amount, encoded=kind == "read")
        assert share <= throughput.share <= 1
        if left is None or throughput.seconds_left is None:
            assert left is None or throughput.seconds_left is not None
            continue
        step = 0 if kind == "pause" else min(reading.now - now, MAX_STEP_S)
        scale = step * max(left, LEAST_CORRECTED_S)
        assert left - step - FASTER * scale - 1 <= throughput.seconds_left
        assert throughput.seconds_left <= left - step + SLOWER * scale + 1 or left < step


def test_for_people():
    assert as_text(None, None) == "0 %"
    assert as_text(0.389, 190) == "38 %, about 4 min left"
    assert as_text(0.999, 20) == "99 %, less than a minute left"
    assert time_as_text(3 * 3600 + 100) == "about 3 h"


def test_bytes_are_those_of_waiting_files_and_of_those_in_memory(tmp_path):
    files = FileTable()
    for state in FileState:
        files.put(TrackedFile(tmp_path / state.value, state.value, state, size_bytes=100))
    assert (files.totals().waiting_bytes, files.totals().indexed_bytes) == (100, 100)
    files.put(TrackedFile(tmp_path / "waiting", "waiting", FileState.WAITING, size_bytes=70))
    assert files.totals().waiting_bytes == 70
    files.drop(tmp_path / "waiting")
    files.drop(tmp_path / "in_memory")
    assert (files.totals().waiting_bytes, files.totals().indexed_bytes) == (0, 0)
