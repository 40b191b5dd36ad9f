"""``longllama-lsp bench typing`` on a small git repository, with scripted answers."""

import json
from xml.etree import ElementTree

import pytest

from lsp_server.benchmarks.systems import longllama
from lsp_server.cli.main import main
from tests.server.benchmarks.bench_command import bench, scripted
from tests.server.benchmarks.git_repository import SHAPES, GitRepository

SCRIPT = {"text": ".side * self.side", "before": "self", "source": "shapes.py"}
HASTY = ["--slowdown", "0.1", "--characters", "45"]


def type_commits(git_dir, folder, *more):
    options = [*scripted(folder, SCRIPT), "--people", "whole", *HASTY]
    return bench("typing", git_dir, folder, *options, *more)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of one command, on a repository of three commits."""
    folder = tmp_path_factory.mktemp("typing")
    repo = GitRepository(folder / "git" / "someone+shapes" / "repo")
    repo.commit_three(other_py="x = 1\n")
    first = type_commits(folder / "git", folder)
    rows = first.rows
    return first, rows, type_commits(folder / "git", folder)


def test_every_commit_is_typed_under_both_conditions(runs):
    first, rows, _ = runs
    assert first.code == 0
    assert [row["error"] for row in rows] == [None] * 4
    sessions = {(row["condition"], row["repository"]) for row in rows}
    assert sessions == {("file", "someone/shapes"), ("repository", "someone/shapes")}
    assert {row["files"] for row in rows if row["condition"] == "repository"} == {3}
    assert {row["files"] for row in rows if row["condition"] == "file"} == {1}
    assert all(0 < row["pressed"] <= row["characters"] <= 45 for row in rows)
    assert "someone/shapes: 2 sessions" in first.err


def test_what_was_typed_is_not_typed_again(runs):
    first, rows, second = runs
    assert second.code == 0
    assert second.rows == rows
    assert second.summary["all"] == first.summary["all"]
    assert "characters saved" not in second.err


def test_the_summary_has_both_sides_and_what_they_depend_on(runs):
    summary = runs[0].summary
    sides = {side["condition"]: side for side in summary["all"]["sides"]}
    assert {name: side["sessions"] for name, side in sides.items()} == {"file": 2, "repository": 2}
    assert summary["rhythm"]["slowdown"] == 0.1
    assert set(summary["workspaces"]) == {"someone/shapes"}
    assert summary["choice"] == {"characters": 45, "seed": 1}
    assert summary["failed"] == []
    (compared,) = summary["all"]["comparisons"]
    assert (compared["of"], compared["base"]) == ("repository", "file")


def test_tables_and_picture_are_written_beside_the_summary(runs):
    first, _, _ = runs
    assert first.out == first.written(".md") + "\n"
    assert first.out.startswith("## Typing")
    assert "2 sessions of 1 repositories" in first.out
    assert "| whole | repository minus file | 2 |" in first.out
    assert ElementTree.fromstring(first.written(".svg")).tag.endswith("svg")


def test_another_command_does_not_mix_its_results_in(runs, tmp_path):
    first, rows, _ = runs
    folder = first.output.parents[1]
    other = type_commits(folder / "git", folder, "--seed", "2")
    assert other.code == 1
    assert "holds results of another run" in other.err
    assert "Name another file, or remove this one" in other.err
    assert first.rows == rows


@pytest.fixture
def no_server(monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("a server was started")

    monkeypatch.setattr(longllama, "headless", never)


@pytest.mark.usefixtures("no_server")
def test_a_folder_without_git_directories_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "shapes.py").write_text(SHAPES)
    ran = type_commits(tmp_path / "data", tmp_path)
    assert ran.code == 1
    assert f"{str(tmp_path / 'data')!r} is no git directory and holds none; give one" in ran.err


@pytest.mark.usefixtures("no_server")
def test_a_history_without_enough_to_type_is_refused(tmp_path):
    repo = GitRepository(tmp_path / "shapes")
    repo.commit(shapes_py=SHAPES)
    repo.commit(shapes_py=SHAPES + "\nx = 1\n")
    ran = type_commits(repo.folder, tmp_path)
    assert ran.code == 1
    assert "no commit of these repositories adds 40 characters of code" in ran.err
    assert not ran.output.parent.exists()


@pytest.mark.usefixtures("no_server")
def test_llama_cpp_is_missed_before_histories_are_read(tmp_path):
    ran = type_commits(tmp_path / "absent", tmp_path, "--conditions", "llama.cpp")
    assert ran.code == 1
    assert "Give --gguf FILE" in ran.err


@pytest.mark.usefixtures("no_server")
def test_an_impossible_slowdown_is_named_before_histories_are_read(tmp_path):
    ran = type_commits(tmp_path / "absent", tmp_path, "--slowdown", "0")
    assert ran.code == 1
    assert "a slowdown of 0.0 is impossible" in ran.err


@pytest.mark.usefixtures("no_server")
def test_unknown_people_are_named_with_those_that_are_known(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["bench", "typing", str(tmp_path), "--people", "everybody"])
    assert "'everybody' is no such person; known: whole, word" in capsys.readouterr().err


def test_the_first_line_of_results_describes_the_run(runs):
    lines = runs[0].output.with_suffix(".jsonl").read_text().splitlines()
    described = json.loads(lines[0])["run"]
    assert described["model"].startswith("script:")
    assert described["workspaces"] == runs[0].summary["workspaces"]
