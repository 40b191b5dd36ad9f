"""Git directories of somebody else: read whatever form they have, and nothing of theirs is run."""

import subprocess

import pytest

from lsp_server.benchmarks.git.borrowing import borrowed, head
from lsp_server.benchmarks.git.directories import find_repositories, git_directory
from lsp_server.benchmarks.git.history import commit_time, opened
from lsp_server.benchmarks.git.running import GitError
from lsp_server.benchmarks.git.trees import read_files, write_tree
from tests.git_commands import commit_all, git

LIMIT = 1000


def commit(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    return commit_all(folder)


def commit_of(folder, entries):
    """Return a commit whose tree is as given, however broken."""
    tree = git(folder, "mktree", "--missing", given=entries.encode())
    return git(folder, "commit-tree", "-m", "x", tree)


def blob(folder, text):
    return git(folder, "hash-object", "-w", "--stdin", given=text.encode())


def written(directory, wanted, target):
    with borrowed(directory, wanted) as repository:
        missing = write_tree(repository, wanted, target, LIMIT)
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*")), missing


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return folder


@pytest.fixture
def commits(work):
    return commit(work, a="x = 1\n"), commit(work, a="x = 1\ny = 2\n", b="z = 3\n")


@pytest.mark.parametrize(
    "form", [("--version",), ("pack-refs", "--all"), ("checkout", "--detach"), ("gc", "--quiet")]
)
def test_the_head_is_read_in_every_form(work, commits, form):
    git(work, *form)
    assert head(work / ".git") == commits[1]
    with opened(work / ".git") as history:
        (newest,) = history.commits(10)
        assert (newest.id, newest.parent) == (commits[1], commits[0])
        assert newest.date.isoformat() == "2023-05-01"
        (file,) = history.modified_files(newest, 10)
        assert (file.path, history.text(file.new_blob, LIMIT)) == ("a.py", "x = 1\ny = 2\n")
        assert history.text(file.new_blob, 3) is None
        (hunk,) = history.hunks(newest, "a.py")
        assert (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count) == (1, 0, 1, 1)
        found = dict(read_files(history.repository, newest.id, LIMIT))
        assert found == {"a.py": b"x = 1\ny = 2\n", "b.py": b"z = 3\n"}


def test_a_worktree_is_read(tmp_path, work, commits):
    git(work, "worktree", "add", "--quiet", str(tmp_path / "old"), commits[0])
    (found,) = find_repositories([tmp_path / "old"])
    assert (found.name, head(found.git_dir)) == ("old", commits[0])
    assert written(found.git_dir, commits[1], tmp_path / "out") == (["a.py", "b.py"], [])


def test_a_shallow_copy_is_read_up_to_its_end(tmp_path, work, commits):
    git(work, "commit", "--quiet", "--allow-empty", "--message", "x")
    git(tmp_path, "clone", "--quiet", "--depth=2", work.as_uri(), "copy")
    with opened(tmp_path / "copy" / ".git") as history:
        (newest,) = history.commits(10)
        assert newest.parent == commits[1]


def test_longer_hashes_are_read(tmp_path):
    git(tmp_path, "init", "--quiet", "--object-format=sha256")
    wanted = commit(tmp_path, a="x = 1\n")
    assert (len(wanted), head(tmp_path / ".git")) == (64, wanted)
    assert written(tmp_path / ".git", wanted, tmp_path / "out") == (["a.py"], [])


def test_nothing_of_the_directory_is_run_and_its_configuration_is_not_read(tmp_path, work, commits):
    ran = tmp_path / "ran"
    config = work / ".git" / "config"
    config.write_text(f"[core]\n\tfsmonitor = touch {ran}\n[broken\n")
    with pytest.raises(subprocess.CalledProcessError):
        git(work, "log")
    with opened(work / ".git") as history:
        assert len(list(history.commits(10))) == 1
        assert commit_time(history.repository, commits[0]).isoformat().startswith("2023-05-01T12")
        with pytest.raises(GitError, match="there is no commit 0000"):
            commit_time(history.repository, "0" * 40)
    assert written(work / ".git", commits[1], tmp_path / "out") == (["a.py", "b.py"], [])
    assert not ran.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ref: refs/heads/absent\n",
        "ref: refs/../../secret\n",
        "ref: ../secret\n",
        "ref: refs/heads/a/../../../secret\n",
        "ref: refs/heads/loop\n",
        "--output=x\n",
    ],
)
def test_a_head_that_names_no_branch_is_refused(work, commits, text):
    (work / "secret").write_text(commits[0])
    (work / ".git" / "secret").write_text(commits[0])
    (work / ".git" / "refs" / "heads" / "loop").write_text("ref: refs/heads/loop\n")
    (work / ".git" / "HEAD").write_text(text)
    with pytest.raises(GitError, match="has no commits"):
        head(work / ".git")


