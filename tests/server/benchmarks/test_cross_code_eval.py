"""CrossCodeEval on the real server: data, removal of answers, scores, statistics, resumed runs."""

import argparse
import json
import os
import shutil
import signal
from collections import Counter
from dataclasses import replace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.research.evaluation.bootstrap import Interval
from lsp_server.benchmarks import cross_code_eval, machine, server_run
from lsp_server.benchmarks.cross_code_eval import by_repository, choose, merged
from lsp_server.benchmarks.instances import Instance, load
from lsp_server.benchmarks.rows import Row, RowFile
from lsp_server.benchmarks.scores import first_line, identifiers, score
from lsp_server.benchmarks.summary import (
    as_markdown,
    mean,
    paired,
    published_runs,
    summarise,
    times,
)
from lsp_server.benchmarks.workspaces import (
    Leak,
    copy_tree,
    leak_of_document,
    leaks,
    passages,
    without_answers,
)
from lsp_server.cli.main import main

USES = """from shapes import Square


def measure(side):
    square = Square(side)
    area = square.area_in_metres()
    edge = square.edge_in_metres()
    return area, edge
"""
SHAPES = """class Square:
    def __init__(self, side):
        self.side = side

    def area_in_metres(self):
        return self.side**2

    def edge_in_metres(self):
        return self.side
"""
ANSWERS = ("square.area_in_metres()", "square.edge_in_metres()")
RUN = {"model": "tiny"}
TINY = ["--model", "tiny", "--settings", '{"model": {"threads": 1}, "memory": {"persist": false}}']


def row_of(text, answer, **fields):
    return {
        "instance_id": f"python/{answer[:14]}",
        "source": "someone/shapes",
        "repository": "someone-shapes-1234567",
        "commit": "1234567",
        "file": "uses.py",
        "offset": text.index(answer),
        "length": len(answer),
        "ground_truth": answer,
        **fields,
    }


@pytest.fixture
def data(tmp_path):
    """A rebuilt benchmark: one repository of two files, two answers in one of them."""
    folder = tmp_path / "data"
    tree = folder / "repos" / "someone-shapes-1234567"
    tree.mkdir(parents=True)
    (tree / "uses.py").write_text(USES)
    (tree / "shapes.py").write_text(SHAPES)
    marks = ({"published_3b": True, "published_14b": True}, {"published_3b": None})
    rows = [row_of(USES, answer, **mark) for answer, mark in zip(ANSWERS, marks, strict=True)]
    (folder / "instances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def instances(data):
    return load(data)


# Instances.


def test_a_rebuilt_instance_is_a_cursor_in_its_file(instances):
    first, second = instances
    assert (first.before + first.answer + first.after, first.answer) == (USES, ANSWERS[0])
    assert first.before.endswith("    area = ")
    assert second.after == "\n    return area, edge\n"
    assert first.published_results == {"3b": True, "14b": True}


def test_the_published_form_is_a_file_without_its_repository(tmp_path):
    metadata = {
        "task_id": "project_cc_python/62",
        "repository": "a-b-1",
        "file": "x/y.py",
        "groundtruth_start_lineno": 2,
    }
    row = {"prompt": "x = ", "groundtruth": "f(1)", "right_context": "\n", "metadata": metadata}
    path = tmp_path / "line_completion.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (instance,) = load(path)
    assert instance == Instance("project_cc_python/62", "a-b-1", "x/y.py", "x = ", "f(1)", "\n")
    assert load(tmp_path) == [instance]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"file": "../outside.py"}, "'../outside.py' is no path in a repository"),
        ({"file": "/etc/passwd"}, "'/etc/passwd' is no path in a repository"),
        ({"repository": ".."}, "'..' is no repository's name"),
        ({"offset": 3}, "is not at 3 of 'uses.py'"),
        ({"offset": -1}, "is not at -1"),
        ({"file": "absent.py"}, "No such file"),
        ({"length": None}, "is no instance"),
    ],
)
def test_data_that_is_wrong_is_named_by_file_and_line(data, changed, said):
    rows = [row_of(USES, ANSWERS[0]), row_of(USES, ANSWERS[1]) | changed]
    (data / "instances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"instances\.jsonl:2 is no instance") as raised:
        load(data)
    assert said in str(raised.value)


@pytest.mark.parametrize("line", ["{", "[]", "3"])
def test_lines_that_are_no_objects_are_refused(tmp_path, line):
    path = tmp_path / "x.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"x\.jsonl:1 is no JSON"):
        load(path)


def test_a_folder_without_a_benchmark_says_what_it_should_hold(tmp_path):
    with pytest.raises(ValueError, match=r"holds no benchmark; give .*instances\.jsonl"):
        load(tmp_path)


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
    assert [each.file for each in by_repository(every)["r"]] == ["0.py"] * 3 + ["1.py"] * 3


# Removal of answers.


def test_every_answer_is_cut_out_of_the_workspace(instances, tmp_path):
    target = tmp_path / "ws"
    copy_tree(instances[0].tree, target, instances)
    cut = (target / "uses.py").read_text()
    assert cut == USES.replace(ANSWERS[0], "").replace(ANSWERS[1], "")
    assert (target / "shapes.py").read_text() == SHAPES
    assert leaks(target, instances) == []


def test_copies_of_the_file_lose_their_answers_too(instances, tmp_path):
    tree, target = instances[0].tree, tmp_path / "ws"
    (tree / "build").mkdir()
    shutil.copy(tree / "uses.py", tree / "build" / "copy.py")
    copy_tree(tree, target, instances)
    assert "square.area_in_metres()" not in (target / "build" / "copy.py").read_text()


def test_a_planted_answer_is_found_in_every_file(instances, tmp_path):
    target = tmp_path / "ws"
    copy_tree(instances[0].tree, target, instances)
    (target / "notes").mkdir()
    (target / "notes" / "old.txt").write_text(f"# before\n{USES}")
    (target / "uses.py").write_text(without_answers(instances[0], [instances[0]]))  # one is back
    assert set(leaks(target, instances)) == {
        Leak(instances[0].id, "notes/old.txt"),
        Leak(instances[1].id, "notes/old.txt"),
        Leak(instances[1].id, "uses.py"),
    }


def test_an_answer_in_the_opened_document_is_a_leak(instances):
    first = instances[0]
    assert leak_of_document(first, instances, first.opened) is None
    assert leak_of_document(first, instances, USES) == Leak(first.id, "uses.py, as it is opened")


def test_the_same_words_elsewhere_are_no_leak(instances, tmp_path):
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "other.py").write_text("def f(square):\n    area = square.area_in_metres()\n")
    assert leaks(folder, instances) == []


