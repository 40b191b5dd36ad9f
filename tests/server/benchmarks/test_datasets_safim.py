"""SAFIM: holes in single files."""

import pytest

from lsp_server.benchmarks.datasets import (
    safim,
)
from lsp_server.benchmarks.datasets.benchmarks import load
from tests.server.benchmarks.published_tables import refused, write_rows


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