def test_a_link_to_itself_is_no_git_directory(tmp_path):
    place = tmp_path / "someone+shapes"
    place.mkdir()
    for named in ("gitdir: .git", "gitdir: ", "x", "gitdir: /dev/null", "gitdir: a\0b"):
        (place / ".git").write_text(named)
        assert git_directory(tmp_path, "someone/shapes") is None


def test_links_lead_nowhere_else_when_all_are_written(tmp_path, work):
    """Each of the two may lead inside while the other is not there yet."""
    (tmp_path / "x").write_text("secret")
    deep = work / "a" / "b" / "c"
    (deep / "d").mkdir(parents=True)
    (work / "top").mkdir()
    (work / "top" / "f.py").write_text("x = 1\n")
    (deep / "d").rmdir()
    (deep / "d").symlink_to("../../../top")
    (deep / "again").symlink_to("d/../../x")
    (deep / "near").symlink_to("d/f.py")
    (deep / "absolute").symlink_to(tmp_path / "x")
    (deep / "self").symlink_to("self")
    wanted = commit(work)
    target = tmp_path / "out"
    written(work / ".git", wanted, target)
    links = {path.name for path in target.rglob("*") if path.is_symlink()}
    assert {"d", "near"} <= links <= {"d", "near", "self"}
    assert (target / "a" / "b" / "c" / "near").read_text() == "x = 1\n"


def test_nothing_is_written_through_a_link_of_the_tree(tmp_path, work):
    inner = git(work, "mktree", given=f"100644 blob {blob(work, 'x')}\tf.py\n".encode())
    out = blob(work, str(tmp_path))
    both = f"120000 blob {out}\ta\n040000 tree {inner}\ta\n"
    written(work / ".git", commit_of(work, both), tmp_path / "out")
    assert not (tmp_path / "f.py").exists()
    assert (tmp_path / "out" / "a" / "f.py").read_text() == "x"


def test_what_is_too_large_or_missing_is_left_out(tmp_path, work, commits):
    absent = "1" * 40
    large = blob(work, "x" * (LIMIT + 1))
    wanted = commit_of(
        work,
        f"100644 blob {absent}\tabsent.py\n100644 blob {blob(work, 'x')}\tb.py\n"
        f"100644 blob {large}\tlarge.py\n160000 commit {commits[0]}\tmodule\n",
    )
    assert written(work / ".git", wanted, tmp_path / "out") == (["b.py"], ["absent.py"])


@pytest.mark.parametrize("end", [0, 10, 200])
def test_a_broken_object_is_an_error_or_missing(tmp_path, work, end):
    text = "".join(f"{n} = {n * n}\n" for n in range(60))
    wanted = commit(work, a="x = 1\n", b=text)
    name = blob(work, text)
    path = work / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:end])
    if end > 100:
        with pytest.raises(GitError, match="git cannot read 'b"):
            written(work / ".git", wanted, tmp_path / "out")
    else:
        assert written(work / ".git", wanted, tmp_path / "out") == (["a.py"], ["b.py"])