def test_a_link_out_of_the_repository_is_not_followed(instances, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(USES)
    path = instances[0].tree / "uses.py"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(ValueError, match=r"'uses\.py' is a link that leads out"):
        copy_tree(instances[0].tree, tmp_path / "ws", instances)
    assert outside.read_text() == USES


@given(st.text("ab\n", max_size=60), st.lists(st.integers(0, 60), max_size=8, unique=True))
def test_cutting_leaves_what_is_outside_of_the_answers(text, cuts):
    cuts = sorted(cut for cut in cuts if cut <= len(text))
    spans = [span for span in zip(cuts[::2], cuts[1::2], strict=False)]
    every = [
        Instance(str(n), "r", "f.py", text[:start], text[start:end], text[end:])
        for n, (start, end) in enumerate(spans)
    ]
    kept = "".join(c for n, c in enumerate(text) if not any(a <= n < b for a, b in spans))
    for instance in every:
        assert without_answers(instance, every) == kept
    for passage, instance in zip(passages(every), every, strict=True):
        assert passage.with_answer in text
        assert passage.without_answer in kept
        assert instance.before.endswith(passage.before)


# Scores.


@pytest.mark.parametrize(
    ("suggestion", "answer", "right", "similarity", "names", "f1"),
    [
        ("run(x)", "run(x)", 1, 1.0, 1, 1.0),
        ("  run(x)  \nrun(y)", "run(x)", 1, 1.0, 1, 1.0),  # the first line, blanks aside
        ("\n\n    run(x)\n", "run(x)", 1, 1.0, 1, 1.0),
        ("run( x)", "run(x)", 0, 12 / 13, 1, 1.0),  # blanks inside count
        ("", "run(x)", 0, 0.0, 0, 0.0),
        ("run(y)", "run(x)", 0, 10 / 12, 0, 0.5),
        ("f(a, b)", "f(b, a, c)", 0, 2 * 6 / 17, 0, 2 * 3 / 7),
        ("abcd", "bcde", 0, 0.75, 0, 0.0),
    ],
)
def test_scores_are_as_counted_by_hand(suggestion, answer, right, similarity, names, f1):
    found = score(suggestion, answer)
    assert (found.right, found.identifier_match) == (right, names)
    assert found.edit_similarity == pytest.approx(similarity)
    assert found.identifier_f1 == pytest.approx(f1)


def test_identifiers_are_neither_keywords_nor_words_of_strings_and_comments():
    assert identifiers('return f(\'a b\', "c\\" d", x1) if y else None  # why') == ["f", "x1", "y"]
    assert identifiers("größe(über) // was") == ["größe", "über"]


@given(st.text(), st.text())
def test_scores_lie_between_nothing_and_all(suggestion, answer):
    found = score(suggestion, answer)
    for value in vars(found).values():
        assert 0 <= value <= 1
    if first_line(suggestion) == first_line(answer):
        assert set(vars(found).values()) == {1.0}


# Statistics.


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


def test_a_summary_says_what_was_asked_and_what_failed(instances):
    rows = [
        Row(instances[0].id, "r", "file", "c1", suggestion="x", confidence=0.25),
        Row(instances[1].id, "r", "file", "c1", error="ServerGoneError: died"),
        Row(instances[0].id, "r", "repository", "c1", suggestion="x", right=1.0, confidence=0.75),
        Row(instances[1].id, "r", "repository", "c2", suggestion=""),
    ]
    about = {"model": "m", "weights_sha256": None, "settings": {}, "machine": machine.machine()}
    found = summarise(rows, instances, about)
    assert found["all"]["conditions"]["file"]["right"]["mean"] == 0.0
    assert found["all"]["conditions"]["file"]["failed"] == 1
    assert found["all"]["conditions"]["repository"]["suggested"]["mean"] == 0.5
    assert found["all"]["conditions"]["repository"]["confidence"] == {"right": 0.75}
    pair = found["all"]["repository_minus_file"]["right"]
    assert (pair["difference"]["mean"], pair["won"], pair["lost"]) == (0.5, 1, 0)
    assert found["with_published_results"]["published"]["3b"]["mean"] == 1.0
    assert found["with_published_results"]["conditions"]["repository"]["answers"] == 1
    assert [row["instance"] for row in found["failed"]] == [instances[1].id]
    tables = as_markdown(json.loads(json.dumps(found)))
    assert "| repository | 2 | 0.500 |" in tables
    assert "+0.500, 1 won, 0 lost" in tables
    assert "counted as wrong: 1" in tables
    assert "c1, c2" in tables


# Resuming a run.


def test_rows_come_back_as_they_were_and_the_last_one_counts(tmp_path):
    path = tmp_path / "rows" / "x.jsonl"
    first = Row("i", "r", "file", "c", error="died")
    again = replace(first, error=None, right=1.0, suggestion="é\n")
    file = RowFile(path, RUN)
    file.add(first)
    file.add(replace(first, condition="repository"))
    file.add(again)
    assert RowFile(path, RUN).rows() == {
        ("i", "file"): again,
        ("i", "repository"): replace(first, condition="repository"),
    }


def test_rows_of_an_earlier_version_are_read(tmp_path):
    path = tmp_path / "x.jsonl"
    row = Row("i", "r", "file", "c", right=1.0)
    RowFile(path, RUN).add(row)
    path.write_text(path.read_text().replace('"condition"', '"arm"'))
    assert RowFile(path, RUN).rows() == {("i", "file"): row}


def test_a_row_that_a_kill_cut_short_is_asked_again(tmp_path):
    path = tmp_path / "x.jsonl"
    file = RowFile(path, RUN)
    row = Row("i", "r", "file", "c")
    file.add(row)
    file.add(replace(row, instance="j"))
    path.write_bytes(path.read_bytes()[:-9])
    again = RowFile(path, RUN)
    assert set(again.rows()) == {("i", "file")}
    again.add(replace(row, instance="k"))
    assert set(RowFile(path, RUN).rows()) == {("i", "file"), ("k", "file")}


def test_answers_of_another_model_are_not_mixed_in(tmp_path):
    RowFile(tmp_path / "x.jsonl", RUN)
    with pytest.raises(ValueError, match=r"results of another run, \{'model': 'tiny'\}; this"):
        RowFile(tmp_path / "x.jsonl", {"model": "mini"})


# Runs on the real server.


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
    pair = found["all"]["repository_minus_file"]["right"]
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

    monkeypatch.setattr(server_run, "copy_tree", copy_and_plant)
    model = scripted(tmp_path, {"text": ANSWERS[0]})
    code, rows, found = bench(data, tmp_path, *model)
    assert code == 0
    failed = [row for row in rows if row["condition"] == "repository"]
    assert len(failed) == 2
    assert all("is in planted.py" in row["error"] for row in failed)
    assert found["all"]["conditions"]["repository"]["right"]["mean"] == 0.0


def test_a_server_that_dies_costs_one_answer(data, tmp_path, monkeypatch):
    explain, n_asked = server_run.HeadlessClient.explain, [0]

    async def die_once(client):
        n_asked[0] += 1
        if n_asked[0] == 1:
            os.kill(client.process.pid, signal.SIGKILL)
        return await explain(client)

    monkeypatch.setattr(server_run.HeadlessClient, "explain", die_once)
    model = scripted(tmp_path, {"text": ANSWERS[0]})
    code, rows, _ = bench(data, tmp_path, *model)
    assert code == 0
    assert [row["error"] is None for row in rows] == [False, True, True, True]
    assert rows[0]["error"].startswith("ServerGoneError: ")


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


# The command line.


def test_settings_from_the_command_line_count_within_their_groups():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "e": 5}) == {
        "a": {"b": 1, "c": 4},
        "d": 3,
        "e": 5,
    }


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--conditions", "file,prompt", "'prompt' is no condition"),
        ("--part", "2/2", "'2/2' is no part"),
        ("--part", "x", "'x' is no part"),
        ("--settings", "[]", "'[]' is no JSON object"),
        ("--settings", "{", "'{' is no JSON"),
    ],
)
def test_options_that_are_wrong_say_what_is_right(option, value, said, capsys):
    parser = argparse.ArgumentParser()
    cross_code_eval.add_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["data", option, value])
    assert said in capsys.readouterr().err


def test_weights_in_a_file_or_folder_have_a_digest_and_names_none(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "notes.txt").write_bytes(b"anything")
    by_folder = machine.weights_digest(str(tmp_path))
    assert by_folder == machine.weights_digest(str(tmp_path / "model.safetensors"))
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert by_folder != machine.weights_digest(str(tmp_path))
    assert machine.weights_digest("mini") is None
