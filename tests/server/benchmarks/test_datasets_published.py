"""Readers of published benchmarks, on small data of the same form."""

import gzip
import json
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_server.benchmarks.datasets import (
    cross_code_eval,
    long_code_arena,
    repo_bench,
    repo_eval,
    safim,
)
from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS, load

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
CODE = st.text(alphabet="ab =()\n\té𝄞\u2028\x0c", min_size=1, max_size=60)


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def refused(read, path):
    with pytest.raises(ValueError, match=str(path)) as raised:
        list(read(path))
    return str(raised.value)


# All of them.


def test_every_benchmark_has_a_reader_that_refuses_what_is_no_data(tmp_path):
    assert list(BENCHMARKS) == ["crosscodeeval", "repoeval", "repobench", "longcodearena", "safim"]
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        with pytest.raises(ValueError, match=str(tmp_path)):
            list(load(name, tmp_path))
        with pytest.raises(ValueError, match="absent"):
            list(load(name, tmp_path / "absent"))
    with pytest.raises(ValueError, match="'humaneval' is no benchmark; known: crosscodeeval, "):
        load("humaneval", tmp_path)


# CrossCodeEval.


def rebuilt(folder, text, answer, start, **fields):
    tree = folder / "repos" / "a-b-1"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "x.py").write_text(text, "utf-8", newline="")
    row = {
        "instance_id": "python/1",
        "repository": "a-b-1",
        "file": "x.py",
        "offset": start,
        "length": len(answer),
        "ground_truth": answer,
    }
    write_rows(folder / "instances.jsonl", [row | fields])


@SAME_FOLDER
@given(CODE, st.data())
def test_a_rebuilt_instance_is_its_file(tmp_path, text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    answer = text[start : data.draw(st.integers(start + 1, len(text)))]
    rebuilt(tmp_path, text, answer, start)
    (instance,) = cross_code_eval.load(tmp_path)
    assert instance.before + instance.answer + instance.after == text
    assert instance.span == (start, start + len(answer))


def test_a_rebuilt_instance_has_its_day_and_marks(tmp_path):
    rebuilt(tmp_path, "x = 1\n", "1", 4, since="2023-05-01", published_3b=True, published_x=None)
    (instance,) = cross_code_eval.load(tmp_path)
    assert (instance.since, instance.language) == (date(2023, 5, 1), "python")
    assert instance.published_results == {"3b": True, "x": None}
    rebuilt(tmp_path, "x = 1\n", "1", 4, published_3b="yes")
    assert "'published_3b' is 'yes'" in refused(cross_code_eval.load, tmp_path)


def test_a_tree_that_is_a_link_out_of_the_data_is_refused(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    rebuilt(data, "x = 1\n", "1", 4)
    (data / "repos" / "a-b-1").rename(elsewhere)
    (data / "repos" / "a-b-1").symlink_to(elsewhere)
    said = refused(cross_code_eval.load, data)
    assert "instances.jsonl:1 is no instance: 'repos/a-b-1' is a path or a link that" in said


@pytest.mark.parametrize(
    ("file", "language"),
    [("src/A.java", "java"), ("src/a.ts", "typescript"), ("A.cs", "csharp"), ("a.py", "python")],
)
@pytest.mark.parametrize("table", ["line_completion.jsonl", "line_completion_rg1_bm25.jsonl"])
def test_published_tables_of_all_languages_are_read(tmp_path, file, language, table):
    row = {
        "prompt": "x = ",
        "groundtruth": "f(1)",
        "right_context": ";\n",
        "metadata": {"task_id": "project/1", "repository": "a-b-1", "file": file},
        "crossfile_context": {"text": "# found", "list": [{"retrieved_chunk": "f"}]},
    }
    (instance,) = cross_code_eval.load(write_rows(tmp_path / "java" / table, [row]))
    assert (instance.language, instance.file) == (language, file)
    assert (instance.before, instance.answer, instance.after) == ("x = ", "f(1)", ";\n")
    assert not instance.has_repository
    path = write_rows(tmp_path / table, [row, row])
    assert f"{table}:2 repeats the instance 'project/1'" in refused(cross_code_eval.load, path)


# RepoEval.


def repo_eval_data(folder, text, line, answer, *, level="line", **fields):
    tree = folder / "repositories" / "line_and_api_level" / "owner_name"
    (tree / "pkg").mkdir(parents=True, exist_ok=True)
    (tree / "pkg" / "x.py").write_text(text, "utf-8", newline="")
    metadata = {
        "task_id": "owner_name/0",
        "ground_truth": answer,
        "fpath_tuple": ["owner_name", "pkg", "x.py"],
        "context_start_lineno": 0,
        "line_no": line,
    }
    row = {"prompt": "", "metadata": metadata | fields}
    table = f"{level}_level_completion_2k_context_codex.test.jsonl"
    return write_rows(folder / "datasets" / table, [row])


@SAME_FOLDER
@given(
    st.lists(st.sampled_from(["a = 1", "  b(é𝄞)", "", "c\x0cd", "\u2028e"]), min_size=1), st.data()
)
def test_an_answer_of_repo_eval_is_lines_of_its_file(tmp_path, lines, data):
    text = "\n".join(lines) + data.draw(st.sampled_from(["", "\n"]))
    split = text.splitlines()
    numbers = [number for number, line in enumerate(split) if line.strip()]
    if not numbers:
        return
    number = data.draw(st.sampled_from(numbers))
    path = repo_eval_data(tmp_path, text, number, split[number])
    (instance,) = repo_eval.load(path)
    assert instance.before + instance.answer + instance.after == text
    assert instance.answer == split[number]
    assert len(instance.before.splitlines()) == number


def test_calls_may_have_several_lines(tmp_path):
    text = "import os\nx = f(\n    1,\n)\ny = 2\n"
    table = repo_eval_data(tmp_path, text, 1, "x = f(\n    1,\n)", level="api")
    for data in (table, tmp_path):
        (instance,) = repo_eval.load(data)
        assert (instance.id, instance.kind) == ("api/owner_name/0", "api")
        assert (instance.before, instance.after) == ("import os\n", "\ny = 2\n")
        assert instance.repository == "owner_name"
        assert instance.tree is not None
        assert (instance.tree / instance.file).read_text() == text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"line_no": 0}, "'b = 2' is not line 1 of 'pkg/x.py'"),
        ({"line_no": -1}, "is not line 0"),
        ({"line_no": 9}, "is not line 10"),
        ({"ground_truth": "b ="}, "'b =' is not line 2"),
        ({"ground_truth": ""}, "'' is not line 2"),
        ({"fpath_tuple": ["owner_name"]}, "'fpath_tuple' is"),
        ({"fpath_tuple": ["..", "x.py"]}, "'..' is no repository's name"),
        ({"fpath_tuple": ["owner_name", "..", "..", "x.py"]}, "is no path in a repository"),
        ({"fpath_tuple": ["owner_name", "absent.py"]}, "No such file"),
    ],
)
def test_rows_of_repo_eval_that_are_wrong_are_named(tmp_path, changed, said):
    path = repo_eval_data(tmp_path, "a = 1\nb = 2\n", 1, "b = 2", **changed)
    message = refused(repo_eval.load, path)
    assert "test.jsonl:1 is no instance: " in message
    assert said in message


