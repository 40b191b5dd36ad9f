"""Tokens per second, and time left, from what was seen in the last seconds."""

import pytest

from lsp_server.indexing.file_table import FileState, FileTable, Totals, TrackedFile
from lsp_server.indexing.throughput import Throughput, as_text


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def measured(*seen: tuple[float, int], waiting_bytes: int = 6000) -> Throughput:
    clock = Clock()
    throughput = Throughput(clock)
    for now, tokens in seen:
        clock.now = now
        throughput.note(Totals(tokens=tokens, waiting_bytes=waiting_bytes))
    return throughput


@pytest.mark.parametrize(
    ("seen", "rate", "left"),
    [
        ([], None, None),
        ([(0, 100)], None, None),
        ([(0, 100), (0.5, 900)], None, None),  # too early to tell
        ([(0, 100), (4, 100)], None, None),  # nothing came
        ([(0, 100), (4, 60)], None, None),  # some went
        ([(0, 0), (2, 400)], 200, 10),
        ([(0, 0), (5, 50_000), (14, 50_900), (15, 51_000)], 100, 20),  # of late it is slower
        ([(0, 0), (300, 3)], 1, 2000),
    ],
)
def test_throughput(seen, rate, left):
    throughput = measured(*seen)
    assert (throughput.tokens_per_second, throughput.seconds_left) == (rate, left)


def test_each_stretch_has_its_own():
    throughput = measured((0, 0), (2, 400))
    throughput.reset()
    assert throughput.tokens_per_second is None
    assert throughput.seconds_left is None


def test_for_people():
    assert as_text(None, None) == ""
    assert as_text(1234, 99) == ", 1,234 tokens/s, 99 s left"
    assert as_text(12, 190) == ", 12 tokens/s, 3 min left"


def test_the_bytes_that_wait_are_those_of_waiting_files(tmp_path):
    files = FileTable()
    for state in FileState:
        files.put(TrackedFile(tmp_path / state.value, state.value, state, size_bytes=100))
    assert files.totals().waiting_bytes == 100
    files.put(TrackedFile(tmp_path / "waiting", "waiting", FileState.WAITING, size_bytes=70))
    assert files.totals().waiting_bytes == 70
    files.drop(tmp_path / "waiting")
    assert files.totals().waiting_bytes == 0
