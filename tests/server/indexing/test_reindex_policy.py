"""What becomes of a file: it stays, is read again, or is left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from longllama_code.source_files.source_text import Exclusion, SourceError
from lsp_server.engine.connection import EngineAway, EngineError, EngineGone
from lsp_server.indexing.file_table import FileState, TrackedFile, Urgency
from lsp_server.indexing.reindex_policy import (
    BUDGET,
    CRASHES_ENGINE,
    FAILED,
    KEEP,
    MAX_CRASHES,
    READ,
    Decision,
    after_engine_start,
    after_error,
    after_reindex_command,
    after_scan,
    before_remembering,
    leave_out,
    must_be_read,
    split_by_budget,
    to_leave_out,
    to_take_back,
    yields_to_budget,
)

NOW = TrackedFile(Path("/r/a.py"), "a.py", FileState.WAITING, None, 0, 10, 20, has_rested=True)
IN_MEMORY = replace(NOW, state=FileState.IN_MEMORY, n_tokens=5)
LEFT_OUT = replace(NOW, state=FileState.LEFT_OUT, reason=BUDGET)
ALL = list(Urgency)


@pytest.mark.parametrize(
    ("known", "reads"),
    [
        (None, ALL),
        (NOW, ALL),
        (IN_MEMORY, [Urgency.OPEN]),
        (replace(IN_MEMORY, has_rested=False), [Urgency.OPEN, Urgency.CHANGED]),
        (replace(IN_MEMORY, size_bytes=11), ALL),
        (replace(IN_MEMORY, mtime_ns=21), ALL),
        (replace(NOW, state=FileState.LEFT_OUT, reason=FAILED), []),
        (replace(NOW, state=FileState.LEFT_OUT, reason=CRASHES_ENGINE), []),
        (replace(NOW, state=FileState.LEFT_OUT, reason=FAILED, mtime_ns=21), ALL),
        (replace(NOW, state=FileState.LEFT_OUT, reason="budget"), ALL),
    ],
)
def test_what_is_read(known: TrackedFile | None, reads: list[Urgency]) -> None:
    assert [urgency for urgency in ALL if must_be_read(known, NOW, urgency)] == reads


def test_which_files_make_room_for_others() -> None:
    assert yields_to_budget(NOW, Urgency.REST)
    assert not yields_to_budget(NOW, Urgency.CHANGED)
    assert not yields_to_budget(IN_MEMORY, Urgency.REST)


@pytest.mark.parametrize(
    ("exclusion", "has_open_text", "decision"),
    [
        (None, False, READ),
        (Exclusion.EMPTY, True, READ),
        (Exclusion.EMPTY, False, leave_out("empty")),
        (Exclusion.SECRET, True, leave_out(Exclusion.SECRET.value)),
    ],
)
def test_rules_of_the_workspace_come_first(
    exclusion: Exclusion | None, has_open_text: bool, decision: Decision
) -> None:
    found = after_scan(None, NOW, Urgency.REST, exclusion, has_open_text=has_open_text)
    assert found == decision


def test_a_file_in_memory_that_nobody_wrote_stays() -> None:
    assert after_scan(IN_MEMORY, NOW, Urgency.REST, None, has_open_text=False) == KEEP


@pytest.mark.parametrize(
    ("error", "n_crashes", "decision"),
    [
        (SourceError(Path("a.py"), Exclusion.SECRET), 0, leave_out(Exclusion.SECRET.value)),
        (EngineAway("the cluster"), 0, READ),
        (EngineGone("a crash"), MAX_CRASHES - 1, READ),
        (EngineGone("a crash"), MAX_CRASHES, leave_out(CRASHES_ENGINE)),
        (EngineError("its text"), 0, leave_out(FAILED)),
    ],
)
def test_a_file_that_could_not_be_remembered(
    error: Exception, n_crashes: int, decision: Decision
) -> None:
    assert after_error(error, n_crashes) == decision


def test_an_engine_without_a_limit_takes_what_the_budget_left_out() -> None:
    assert after_engine_start(LEFT_OUT, is_limited=False) == READ
    assert after_engine_start(LEFT_OUT, is_limited=True) == KEEP
    assert after_engine_start(IN_MEMORY, is_limited=True) == READ
    assert after_engine_start(replace(LEFT_OUT, reason=FAILED), is_limited=False) == KEEP


def test_the_command_to_reindex_reads_what_failed() -> None:
    assert after_reindex_command(replace(LEFT_OUT, reason=FAILED)) == READ
    assert after_reindex_command(IN_MEMORY) == READ
    assert after_reindex_command(LEFT_OUT) == KEEP


def test_a_file_that_nobody_touched_needs_room() -> None:
    large = replace(NOW, size_bytes=30)
    assert before_remembering(large, Urgency.REST, 9) == leave_out(BUDGET)
    assert before_remembering(large, Urgency.REST, 10) == READ
    assert before_remembering(large, Urgency.CHANGED, 9) == READ


def test_the_least_valuable_files_go_and_come_back_last() -> None:
    files = [replace(IN_MEMORY, name=name) for name in "abc"]  # of 5 tokens each
    assert to_leave_out(files, 6) == [files[2], files[1]]
    assert to_leave_out(files, 0) == []
    left_out = [replace(LEFT_OUT, name=name, size_bytes=n) for name, n in [("d", 30), ("e", 6)]]
    assert to_take_back(left_out, 9) == [left_out[1]]
    assert split_by_budget([*files, *left_out], 12) == (
        [*files[:2], left_out[1]],
        [files[2], left_out[0]],
    )
