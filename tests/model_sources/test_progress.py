"""Progress of a transfer: what a meter reports, and how a terminal and a log show it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.commands.pull import ProgressLine
from longllama_code.model_sources.fetching import Meter


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 10**9)), min_size=1, max_size=30),
    st.floats(0.1, 1.0),
)
def test_a_meter_tells_of_the_end_and_never_of_more(
    steps: list[tuple[float, int]], share: float
) -> None:
    told: list[tuple[str, float]] = []
    now = 0.0
    meter = Meter(10**9, lambda *words: told.append(words), share, lambda: now)
    done = 0
    for wait, more in steps:
        now, done = now + wait, done + more
        meter.at(done)
    assert told[0][0].startswith("download ")
    shares = [of_all for _, of_all in told]
    assert shares == sorted(shares)
    assert shares[-1] <= share
    if done >= 10**9:
        assert shares[-1] == share


def test_a_meter_names_rate_and_time_left() -> None:
    told: list[str] = []
    now = 0.0
    meter = Meter(500 * 10**6, lambda words, _: told.append(words), clock=lambda: now)
    for done in (100, 120, 140):  # what is here already came at no rate
        meter.at(done * 10**6)
        now += 1.0
    assert told[-1] == "download 140.0 of 500.0 MB, 20.0 MB/s, 0:18 left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    line = ProgressLine(out)
    for megabytes in (1, 20, 50):
        line(f"download {megabytes} of 100 MB, 20.0 MB/s, 0:18 left", megabytes / 100)
    line("done", 1.0)
    lines = out.getvalue().split("\n")
    assert [len(text.split("\r")) for text in lines] == [1, 3, 1, 1]
    assert lines[1].split("\r")[-1].startswith(" 50 % [############------------] download 50 of")
    assert max(len(text) for text in lines[1].split("\r")[1:]) < 60


def test_elsewhere_a_line_is_printed_every_few_seconds() -> None:
    now, out = 0.0, io.StringIO()
    line = ProgressLine(out, lambda: now)
    for second in range(12):
        now = float(second)
        line(f"download {second} of 12 MB", second / 12)
    line("verify", 1.0)
    assert out.getvalue().splitlines() == [
        "  0 % download 0 of 12 MB",
        " 42 % download 5 of 12 MB",
        " 83 % download 10 of 12 MB",
        "100 % verify",
    ]
