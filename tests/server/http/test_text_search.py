"""The search of files for lines, and which of their versions counts."""

import os

from lsp_server.http import text_search
from lsp_server.http.text_search import best, file_text, find_text
from lsp_server.indexing.file_table import FileState, TrackedFile

LINES = [f"def function_{number}(left, right): ..." for number in range(12)]
RUNS = ("\n".join(LINES[:4]), "\n".join(LINES[4:8]))


def tracked(path, text=None, *, state=FileState.IN_MEMORY):
    """The record of a file, which is written first if there is a text."""
    if text is not None:
        path.write_text(text, newline="")
    status = path.stat()
    return TrackedFile(
        path, path.name, state, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns
    )


def test_the_file_with_the_most_runs_is_found_whatever_its_line_ends(tmp_path):
    files = [
        tracked(tmp_path / "half.py", RUNS[0]),
        tracked(tmp_path / "whole.py", "\r\n".join(LINES)),
        tracked(tmp_path / "other.py", "x = 1\n"),
    ]
    assert find_text(RUNS, files, {}) == tmp_path / "whole.py"


def test_half_of_the_runs_will_do_and_less_will_not(tmp_path):
    files = [tracked(tmp_path / "half.py", RUNS[0])]
    assert find_text(RUNS, files, {}) == tmp_path / "half.py"
    assert find_text((*RUNS, "\n".join(LINES[8:])), files, {}) is None


def test_two_files_with_as_many_are_none():
    assert best(RUNS, [("a", RUNS[0]), ("b", RUNS[1])]) is None
    assert best(RUNS, []) is None


def test_the_version_that_the_memory_has_counts(tmp_path):
    path = tmp_path / "a.py"
    file = tracked(path, "first\n")
    first = file_text(file, None)
    assert first is not None
    path.write_text("second, not searched yet\n")
    os.utime(path, ns=(1, 1))
    assert file_text(file, first) is first
    assert file_text(file, None) is None
    later = tracked(path)
    found = file_text(later, first)
    assert found is not None
    assert found.text == "second, not searched yet\n"
    path.unlink()
    assert file_text(later, found) is found
    assert file_text(later, first) is first


def test_a_file_that_waits_to_be_read_has_its_former_text(tmp_path):
    path = tmp_path / "a.py"
    first = file_text(tracked(path, "first\n"), None)
    path.write_text("second\n" * 3)
    assert file_text(tracked(path, state=FileState.WAITING), first) is first


def test_no_more_files_are_read_than_the_limit_allows(tmp_path, monkeypatch):
    files = [tracked(tmp_path / f"{number}.py", "x = 1\n") for number in range(5)]
    files.append(tracked(tmp_path / "last.py", "\n".join(LINES)))
    assert find_text(RUNS, files, {}) == tmp_path / "last.py"
    monkeypatch.setattr(text_search, "MAX_FILES", 5)
    assert find_text(RUNS, files, {}) is None
    monkeypatch.setattr(text_search, "MAX_FILES", 6)
    monkeypatch.setattr(text_search, "MAX_CHARS", 20)
    assert find_text(RUNS, files, {}) is None
    monkeypatch.setattr(text_search, "MAX_CHARS", 1_000)
    monkeypatch.setattr(text_search, "MAX_S", -1.0)
    assert find_text(RUNS, files, {}) is None
