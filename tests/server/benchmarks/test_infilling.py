"""Benchmarks of text at a cursor, on the real server with scripted answers."""

import json
import os
import signal
from collections import Counter

import pytest

from lsp_server.benchmarks.commands.infilling import by_workspace, choose
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.infilling import run
from lsp_server.benchmarks.systems import longllama
from lsp_server.benchmarks.workspaces.trees import copy_tree
from tests.server.benchmarks.bench_command import bench, scripted
from tests.server.benchmarks.small_benchmark import ANSWERS, USES, write_benchmark


def test_parts_hold_every_instance_once_and_whole_repositories():
    every = [Instance(f"{r}/{n}", r, "f.py", "", "x", "") for r in "abcde" for n in range(3)]
    parts = [choose(every, None, (index, 3)) for index in range(3)]
    assert Counter(each.id for part in parts for each in part) == Counter(e.id for e in every)
    of_parts = [{each.repository for each in part} for part in parts]
    assert sum(map(len, of_parts)) == 5


def test_a_few_are_spread_over_the_repositories():
    every = [Instance(f"{r}/{n}", r, "f.py", "", "x", "") for r in "abc" for n in range(5)]
    assert {each.repository for each in choose(every, 3, (0, 1))} == {"a", "b", "c"}


def test_instances_of_one_file_are_asked_behind_each_other():
    every = [Instance(str(n), "r", f"{n % 2}.py", "", "x", "") for n in range(6)]
    assert [each.file for each in by_workspace(every)["r", ""]] == ["0.py"] * 3 + ["1.py"] * 3


# A run that is interrupted, has a failure, and is resumed.

RIGHT_FROM_ELSEWHERE = {"text": ANSWERS[0], "before": "area = ", "source": "shapes.py"}
"""Answers from another file, and for one cursor alone."""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """Three runs of one command: the first is of one instance; one that failed is added to it."""
    folder = tmp_path_factory.mktemp("resumed")
    data, model = write_benchmark(folder / "data"), scripted(folder, RIGHT_FROM_ELSEWHERE)
    first = bench("crosscodeeval", data, folder, *model, "--conditions", "file", "--limit", "1")
    (row,) = first.rows
    failed = row | {"instance": "python/square.edge_in", "error": "died", "right": 0.0}
    with first.output.with_suffix(".jsonl").open("a") as file:
        file.write(json.dumps(failed) + "\n")
    runs = [bench("crosscodeeval", data, folder, *model) for _ in range(2)]
    rows = runs[1].rows
    return row, failed, runs, rows


def test_what_was_answered_is_not_asked_again(resumed):
    first, _, (second, third), rows = resumed
    assert (second.code, third.code) == (0, 0)
    assert rows[0] == first
    assert len(rows) == 5  # none is of the third run
    assert second.err.count(" right so far") == 3
    assert third.err == ""
    assert third.summary["all"] == second.summary["all"]


def test_what_failed_is_asked_again(resumed):
    _, failed, (second, _), rows = resumed
    assert rows[1] == failed
    assert [row["error"] for row in rows[2:]] == [None] * 3
    assert second.summary["failed"] == []
    assert second.summary["all"]["conditions"]["file"]["answers"] == 2


def test_what_the_repository_brings_is_seen(resumed):
    _, _, (second, _), rows = resumed
    right = {(row["condition"], row["instance"][-7:]): row["right"] for row in rows}
    assert right == {
        ("file", "area_in"): 0.0,
        ("file", "edge_in"): 0.0,
        ("repository", "area_in"): 1.0,
        ("repository", "edge_in"): 0.0,
    }
    pair = second.summary["all"]["differences"][0]["right"]
    assert (pair["difference"]["mean"], pair["won"], pair["lost"]) == (0.5, 1, 0)
    assert second.summary["with_published_results"]["published"]["14b"]["mean"] == 1.0


def test_a_store_that_is_not_kept_is_not_said_to_be_searched(resumed):
    _, _, (second, _), rows = resumed
    assert not any(row["store_searched"] for row in rows)
    assert "first request: repository 0 of 1." in second.out