def test_repo_eval_asks_for_what_is_not_clear(tmp_path):
    path = repo_eval_data(tmp_path, "a = 1\n", 0, "a = 1")
    other = path.with_name(path.name.replace("2k", "4k"))
    other.write_bytes(path.read_bytes())
    assert "several tables of the level 'line'; give one: " in refused(repo_eval.load, tmp_path)
    function = path.rename(path.with_name("function_level_completion_2k_context_codex.test.jsonl"))
    assert "must begin with 'line_level' or 'api_level'" in refused(repo_eval.load, function)
    alone = tmp_path / "elsewhere" / "deep" / other.name
    alone.parent.mkdir(parents=True)
    assert "unpack 'line_and_api_level.zip'" in refused(repo_eval.load, other.rename(alone))


# RepoBench.


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
        ({"context": ["x"]}, "'context' has 'x'"),
        ({"context": None}, "'context' is None, not a list"),
        ({"context": [{"path": "../x", "snippet": ""}]}, "'../x' is no path"),
        ({"context": [{"path": "x"}]}, "'snippet' is missing"),
        ({"created_at": "soon"}, "'created_at' is 'soon'"),
    ],
)
def test_rows_of_repo_bench_that_are_wrong_are_named(tmp_path, changed, said):
    path = write_rows(tmp_path / "in_file.jsonl", [repo_bench_row(), repo_bench_row(**changed)])
    message = refused(repo_bench.load, path)
    assert "in_file.jsonl:2 is no instance: " in message
    assert said in message


# Long Code Arena.

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
        ({"lines": {"infile": ["1"]}}, "has line '1'"),
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


# SAFIM.


def safim_row(language="python", **fields):
    hole = safim.HOLES[language]
    return {
        "task_id": "block_completion_000001",
        "lang": language,
        "prompt": f"Description: add.\n\nCode:\n\na = 1\n{hole}\nprint(b)\n",
        "eval_prompt": "a = 1\n{{completion}}\nprint(b)\n",
        "ground_truth": "b = a + 1",
        "unit_tests": "[]",
        **fields,
    }


@pytest.mark.parametrize("language", ["python", "java", "cpp", "csharp"])
def test_a_hole_of_safim_is_where_its_mark_is(tmp_path, language):
    path = write_rows(tmp_path / "block_completion_v2.jsonl.gz", [safim_row(language)])
    (instance,) = load("safim", path)
    assert (instance.before, instance.after) == (
        "Description: add.\n\nCode:\n\na = 1\n",
        "\nprint(b)\n",
    )
    assert (instance.kind, instance.language) == ("block_v2", language)
    assert instance.answer == "b = a + 1"
    assert not instance.has_repository


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prompt": "no hole"}, "'prompt' has 0 holes"),
        ({"prompt": safim.HOLES["python"] * 2}, "'prompt' has 2 holes"),
        ({"lang": "cobol"}, "'lang' is 'cobol'; known: python"),
        ({"ground_truth": "\n"}, "'ground_truth' is empty"),
        ({"task_id": ".."}, "'..' is no repository's name"),
    ],
)
def test_rows_of_safim_that_are_wrong_are_named(tmp_path, changed, said):
    path = write_rows(tmp_path / "api.jsonl", [safim_row(task_id="1"), safim_row(**changed)])
    message = refused(safim.load, path)
    assert "api.jsonl:2 is no instance: " in message
    assert said in message


def test_a_split_of_safim_is_known_by_its_name(tmp_path):
    path = write_rows(tmp_path / "rows.jsonl", [safim_row()])
    assert "is no file of SAFIM; known: block_completion.jsonl.gz" in refused(safim.load, path)
