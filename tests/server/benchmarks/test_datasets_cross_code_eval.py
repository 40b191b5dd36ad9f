"""CrossCodeEval: rebuilt instances, and the published tables."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.datasets import (
    cross_code_eval,
)
from tests.server.benchmarks.published_tables import CODE, SAME_FOLDER, refused, write_rows


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
    assert "'published_3b' is \"yes\"" in refused(cross_code_eval.load, tmp_path)


def test_a_rebuilt_instance_is_in_a_folder_as_a_clone_has_it(tmp_path):
    rebuilt(tmp_path, "x = 1\n", "1", 4, source="some-one/shapes.py")
    (instance,) = cross_code_eval.load(tmp_path)
    assert (instance.repository, instance.clone) == ("a-b-1", "shapes.py")
    rebuilt(tmp_path, "x = 1\n", "1", 4, source="someone/..")
    assert "'someone/..' is no repository, as owner/name" in refused(cross_code_eval.load, tmp_path)
    rebuilt(tmp_path, "x = 1\n", "1", 4)
    (instance,) = cross_code_eval.load(tmp_path)
    assert not instance.clone


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
