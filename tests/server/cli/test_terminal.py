"""What the commands print, for a terminal and for a file."""

from io import StringIO
from pathlib import Path

import pytest

from lsp_server.cli.terminal import Terminal


class Tty(StringIO):
    def isatty(self):
        return True


def status(done, waiting, phase="indexing"):
    return {"phase": phase, "files": {"in_memory": done, "waiting": waiting, "tokens": 1000 * done}}


def test_a_bar_moves_on_one_line_of_a_terminal():
    stream = Tty()
    terminal = Terminal(stream)
    for done in range(3):
        terminal.show_progress(status(done, 2 - done))
    terminal.end_progress()
    lines = stream.getvalue().split("\r")
    assert lines[1] == "░" * 30 + " 0/2 files, 0 tokens in memory\x1b[K"
    assert lines[2] == "█" * 15 + "░" * 15 + " 1/2 files, 1,000 tokens in memory\x1b[K"
    assert lines[3] == "█" * 30 + " 2/2 files, 2,000 tokens in memory\x1b[K\n"


def test_the_time_left_stands_behind_the_counts():
    terminal = Terminal(output := Tty())
    terminal.show_progress(status(1, 1) | {"progress": 0.9, "seconds_left": 170})
    assert output.getvalue().endswith(" in memory, about 3 min left\x1b[K")
    assert "█" * 27 + "░" * 3 in output.getvalue()  # by the work, not by files


def test_a_file_gets_a_line_for_each_tenth():
    stream = StringIO()
    terminal = Terminal(stream)
    for done in range(101):
        terminal.show_progress(status(done, 100 - done))
    terminal.end_progress()
    lines = stream.getvalue().splitlines()
    assert [line.partition(" ")[2].partition("/")[0] for line in lines] == [
        str(done) for done in range(0, 101, 10)
    ]


@pytest.mark.parametrize("stream", [StringIO, Tty])
def test_no_bar_where_there_is_nothing_to_do(stream):
    terminal = Terminal(output := stream())
    terminal.show_progress(status(0, 0))
    terminal.show_progress(status(0, 5, phase="loading"))
    terminal.end_progress()
    assert output.getvalue() == ""


TEXT = "\n".join(f"line {number}" for number in range(1, 11)) + "\nx = f(\n"


def ghost(stream, suggestion):
    Terminal(stream).print_suggestion(
        Path("a.py"), TEXT, TEXT.index("\n", TEXT.index("x =")), suggestion
    )
    return stream.getvalue()


def test_ghost_text_stands_in_its_file():
    assert ghost(StringIO(), "1,\n  2)").splitlines() == [
        "── a.py:11 ──",
        *(f"{number:5} line {number}" for number in range(6, 11)),
        "   11 x = f(⟦1,",
        "        2)⟧",
    ]


def test_ghost_text_is_grey_on_a_terminal():
    assert "x = f(\x1b[90;3m1)\x1b[0m\n" in ghost(Tty(), "1)")


def test_sources_and_timings():
    stream = StringIO()
    source = {"path": "lib.py", "first_line": 3, "last_line": 9, "mass": 0.256}
    timings = {
        "prefill_ms": 10.4,
        "decode_ms": 20.2,
        "prompt_tokens": 30,
        "generated_tokens": 4,
        "memory_tokens": 5000,
    }
    Terminal(stream).print_sources({"sources": [source] * 5, "timings": timings})
    assert stream.getvalue().splitlines() == [
        *["      from lib.py:3-9  (26% of what it drew on)"] * 3,
        "      4 tokens in 31 ms (read 30 tokens: 10 ms, write: 20 ms), 5,000 tokens in memory",
    ]


@pytest.mark.parametrize("explained", [None, {"timings": None, "sources": []}])
def test_nothing_is_said_of_a_suggestion_that_was_never_made(explained):
    stream = StringIO()
    Terminal(stream).print_sources(explained)
    assert stream.getvalue() == ""


def test_how_a_suggestion_came_about_is_told_whole():
    definition = {
        "path": "lib.py",
        "name": "Ship.dues",
        "first_line": 5,
        "reason": "what stands before the cursor: ship",
        "n_tokens": 12,
    }
    explained = {
        "timings": dict.fromkeys(
            ("prefill_ms", "decode_ms", "prompt_tokens", "generated_tokens", "memory_tokens"), 1
        ),
        "sources": [],
        "definitions": [
            {**definition, "is_named": True},
            {**definition, "name": "moor", "is_named": False},
        ],
        "ownLines": [1, 40],
        "confidence": 0.876,
        "meanProbability": 0.5,
        "stopReason": "line",
    }
    stream = StringIO()
    Terminal(stream).print_prompt(explained)
    assert stream.getvalue().splitlines() == [
        "      shown Ship.dues of lib.py:5",
        "      1 tokens in 2 ms (read 1 tokens: 1 ms, write: 1 ms), 1 tokens in memory",
        "      of the file itself, it was shown lines 1 to 40",
        "      of other files, 2 excerpts, 24 tokens:",
        "        Ship.dues  lib.py:5"
        "  (what stands before the cursor: ship, named by the suggestion)",
        "        moor  lib.py:5  (what stands before the cursor: ship)",
        "      its first word had a probability of 88%, its tokens 50% in the mean;"
        " it ended with: line",
    ]


def test_how_nothing_came_about_is_nothing():
    stream = StringIO()
    Terminal(stream).print_prompt({"timings": None, "sources": [], "definitions": []})
    assert stream.getvalue() == ""
