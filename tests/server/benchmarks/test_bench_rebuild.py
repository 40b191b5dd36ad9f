"""``longllama-lsp bench rebuild``: from facts and a git repository to data that can be run."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest

from lsp_server.benchmarks.datasets.benchmarks import BENCHMARKS
from lsp_server.cli.main import main
from tests.server.benchmarks.git_repository import GitRepository
from tests.server.benchmarks.small_benchmark import ANSWERS, SHAPES, USES, row_of


@pytest.fixture
def facts(tmp_path):
    """Facts about two answers of a repository at its first commit, and about one of another."""
    repo = GitRepository(tmp_path / "git" / "someone+shapes" / "repo")
    commit = repo.commit(uses_py=USES, shapes_py=SHAPES)
    repo.commit(uses_py="x = 1\n")
    rows = [row_of(USES, answer, commit=commit) for answer in ANSWERS]
    gone = {"instance_id": "gone", "source": "someone/gone", "repository": "someone-gone-1"}
    rows.append({**rows[0], **gone, "commit": "0" * 40})
    for row in rows:
        del row["ground_truth"]
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rebuild(facts, tmp_path, *more):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["bench", "rebuild", str(facts), "--output", str(tmp_path / "new"), *more])
    return code, out.getvalue(), err.getvalue()


def test_what_is_rebuilt_is_the_data_of_the_benchmark(facts, tmp_path):
    code, out, err = rebuild(facts, tmp_path, "--git-dirs", str(tmp_path / "git"))
    assert code == 0
    assert out == f"2 instances of 1 repositories in {tmp_path / 'new'}; 1 left out\n"
    assert err.splitlines()[0].startswith("left out someone-gone-1: no git directory of someone/g")
    assert err.splitlines()[1:] == ["someone-shapes-1234567: 2 instances"]
    found = list(BENCHMARKS["crosscodeeval"].load(tmp_path / "new"))
    assert [(each.answer, each.opened) for each in found] == [
        (answer, USES.replace(answer, "", 1)) for answer in ANSWERS
    ]
    assert (found[0].tree / "shapes.py").read_text() == SHAPES


def test_commits_are_fetched_from_an_address(facts, tmp_path):
    address = f"file://{tmp_path}/git/{{owner}}+{{name}}/repo"
    code, out, _ = rebuild(facts, tmp_path, "--clone-from", address)
    assert code == 0
    assert out.startswith("2 instances of 1 repositories")


@pytest.mark.parametrize("options", [[], ["--git-dirs", "empty"]])
def test_a_rebuild_of_nothing_fails_and_says_what_to_give(facts, tmp_path, options):
    code, out, err = rebuild(facts, tmp_path, *options)
    assert (code, out) == (1, "")
    assert "nothing was rebuilt. Give --git-dirs FOLDER with the repositories of" in err
    assert "or --clone-from URL to fetch them" in err
    assert "left out someone-shapes-1234567: " in err


def test_broken_facts_are_named_with_their_line(tmp_path):
    path = tmp_path / "facts.jsonl"
    path.write_text('{"instance_id": "x"}\n')
    code, _, err = rebuild(path, tmp_path)
    assert code == 1
    assert f"{path}:1 is no fact" in err
