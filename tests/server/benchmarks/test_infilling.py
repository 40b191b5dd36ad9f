"""Benchmarks of text at a cursor, on the real server."""

import json
import os
import signal
from collections import Counter

import psutil

from lsp_server.benchmarks.commands.infilling import by_workspace, choose
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.infilling import run
from lsp_server.benchmarks.systems import longllama
from lsp_server.benchmarks.workspaces.trees import copy_tree
from lsp_server.cli.main import main
from tests.server.benchmarks.small_benchmark import ANSWERS, SHAPES, USES

TINY = ["--model", "tiny", "--settings", '{"model": {"threads": 1}, "memory": {"persist": false}}']


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


def bench(data, tmp_path, *more):
    output = tmp_path / "out" / "result.json"
    code = main(["bench", "crosscodeeval", str(data), "--output", str(output), *more])
    path = output.with_suffix(".jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return code, lines[1:], json.loads(output.read_text()) if output.exists() else None


def scripted(folder, *answers):
    path = folder / "answers.json"
    path.write_text(json.dumps({"answers": list(answers)}))
    return ["--model", f"script:{path}"]


def test_both_conditions_with_a_model_that_runs(data, tmp_path, capsys):
    code, rows, found = bench(data, tmp_path, *TINY)
    assert code == 0
    assert [row["error"] for row in rows] == [None] * 4
    assert [(row["condition"], row["files"]) for row in rows] == [
        ("file", 1),
        ("file", 1),
        ("repository", 2),
        ("repository", 2),
    ]
    n_file, n_cut = len(USES), len(ANSWERS[0])  # a token of tiny is a byte
    assert {row["tokens"] for row in rows if row["condition"] == "file"} == {n_file - n_cut}
    assert {row["tokens"] for row in rows if row["condition"] == "repository"} == {
        n_file - n_cut + len(SHAPES)
    }
    assert all(row["seconds"] > 0 and row["prompt_tokens"] > 0 for row in rows)
    assert all(0 < row["confidence"] <= 1 for row in rows)
    assert found["engines"] == ["tiny (float32 on cpu)"]
    assert "| repository minus file | 2 |" in capsys.readouterr().out


def test_what_the_repository_brings_is_seen(data, tmp_path):
    # It answers from another file, and for one cursor alone.
    answer = {"text": ANSWERS[0], "before": "area = ", "source": "shapes.py"}
    code, rows, found = bench(data, tmp_path, *scripted(tmp_path, answer))
    assert code == 0
    assert [row["right"] for row in rows] == [0.0, 0.0, 1.0, 0.0]
    pair = found["all"]["differences"][0]["right"]
    assert (pair["difference"]["mean"], pair["won"], pair["lost"]) == (0.5, 1, 0)
    assert found["with_published_results"]["published"]["14b"]["mean"] == 1.0


def test_what_was_answered_is_not_asked_again(data, tmp_path):
    model = scripted(tmp_path, {"text": ANSWERS[0]})
    _, first, _ = bench(data, tmp_path, *model, "--conditions", "file", "--limit", "1")
    _, second, _ = bench(data, tmp_path, *model, "--conditions", "file")
    assert len(first) == 1
    assert second[:1] == first
    assert len(second) == 2
    _, third, _ = bench(data, tmp_path, *model, "--conditions", "file")
    assert third == second


def test_what_failed_is_asked_again(data, tmp_path):
    model = scripted(tmp_path, {"text": ANSWERS[0]})
    bench(data, tmp_path, *model, "--conditions", "file")
    path = tmp_path / "out" / "result.jsonl"
    head, first, second = path.read_text().splitlines()
    failed = json.loads(first) | {"error": "died", "right": 0.0}
    path.write_text("\n".join([head, json.dumps(failed), second]) + "\n")
    _, rows, found = bench(data, tmp_path, *model, "--conditions", "file")
    assert [row["error"] for row in rows] == ["died", None, None]
    assert found["failed"] == []
    assert found["all"]["conditions"]["file"]["answers"] == 2


def test_a_planted_answer_stops_the_repository_from_being_asked(data, tmp_path, monkeypatch):
    def copy_and_plant(tree, target, instances):
        copy_tree(tree, target, instances)
        (target / "planted.py").write_text(USES)

    monkeypatch.setattr(run, "copy_tree", copy_and_plant)
    model = scripted(tmp_path, {"text": ANSWERS[0]})
    code, rows, found = bench(data, tmp_path, *model)
    assert code == 0
    failed = [row for row in rows if row["condition"] == "repository"]
    assert len(failed) == 2
    assert all("is in planted.py" in row["error"] for row in failed)
    assert found["all"]["conditions"]["repository"]["right"]["mean"] == 0.0


def test_a_server_that_dies_costs_one_answer(data, tmp_path, monkeypatch):
    explain, n_asked = longllama.HeadlessClient.explain, [0]

    async def die_once(client):
        n_asked[0] += 1
        if n_asked[0] == 1:
            os.kill(client.process.pid, signal.SIGKILL)
        return await explain(client)

    monkeypatch.setattr(longllama.HeadlessClient, "explain", die_once)
    model = scripted(tmp_path, {"text": ANSWERS[0]})
    code, rows, _ = bench(data, tmp_path, *model)
    assert code == 0
    assert [row["error"] is None for row in rows] == [False, True, True, True]
    assert rows[0]["error"].startswith("SystemGoneError: ")


def test_a_model_that_is_not_there_ends_the_run_at_once(data, tmp_path, capsys):
    code, rows, found = bench(data, tmp_path, "--model", str(tmp_path / "absent"))
    assert (code, rows, found) == (1, [], None)
    assert "absent" in capsys.readouterr().err


def test_servers_and_engines_end_with_the_run(data, tmp_path):
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    bench(data, tmp_path, *scripted(tmp_path, {"text": "x"}))
    after = {process.pid for process in psutil.Process().children(recursive=True)}
    assert after <= before


def test_the_published_form_has_no_repository_to_ask(tmp_path, capsys):
    metadata = {"task_id": "1", "repository": "r", "file": "y.py"}
    row = {"prompt": "x = ", "groundtruth": "f(1)", "right_context": "\n", "metadata": metadata}
    path = tmp_path / "line_completion.jsonl"
    path.write_text(json.dumps(row) + "\n")
    model = scripted(tmp_path, {"text": "f(1)"})
    code, _, _ = bench(path, tmp_path, *model)
    assert code == 1
    assert "Give --conditions file" in capsys.readouterr().err
    code, rows, _ = bench(path, tmp_path, *model, "--arms", "file")
    assert (code, rows[0]["right"]) == (0, 1.0)
