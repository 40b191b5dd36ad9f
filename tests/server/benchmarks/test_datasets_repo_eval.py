"""RepoEval: lines and calls of the files of its repositories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.datasets import (
    repo_eval,
)
from tests.server.benchmarks.published_tables import SAME_FOLDER, refused, write_rows


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
