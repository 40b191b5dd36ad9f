"""CrossCodeEval rebuilt from facts and real git repositories."""

import json
import shutil
import subprocess
from datetime import date

import pytest
from filelock import FileLock

from lsp_server.benchmarks.datasets import cross_code_eval, rebuilding
from lsp_server.benchmarks.datasets.rebuilding import rebuild
from lsp_server.benchmarks.git import trees
from lsp_server.benchmarks.git.directories import git_directory
from lsp_server.benchmarks.git.fetching import address, check_source
from tests.git_commands import commit_all, git

USES = "from shapes import area\n\nprint(area(2))\n"
LATER = "print('another commit')\n"
SHAPES = "def area(side):\n    return side**2\n"


def commit(folder):
    return commit_all(folder, date="2023-05-01T23:30:00-02:00")


@pytest.fixture
def work(tmp_path):
    """A repository of two commits, the first of which is wanted."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "uses.py").write_text(USES)
    (folder / "shapes.py").write_text(SHAPES)
    (folder / "near.py").symlink_to("shapes.py")
    (folder / "out.py").symlink_to("/etc/passwd")
    (folder / "up.py").symlink_to("../../secret.py")
    wanted = commit(folder)
    (folder / "uses.py").write_text(LATER)
    commit(folder)
    return folder, wanted


def fact(wanted, source="someone/shapes", repository="someone-shapes-1", **fields):
    return {
        "instance_id": f"{source}/1",
        "source": source,
        "repository": repository,
        "commit": wanted,
        "file": "uses.py",
        "offset": USES.index("area(2)"),
        "length": len("area(2)"),
        "published_3b": True,
        **fields,
    }


def write_facts(path, *facts):
    path.write_text("".join(json.dumps(each) + "\n" for each in facts))
    return path


PLACES = [
    "someone+shapes/repo",
    "someone+shapes",
    "someone+shapes.git",
    "someone/shapes",
    "someone/shapes.git",
]


@pytest.mark.parametrize("place", PLACES)
def test_git_directories_are_found_in_all_forms(tmp_path, work, place):
    bare = tmp_path / "bare" / place
    bare.parent.mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", str(work[0]), str(bare))
    assert git_directory(tmp_path / "bare", "someone/shapes") == bare
    assert git_directory(tmp_path / "bare", "someone/else") is None
    clone = tmp_path / "clone" / place
    git(tmp_path, "clone", "--quiet", str(work[0]), str(clone))
    assert git_directory(tmp_path / "clone", "someone/shapes") == clone / ".git"


@pytest.fixture
def git_directories(tmp_path, work):
    folder = tmp_path / "git"
    (folder / "someone").mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", str(work[0]), str(folder / "someone" / "shapes"))
    return folder


def test_what_is_rebuilt_can_be_read(tmp_path, work, git_directories):
    facts, output = write_facts(tmp_path / "facts.jsonl", fact(work[1])), tmp_path / "data"
    (tmp_path / "secret.py").write_text("secret = 1\n")
    said = []
    rebuilt = rebuild(facts, output, git_directories=git_directories, report=said.append)
    assert (rebuilt.instances, rebuilt.repositories, rebuilt.left_out) == (1, 1, {})
    assert said == ["someone-shapes-1: 1 instances"]
    (instance,) = cross_code_eval.load(output)
    assert (instance.answer, instance.before + instance.answer + instance.after) == (
        "area(2)",
        USES,
    )
    # Half past eleven in the evening, two hours west of Greenwich.
    assert instance.since == date(2023, 5, 2)
    assert instance.published_results == {"3b": True}
    tree = output / "repos" / "someone-shapes-1"
    assert sorted(path.name for path in tree.iterdir()) == ["near.py", "shapes.py", "uses.py"]
    assert (tree / "near.py").read_text() == SHAPES
    assert sorted(path.name for path in output.iterdir()) == [
        "commits",
        "instances.jsonl",
        "rebuild.lock",
        "repos",
    ]


def test_a_tree_that_is_there_is_kept(tmp_path, work, git_directories):
    facts, output = write_facts(tmp_path / "facts.jsonl", fact(work[1])), tmp_path / "data"
    rebuild(facts, output, git_directories=git_directories)
    wrote = (output / "instances.jsonl").read_text()
    shutil.rmtree(git_directories)
    (output / "instances.jsonl").unlink()
    assert rebuild(facts, output, git_directories=git_directories).instances == 1
    assert (output / "instances.jsonl").read_text() == wrote


def test_an_unfinished_tree_is_written_again(tmp_path, work, git_directories):
    facts, output = write_facts(tmp_path / "facts.jsonl", fact(work[1])), tmp_path / "data"
    tree = output / "repos" / "someone-shapes-1"
    tree.mkdir(parents=True)
    (tree / "uses.py").write_text("half")
    (output / "unfinished" / "someone-shapes-1").mkdir(parents=True)
    rebuild(facts, output, git_directories=git_directories)
    assert (tree / "uses.py").read_text() == USES
    (output / "commits" / "someone-shapes-1.json").write_text("{")
    (tree / "uses.py").write_text("half")
    rebuild(facts, output, git_directories=git_directories)
    assert (tree / "uses.py").read_text() == USES


def test_another_commit_replaces_the_tree(tmp_path, work, git_directories):
    output = tmp_path / "data"
    rebuild(
        write_facts(tmp_path / "old.jsonl", fact(work[1])), output, git_directories=git_directories
    )
    head = git(work[0], "rev-parse", "HEAD")
    facts = write_facts(tmp_path / "new.jsonl", fact(head, offset=0, length=5))
    rebuild(facts, output, git_directories=git_directories)
    (instance,) = cross_code_eval.load(output)
    assert instance.answer + instance.after == LATER


def test_what_is_missing_is_named_and_the_rest_goes_on(tmp_path, work, git_directories):
    facts = write_facts(
        tmp_path / "facts.jsonl",
        fact(work[1], "no/where", "a-nowhere"),
        fact("0" * 40, repository="b-no-commit"),
        fact(work[1]),
        fact(work[1], instance_id="short", offset=1000),
        fact(work[1], instance_id="absent", file="absent.py"),
    )
    rebuilt = rebuild(facts, tmp_path / "data", git_directories=git_directories)
    assert rebuilt.instances == 1
    assert set(rebuilt.left_out) == {"a-nowhere", "b-no-commit", "short", "absent"}
    assert "no git directory of no/where in" in rebuilt.left_out["a-nowhere"]
    assert rebuilt.left_out["b-no-commit"] == f"there is no commit {'0' * 40}"
    assert rebuilt.left_out["short"] == "'uses.py' ends before 1007"
    assert "No such file" in rebuilt.left_out["absent"]
    assert len(cross_code_eval.load(tmp_path / "data")) == 1
    assert not (tmp_path / "data" / "repos" / "b-no-commit").exists()


def template_of(folder):
    return f"{folder.as_uri()}/{{owner}}/{{name}}"


def test_a_commit_is_fetched_only_from_where_the_user_says(tmp_path, work, git_directories):
    facts = write_facts(tmp_path / "facts.jsonl", fact(work[1]))
    assert rebuild(facts, tmp_path / "no").instances == 0
    template = template_of(git_directories)
    rebuilt = rebuild(facts, tmp_path / "data", clone_from=template)
    assert (rebuilt.instances, rebuilt.left_out) == (1, {})
    (instance,) = cross_code_eval.load(tmp_path / "data")
    assert instance.answer == "area(2)"
    away = rebuild(facts, tmp_path / "away", clone_from=template.replace("git/", "away/"))
    assert "git: " in away.left_out["someone-shapes-1"]
    with pytest.raises(ValueError, match=r"write it with \{owner\} and \{name\}"):
        rebuild(facts, tmp_path / "data", clone_from="https://example.org/x.git")


def test_all_of_the_history_is_fetched_if_a_commit_alone_is_refused(
    tmp_path, work, git_directories, monkeypatch
):
    """Version 0 of git's protocol gives no commit that no branch ends in."""
    url = (git_directories / "someone" / "shapes").as_uri()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        git(work[0], "-c", "protocol.version=0", "fetch", "--depth=1", url, work[1])
    assert b"not our ref" in refused.value.stderr or b"unadvertised" in refused.value.stderr
    (tmp_path / "gitconfig").write_text("[protocol]\n\tversion = 0\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    facts = write_facts(tmp_path / "facts.jsonl", fact(work[1]))
    rebuilt = rebuild(facts, tmp_path / "data", clone_from=template_of(git_directories))
    assert (rebuilt.instances, rebuilt.left_out) == (1, {})


def test_programs_that_a_git_directory_names_are_not_run(tmp_path, work, git_directories):
    """Its configuration and hooks are not read; the same configuration runs in git itself."""
    folder, ran = work[0], tmp_path / "ran"
    (folder / ".gitattributes").write_text("*.py filter=evil\n")
    (folder / "uses.py").write_text(USES)
    wanted = commit(folder)
    shutil.rmtree(git_directories / "someone" / "shapes")
    directory = git_directories / "someone" / "shapes"
    git(tmp_path, "clone", "--quiet", "--bare", str(folder), str(directory))
    git(directory, "config", "filter.evil.smudge", f"touch '{ran}'; cat")
    git(directory, "archive", "--output", str(tmp_path / "x.tar"), wanted)
    assert ran.exists()
    ran.unlink()
    facts = write_facts(tmp_path / "facts.jsonl", fact(wanted))
    assert rebuild(facts, tmp_path / "data", git_directories=git_directories).instances == 1
    assert not ran.exists()


def test_a_tree_that_is_too_large_is_left_out(tmp_path, work, git_directories, monkeypatch):
    monkeypatch.setattr(trees, "MAX_TREE_BYTES", 10)
    facts = write_facts(tmp_path / "facts.jsonl", fact(work[1]))
    rebuilt = rebuild(facts, tmp_path / "data", git_directories=git_directories)
    assert "the files are larger than" in rebuilt.left_out["someone-shapes-1"]
    assert not (tmp_path / "data" / "repos" / "someone-shapes-1").exists()


def test_one_process_rebuilds_a_folder(tmp_path, work, git_directories):
    facts, output = write_facts(tmp_path / "facts.jsonl", fact(work[1])), tmp_path / "data"
    output.mkdir()
    with FileLock(output / "rebuild.lock"), pytest.raises(ValueError, match="another process"):
        rebuild(facts, output, git_directories=git_directories)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"source": "../x"}, "'../x' is no repository, as owner/name"),
        ({"source": "a/../b"}, "is no repository, as owner/name"),
        ({"source": "-u/x"}, "'-u/x' is no repository"),
        ({"commit": "--output=x"}, "'--output=x' is no commit"),
        ({"commit": "HEAD"}, "'HEAD' is no commit"),
        ({"commit": "1" * 40}, "'someone-shapes-1' is of someone/shapes at"),
        ({"repository": "../x"}, "'../x' is no repository's name"),
        ({"file": "/etc/passwd"}, "'/etc/passwd' is no path"),
        ({"offset": -1}, "no answer can be at -1"),
        ({"length": 0}, "no answer can be at"),
        ({"length": "1"}, "'length' is \"1\""),
        ({"instance_id": None}, "'instance_id' is null"),
    ],
)
def test_facts_that_are_wrong_are_named_by_file_and_line(tmp_path, changed, said):
    facts = write_facts(tmp_path / "facts.jsonl", fact("0" * 40), fact("0" * 40, **changed))
    with pytest.raises(ValueError, match=r"facts\.jsonl:2 is no fact: ") as raised:
        rebuilding.read_facts(facts)
    assert said in str(raised.value)


def test_addresses_are_those_of_the_template():
    source = check_source("some-one/sha.pes_2")
    assert address("https://example.org/{owner}/{name}.git", source) == (
        "https://example.org/some-one/sha.pes_2.git"
    )
