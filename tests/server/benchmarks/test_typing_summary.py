"""Typing: summary, tables and picture of a run."""

import json
from dataclasses import replace

import pytest

from lsp_server.benchmarks.typing.plot import plot
from lsp_server.benchmarks.typing.rhythm import Rhythm
from lsp_server.benchmarks.typing.rows import Row
from lsp_server.benchmarks.typing.summary import summarise
from lsp_server.benchmarks.typing.tables import as_markdown
from lsp_server.benchmarks.typing.typist import Key


def row_of(session, repository, condition, characters, pressed, keys=(), **fields):
    return Row(
        session, repository, condition, "whole", "code", characters=characters, pressed=pressed,
        keys=tuple(keys), **fields,
    )  # fmt: skip


RIGHT = Key(10.0, "x", right_to_end=True, right_for_a_word=True, accepted=1)
KNOWN = replace(RIGHT, ms=2.0, known=True)
WORD = Key(20.0, "x y", right_for_a_word=True)
WRONG = Key(30.0, "z")
LATE = Key(100.0, overtaken=True)
RHYTHM = Rhythm(slowdown=4).describe()
ABOUT = {
    "model": "m",
    "weights_sha256": None,
    "settings": {},
    "rhythm": RHYTHM,
    "machine": {"cpu": "c", "cores": 2, "flags": [], "memory_gb": 8, "load": 0.5},
}
ROWS = [
    row_of("1", "a", "ours", 100, 60, [RIGHT, KNOWN, WORD, WRONG, LATE], cpu_seconds=2.0),
    row_of("2", "b", "ours", 100, 80, [LATE, LATE, LATE, WRONG, WRONG], cpu_seconds=4.0),
    row_of("1", "a", "theirs", 100, 80, [RIGHT, WRONG, LATE, LATE]),
    row_of("2", "b", "theirs", 100, 90, [WRONG, LATE, LATE, LATE]),
    row_of("3", "b", "theirs", 100, 0, [RIGHT]),
    replace(row_of("3", "b", "ours", 0, 0), error="died"),
]


def test_a_summary_is_as_counted_by_hand():
    found = summarise(ROWS, ABOUT)
    ours, theirs = found["all"]["sides"]
    assert (ours["condition"], ours["sessions"], theirs["sessions"]) == ("ours", 2, 3)
    assert ours["saved"] == {"mean": 0.3, "low": 0.2, "high": 0.4, "count": 200}
    assert ours["shown"]["mean"] == 0.6
    assert ours["right"]["mean"] == pytest.approx(2 / 6)
    assert ours["right_for_a_word"]["mean"] == pytest.approx(3 / 6)
    assert ours["interruptions"]["mean"] == 30.0
    assert ours["overtaken"]["mean"] == 0.4
    assert ours["known"]["mean"] == pytest.approx(1 / 6)
    assert (ours["ms_p50"]["mean"], ours["asked_ms_p50"]["mean"]) == (25.0, 30.0)
    assert ours["cpu_seconds_per_saved"] == 6.0 / 60
    assert theirs["cpu_seconds_per_saved"] is None
    assert [row["session"] for row in found["failed"]] == ["3"]


def test_conditions_are_compared_on_the_sessions_that_both_have():
    (found,) = summarise(ROWS, ABOUT)["all"]["comparisons"]
    assert (found["of"], found["base"], found["sessions"]) == ("ours", "theirs", 2)
    saved = found["differences"]["saved"]
    assert saved["mean"] == pytest.approx(0.15)
    assert (saved["low"], saved["high"]) == (pytest.approx(0.1), pytest.approx(0.2))
    assert found["saved_ratio"]["mean"] == pytest.approx(2.0)
    assert found["saved_ratio"]["low"] == found["saved_ratio"]["high"] == pytest.approx(2.0)
    assert found["differences"]["interruptions"]["mean"] == pytest.approx(30 - 25)


def test_tables_say_the_rhythm_its_slowdown_and_what_failed():
    text = as_markdown(json.loads(json.dumps(summarise(ROWS, ABOUT))))
    assert "(slowdown 4)" in text
    assert "0.1 s from key to key within a word" in text
    assert "| whole | ours | 2 | 30.0% [20.0%, 40.0%] |" in text
    assert "| whole | ours minus theirs | 2 | +15.0% [+10.0%, +20.0%] |" in text
    assert "Failed, and left out: 1." in text


def test_a_run_without_any_result_has_a_summary():
    failed = [replace(ROWS[0], error="died", keys=())]
    text = as_markdown(summarise(failed, ABOUT))
    assert "Failed, and left out: 1." in text
    nothing = [replace(ROWS[0], keys=())]
    assert "| whole | ours | 1 | 40.0% |" in as_markdown(summarise(nothing, ABOUT))


def test_groups_are_shown_if_there_are_several():
    rows = [replace(ROWS[0], published="before"), replace(ROWS[1], published="after")]
    found = summarise(rows, ABOUT)
    assert set(found["by_publication"]) == {"before", "after"}
    assert found["by_language"] == {}
    assert "before or after the model was trained: after" in as_markdown(found)


def test_equal_results_give_the_same_picture(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        plot(summarise(ROWS, ABOUT), ROWS, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    for words in ("ours, asked of the model", "theirs, whole", "characters saved", "slowdown 4"):
        assert words in svg
    plot(summarise(ROWS[-1:], ABOUT), ROWS[-1:], tmp_path / "empty.svg")
