"""RepoBench: lines and the snippets of other files that they need."""

from datetime import date

import pytest

from lsp_server.benchmarks.datasets import (
    repo_bench,
)
from lsp_server.benchmarks.datasets.benchmarks import load
from tests.server.benchmarks.published_tables import refused, write_rows


def repo_bench_row(**fields):
    return {
        "repo_name": "owner/name",
        "file_path": "pkg/x.py",
        "context": [
            {"identifier": "f", "path": "pkg/f.py", "snippet": "def f(): ..."},
            {"identifier": "g", "path": "pkg/f.py", "snippet": "def g(): ..."},
            {"identifier": "h", "path": "h.py", "snippet": "h = 1"},
        ],
        "import_statement": "from pkg.f import f",
        "token_num": 9,
        "cropped_code": "def use():\n    a = 1\n\n",
        "all_code": "def use():\n    a = 1\n\n",
        "next_line": "    return f()",
        "gold_snippet_index": 0,
        "created_at": "2023-11-05T23:30:00Z",
        "level": "2k",
        **fields,
    }


def test_repo_bench_has_snippets_for_files(tmp_path):
    write_rows(tmp_path / "data" / "in_file-00000-of-00002.jsonl", [repo_bench_row()] * 2)
    write_rows(tmp_path / "data" / "in_file-00001-of-00002.jsonl", [repo_bench_row()])
    write_rows(
        tmp_path / "data" / "cross_file_first.jsonl.gz", [repo_bench_row(file_path="A.java")]
    )
    (tmp_path / "data" / "README.md").write_text("no table")
    java, *python = list(load("repobench", tmp_path))
    assert (java.id, java.kind, java.language) == ("cross_file_first/1", "cross_file_first", "java")
    assert [each.id for each in python] == ["in_file/1", "in_file/2", "in_file/3"]
    assert len({each.snapshot for each in python}) == 3
    first = python[0]
    assert (first.repository, first.since) == ("owner__name", date(2023, 11, 5))
    assert first.before == "from pkg.f import f\ndef use():\n    a = 1\n"
    assert (first.answer, first.after, first.tree) == ("    return f()", "", None)
    assert first.files == {"pkg/f.py": "def f(): ...\n\ndef g(): ...", "h.py": "h = 1"}


def test_repo_bench_reads_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [repo_bench_row(), repo_bench_row(created_at=None, next_line="    return 1")]
    path = tmp_path / "in_file-00000-of-00001.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    same = write_rows(tmp_path / "lines" / "in_file.jsonl", rows)
    assert list(repo_bench.load(path)) == list(repo_bench.load(same))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"next_line": " "}, "'next_line' is empty"),
        ({"file_path": "/x.py"}, "'/x.py' is no path"),
        ({"repo_name": ".."}, "'..' is no repository's name"),
        ({"context": ["x"]}, "'context' has \"x\""),
        ({"context": None}, "'context' is null, not a list"),
        ({"context": [{"path": "../x", "snippet": ""}]}, "'../x' is no path"),
        ({"context": [{"path": "x"}]}, "'snippet' is missing"),
        ({"created_at": "soon"}, "'created_at' is \"soon\""),
    ],
)
def test_rows_of_repo_bench_that_are_wrong_are_named(tmp_path, changed, said):
    path = write_rows(tmp_path / "in_file.jsonl", [repo_bench_row(), repo_bench_row(**changed)])
    message = refused(repo_bench.load, path)
    assert "in_file.jsonl:2 is no instance: " in message
    assert said in message
