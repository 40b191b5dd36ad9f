"""Long Code Arena: lines of a commit's file, and the repository before it."""

import pytest
from hypothesis import given

from lsp_server.benchmarks.datasets import (
    long_code_arena,
)
from lsp_server.benchmarks.datasets.benchmarks import load
from tests.server.benchmarks.published_tables import CODE, SAME_FOLDER, refused, write_rows

CONTENT = "import os\n\ndef use():\n    return os.name\n"


def arena_row(content=CONTENT, lines=None, **fields):
    lines = (
        {"commited": [3], "infile": [2, 2], "random": [1], "common": []} if lines is None else lines
    )
    return {
        "repo": "owner__name",
        "commit_hash": "0123456789abcdef",
        "completion_file": {"filename": "pkg/x.py", "content": content},
        "completion_lines": lines,
        "repo_snapshot": {
            "filename": ["a.py", "picture.png", "pkg/x.py"],
            "content": ["a = 1\n", None, "the answer"],
        },
        "completion_lines_raw": {"other": [0]},
        **fields,
    }


def test_each_line_of_long_code_arena_is_an_instance(tmp_path):
    path = write_rows(tmp_path / "small_context.jsonl", [arena_row()])
    committed, in_file = list(load("longcodearena", path))
    assert (committed.kind, committed.answer) == ("committed", "    return os.name")
    assert (committed.before, committed.after) == ("import os\n\ndef use():\n", "")
    assert (in_file.kind, in_file.answer) == ("infile", "def use():")
    assert committed.id == "owner__name/0123456789/pkg/x.py:4/committed"
    assert committed.files == {"a.py": "a = 1\n"}
    assert committed.files is in_file.files
    assert committed.snapshot == in_file.snapshot == "0123456789abcdef"


@SAME_FOLDER
@given(CODE)
def test_an_answer_of_long_code_arena_is_a_line_of_its_file(tmp_path, content):
    n_lines = content.count("\n") + 1
    row = arena_row(content, {"random": list(range(n_lines))})
    instances = list(long_code_arena.load(write_rows(tmp_path / "x.jsonl", [row])))
    assert len(instances) == sum(bool(line.strip()) for line in content.split("\n"))
    for instance in instances:
        assert content.startswith(instance.before + instance.answer)
        assert content[instance.span[1] :][:1] in ("", "\n")


def test_long_code_arena_reads_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [arena_row(), arena_row(lines={"infile": [3], "random": []}, commit_hash="f" * 40)]
    (tmp_path / "data").mkdir()
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "data" / "test-0.parquet")
    same = write_rows(tmp_path / "lines" / "x.jsonl", rows)
    found = list(long_code_arena.load(tmp_path))
    assert found == list(long_code_arena.load(same))
    assert len(found) == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lines": {"infile": [5]}}, "'infile' has line 5, and the file 5 lines"),
        ({"lines": {"infile": [-1]}}, "has line -1"),
        ({"lines": {"infile": ["1"]}}, 'has line "1"'),
        ({"lines": [1]}, "'completion_lines' is [1]"),
        ({"repo_snapshot": {"filename": ["a"], "content": []}}, "has 1 names and 0 texts"),
        ({"repo_snapshot": [{"filename": "../a", "content": ""}]}, "'../a' is no path"),
        ({"repo_snapshot": [{"filename": ".git/config", "content": ""}]}, "is no path"),
        ({"completion_file": {"filename": "x.py"}}, "'content' is missing"),
    ],
)
def test_rows_of_long_code_arena_that_are_wrong_are_named(tmp_path, changed, said):
    rows = [arena_row(commit_hash="0"), arena_row(**changed)]
    message = refused(long_code_arena.load, write_rows(tmp_path / "x.jsonl", rows))
    assert "x.jsonl:2 is no instance: " in message
    assert said in message
