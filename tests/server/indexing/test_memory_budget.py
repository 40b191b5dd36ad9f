"""The budget: after an edit, files are looked at only if some must leave memory."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lsp_server.indexing.file_table import FileState, FileTable, TrackedFile
from lsp_server.indexing.memory_budget import MemoryBudget
from lsp_server.settings.declarations import Memory

NEWEST, OTHER = Path("/ws/a.py"), Path("/ws/b.py")
ENGINE = SimpleNamespace(is_limited=True, token_bytes=1)


def budget(max_tokens, open_text):
    files = FileTable()
    for path in (NEWEST, OTHER):
        files.put(TrackedFile(path, path.name, FileState.IN_MEMORY, n_tokens=10))
    return MemoryBudget(files, Memory(max_tokens=max_tokens, max_bytes=0), ENGINE, list, open_text)


def test_with_room_for_all_no_file_is_looked_at():
    assert budget(20, lambda _: pytest.fail("a file was looked at")).overflow(NEWEST) == []


def test_without_room_another_file_than_the_newest_leaves():
    leaving = budget(19, lambda _: None).overflow(NEWEST)
    assert [file.path for file in leaving] == [OTHER]