# A run in which things go wrong.


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A run with an answer planted into the repository, whose first server dies when asked."""
    explain, n_asked = longllama.HeadlessClient.explain, [0]

    def copy_and_plant(tree, target, instances):
        copy_tree(tree, target, instances)
        (target / "planted.py").write_text(USES)

    async def die_once(client):
        n_asked[0] += 1
        if n_asked[0] == 1:
            os.kill(client.process.pid, signal.SIGKILL)
        return await explain(client)

    folder = tmp_path_factory.mktemp("troubled")
    model = scripted(folder, {"text": ANSWERS[0]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "copy_tree", copy_and_plant)
        patch.setattr(longllama.HeadlessClient, "explain", die_once)
        return bench("crosscodeeval", write_benchmark(folder / "data"), folder, *model)


def test_a_planted_answer_stops_the_repository_from_being_asked(troubled):
    failed = [row for row in troubled.rows if row["condition"] == "repository"]
    assert len(failed) == 2
    assert all("is in planted.py" in row["error"] for row in failed)
    assert troubled.summary["all"]["conditions"]["repository"]["right"]["mean"] == 0.0


def test_a_server_that_dies_costs_one_answer(troubled):
    died, answered = (row for row in troubled.rows if row["condition"] == "file")
    assert died["error"].startswith("SystemGoneError: ")
    assert (answered["error"], answered["suggestion"]) == (None, ANSWERS[0])


def test_failures_are_counted_and_the_run_goes_on(troubled):
    assert troubled.code == 0
    assert "Failed, and counted as wrong: 3." in troubled.written(".md")


# Data that holds its repositories itself.

MAIN = "from shapes import Square\n\nsquare = Square(2)\narea = square.area_in_metres()\n"


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arena")
    shapes = "class Square:\n    def area_in_metres(self):\n        return 4\n"
    row = {
        "repo": "someone__shapes",
        "commit_hash": "1234567890abcdef",
        "completion_file": {"filename": "main.py", "content": MAIN},
        "completion_lines": {"inproject": [3], "infile": [2]},
        "repo_snapshot": {"filename": ["shapes.py", "README"], "content": [shapes, "Shapes.\n"]},
    }
    (folder / "small.jsonl").write_text(json.dumps(row) + "\n")
    answer = {"text": "area = square.area_in_metres()", "before": "\\n", "source": "shapes.py"}
    options = [*scripted(folder, answer), "--conditions", "repository", "--no-delays"]
    return bench("longcodearena", folder / "small.jsonl", folder, *options)


def test_data_with_repositories_in_it_is_asked_beside_them(arena):
    assert arena.code == 0
    rows = {row["kind"]: row for row in arena.rows}
    assert {kind: row["right"] for kind, row in rows.items()} == {"inproject": 1.0, "infile": 0.0}
    assert [row["error"] for row in arena.rows] == [None, None]
    assert {row["files"] for row in arena.rows} == {3}
    assert rows["inproject"]["tokens"] > len(MAIN.partition("area")[0])
    assert set(arena.summary["by_kind"]) == {"infile", "inproject"}
    assert "## Long Code Arena" in arena.written(".md")


def test_delays_are_not_measured_if_not_wanted(arena):
    assert {(row["key_seconds"], row["change_seconds"]) for row in arena.rows} == {(None, None)}


def test_the_published_form_has_no_repository_to_ask(tmp_path):
    metadata = {"task_id": "1", "repository": "r", "file": "y.py"}
    row = {"prompt": "x = ", "groundtruth": "f(1)", "right_context": "\n", "metadata": metadata}
    path = tmp_path / "line_completion.jsonl"
    path.write_text(json.dumps(row) + "\n")
    model = scripted(tmp_path, {"text": "f(1)"})
    refused = bench("crosscodeeval", path, tmp_path, *model)
    assert refused.code == 1
    assert "Give --conditions file" in refused.err
    ran = bench("crosscodeeval", path, tmp_path, *model, "--arms", "file")
    assert (ran.code, ran.rows[0]["right"]) == (0, 1.0)


# What is missing is named before anything is run.


def test_a_model_that_is_not_there_ends_the_run_at_once(data, tmp_path):
    ran = bench("crosscodeeval", data, tmp_path, "--model", str(tmp_path / "absent"))
    assert (ran.code, ran.rows, ran.output.exists()) == (1, [], False)
    assert "absent" in ran.err


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--llama-server", "/no/llama-server"], "'/no/llama-server' is no program; install"),
        (["--gguf", "/no/model.gguf"], "'/no/model.gguf' is no file; give --gguf FILE"),
        ([], "as a GGUF file, which is not here. Give --gguf FILE, or --conditions without"),
    ],
)
def test_what_llama_cpp_lacks_is_named_before_anything_is_run(
    data, tmp_path, monkeypatch, options, remedy
):
    def never(*arguments, **named):
        raise AssertionError("a server was started")

    monkeypatch.setattr(longllama, "headless", never)
    program, gguf = tmp_path / "llama-server", tmp_path / "model.gguf"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    gguf.write_text("a model")
    given = ["--llama-server", str(program)] + (["--gguf", str(gguf)] if options else [])
    options = [*scripted(tmp_path), "--conditions", "all", *given, *options]
    ran = bench("crosscodeeval", data, tmp_path, *options)
    assert (ran.code, ran.out) == (1, "")
    assert remedy in ran.err
    assert not ran.output.parent.exists()
