"""Whether a file that was seen is read again."""

from dataclasses import replace
from pathlib import Path

import pytest

from lsp_server.indexing.file_table import FileState, TrackedFile, Urgency
from lsp_server.indexing.reindex_policy import CRASHES_ENGINE, FAILED, may_be_refused, must_be_read

NOW = TrackedFile(Path("/r/a.py"), "a.py", FileState.WAITING, None, 0, 10, 20, has_rested=True)
HELD = replace(NOW, state=FileState.IN_MEMORY, n_tokens=5)
ALL = list(Urgency)


@pytest.mark.parametrize(
    ("known", "reads"),
    [
        (None, ALL),
        (NOW, ALL),
        (HELD, [Urgency.OPEN]),
        (replace(HELD, has_rested=False), [Urgency.OPEN, Urgency.CHANGED]),
        (replace(HELD, size_bytes=11), ALL),
        (replace(HELD, mtime_ns=21), ALL),
        (replace(NOW, state=FileState.LEFT_OUT, reason=FAILED), []),
        (replace(NOW, state=FileState.LEFT_OUT, reason=CRASHES_ENGINE), []),
        (replace(NOW, state=FileState.LEFT_OUT, reason=FAILED, mtime_ns=21), ALL),
        (replace(NOW, state=FileState.LEFT_OUT, reason="budget"), ALL),
    ],
)
def test_what_is_read(known: TrackedFile | None, reads: list[Urgency]) -> None:
    assert [urgency for urgency in ALL if must_be_read(known, NOW, urgency)] == reads


def test_who_makes_room_for_others() -> None:
    assert may_be_refused(NOW, Urgency.REST)
    assert not may_be_refused(NOW, Urgency.CHANGED)
    assert not may_be_refused(HELD, Urgency.REST)
