"""Means, differences and times of a run, and its tables."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from longllama_code.research.evaluation.bootstrap import Interval
from lsp_server.benchmarks.infilling.plot import plot
from lsp_server.benchmarks.infilling.rows import Row
from lsp_server.benchmarks.infilling.summary import mean, paired, published_runs, summarise, times
from lsp_server.benchmarks.infilling.tables import as_markdown
from lsp_server.benchmarks.reporting.machine import machine


def rows_of(condition, right_by_repository):
    return [
        Row(
            f"{repository}{n}",
            repository,
            condition,
            "c",
            suggestion="x",
            right=float(right),
            seconds=n,
        )
        for repository, found in right_by_repository.items()
        for n, right in enumerate(found)
    ]


def test_repositories_that_are_all_alike_leave_no_doubt():
    rows = rows_of("file", {"a": [1, 0], "b": [0, 1], "c": [1, 0, 0, 1]})
    assert mean(rows, "right") == Interval(0.5, 0.5, 0.5, 8)


def test_repositories_are_drawn_whole():
    # Of two repositories, one all right and one all wrong, a quarter of the draws takes each alone.
    rows = rows_of("file", {"a": [1] * 10, "b": [0] * 10})
    assert mean(rows, "right") == Interval(0.5, 0.0, 1.0, 20)


def test_differences_are_paired_and_counted():
    file = rows_of("file", {"a": [0, 0, 1], "b": [0, 1, 1]})
    whole = rows_of("repository", {"a": [1, 0, 0], "b": [1, 1, 1]})
    found = paired(whole, file, "right")
    assert (found.won, found.lost) == (2, 1)
    assert (found.difference.mean, found.difference.count) == (pytest.approx(1 / 6), 6)
    assert (found.difference.low, found.difference.high) == (0.0, pytest.approx(1 / 3))
    assert paired(whole[:1], file[3:], "right") is None


def test_times_are_those_of_answers_that_came():
    rows = rows_of("file", {"a": [0] * 21})
    rows.append(replace(rows[0], instance="failed", seconds=1e6, error="died"))
    found = times(rows)
    assert (found.median, found.p95) == (10, 19)


def test_only_instances_with_all_marks_stand_beside_published_runs(instances):
    assert published_runs(instances) == (["14b", "3b"], {instances[0].id})
    assert published_runs([replace(each, published_results={}) for each in instances]) == (
        [],
        set(),
    )


@pytest.fixture
def summary(instances):
    rows = [
        Row(instances[0].id, "r", "file", "c1", suggestion="x", confidence=0.25, seconds=2.0),
        Row(instances[1].id, "r", "file", "c1", error="SystemGoneError: died"),
        Row(instances[0].id, "r", "repository", "c1", suggestion="x", right=1.0, confidence=0.75),
        Row(instances[1].id, "r", "repository", "c2", key_seconds=0.25),
        Row(instances[0].id, "r", "llama.cpp", "c2", suggestion="x", published="before"),
    ]
    about = {"model": "m", "weights_sha256": None, "settings": {}, "machine": machine()}
    found = summarise(rows, instances, {"benchmark": "CrossCodeEval", **about})
    return json.loads(json.dumps(found))


def test_a_summary_says_what_was_asked_and_what_failed(summary, instances):
    conditions = summary["all"]["conditions"]
    assert conditions["file"]["right"]["mean"] == 0.0
    assert conditions["file"]["failed"] == 1
    assert conditions["file"]["seconds"] == {"median": 2.0, "p95": 2.0}
    assert conditions["file"]["key_seconds"] is None
    assert conditions["repository"]["key_seconds"] == {"median": 0.25, "p95": 0.25}
    assert conditions["repository"]["suggested"]["mean"] == 0.5
    assert conditions["repository"]["confidence"] == {"right": 0.75}
    assert summary["with_published_results"]["published"]["3b"]["mean"] == 1.0
    assert summary["with_published_results"]["conditions"]["repository"]["answers"] == 1
    assert [row["instance"] for row in summary["failed"]] == [instances[1].id]


def test_conditions_are_compared_in_pairs(summary):
    differences = {(each["of"], each["base"]): each for each in summary["all"]["differences"]}
    assert set(differences) == {
        ("repository", "file"),
        ("repository", "llama.cpp"),
        ("llama.cpp", "file"),
    }
    pair = differences["repository", "file"]["right"]
    assert (pair["difference"]["mean"], pair["won"], pair["lost"]) == (0.5, 1, 0)
    pair = differences["repository", "llama.cpp"]["right"]
    assert (pair["difference"]["mean"], pair["won"], pair["lost"]) == (1.0, 1, 0)


def test_groups_have_figures_of_their_own_if_there_are_several(summary):
    assert summary["by_language"] == {}  # all of it is Python
    assert set(summary["by_publication"]) == {"before", "unknown"}
    assert set(summary["by_publication"]["before"]["conditions"]) == {"llama.cpp"}


def test_tables_hold_every_condition_and_difference(summary):
    tables = as_markdown(summary)
    assert "| repository | 2 | 0.500 |" in tables
    assert "| repository minus file | 2 | +0.500, 1 won, 0 lost" in tables
    assert "counted as wrong: 1" in tables
    assert "c1, c2" in tables
    n_cells = {line.count("|") for line in tables.splitlines() if line.startswith("|")}
    assert len(n_cells) == 1


def test_a_plot_names_conditions_and_published_runs(summary, tmp_path):
    path = tmp_path / "plot.svg"
    plot(summary, path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    for name in ("repository", "llama.cpp", "published 3b"):
        assert f"<!-- {name} -->" in path.read_text()
