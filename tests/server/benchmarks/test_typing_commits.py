"""Typing: sessions from the commits of real git repositories, of hostile ones too."""

from dataclasses import replace

import pytest

from lsp_server.benchmarks.git.directories import Repository, find_repositories
from lsp_server.benchmarks.git.trees import safe_path
from lsp_server.benchmarks.typing.commits import (
    Choice,
    find_replay,
    find_replays,
    is_in_document,
    leaks,
)
from lsp_server.benchmarks.typing.run import files_below
from tests.server.benchmarks.git_repository import AREA, SHAPES, USES, GitRepository

EDGE = "    def edge_in_metres(self):\n        return 4 * self.side + 0.0\n"


@pytest.fixture
def repo(tmp_path):
    return GitRepository(tmp_path / "shapes")


@pytest.fixture
def history(repo):
    """Three commits: files, a method in one file, a function in the other."""
    return repo, repo.commit_three()


def test_a_session_is_what_a_commit_adds_to_a_file(history):
    repo, (first, second, third) = history
    replay = repo.replay()
    older, newer = replay.sessions
    assert (replay.base, older.commit, newer.commit) == (first, second, third)
    assert (older.file, older.typed) == ("shapes.py", AREA.strip())
    assert older.before == SHAPES + "\n    "
    assert older.after == "\n"
    assert older.target == SHAPES + "\n" + AREA
    assert newer.target == "import shapes\n\n\n" + USES
    assert (older.date.isoformat(), older.language) == ("2024-01-03", "python")
    assert older.id == f"someone/shapes@{second[:12]}:shapes.py"


def test_the_workspace_holds_nothing_of_the_commits(history, tmp_path):
    repo, _ = history
    replay = repo.replay()
    folder = tmp_path / "ws"
    repo.write(replay.base, folder)
    assert dict(files_below(folder)) == {
        "shapes.py": SHAPES.encode(),
        "uses.py": b"import shapes\n",
    }
    assert leaks(replay.sessions, files_below(folder)) == []


def test_a_text_that_is_planted_in_the_workspace_is_found(history):
    repo, (_, second, third) = history
    sessions = repo.replay().sessions
    files = repo.files(third)
    assert leaks(sessions, files) == [
        f"the text of {sessions[0].id} is in shapes.py",
        f"the text of {sessions[1].id} is in uses.py",
    ]
    files = repo.files(second)
    assert leaks(sessions, files) == [f"the text of {sessions[0].id} is in shapes.py"]
    planted = [("notes.txt", "  ".join(USES.split(" ")).encode())]  # with other blanks
    assert leaks(sessions, planted) == [f"the text of {sessions[1].id} is in notes.txt"]


def test_a_text_in_the_opened_document_is_found(history):
    older, _ = history[0].replay().sessions
    assert not is_in_document(older)
    assert is_in_document(replace(older, after="\n\n" + AREA))


def test_a_commit_of_two_files_gives_one_session_and_a_file_gives_one(repo):
    repo.commit(shapes_py=SHAPES, uses_py="import shapes\n")
    repo.commit(shapes_py=SHAPES + "\n" + AREA, uses_py="import shapes\n\n\n" + USES)
    third = repo.commit(shapes_py=SHAPES + "\n" + AREA + "\n" + EDGE)
    sessions = repo.replay().sessions
    assert [each.file for each in sessions] == ["uses.py", "shapes.py"]
    assert sessions[1].commit == third  # the newest one
    assert sessions[1].opened == SHAPES + "\n" + AREA + "\n    \n"


def test_the_newest_commits_are_taken(history):
    repo, (_, second, third) = history
    replay = repo.replay(n=1)
    assert (replay.base, [each.commit for each in replay.sessions]) == (second, [third])


def test_the_choice_is_the_same_every_time_and_another_with_another_seed(repo):
    places = [f"def function_{n}():\n    return {n}\n\n\n" for n in range(8)]
    more = [f"def addition_number_{n}():\n    return {n * 1111111}\n\n\n" for n in range(8)]
    repo.commit(many_py="".join(places))
    repo.commit(many_py="".join(a + b for a, b in zip(places, more, strict=True)))
    typed = {seed: repo.replay(seed=seed).sessions[0].typed for seed in range(12)}
    assert typed == {seed: repo.replay(seed=seed).sessions[0].typed for seed in range(12)}
    assert len(set(typed.values())) > 1


def test_merges_and_moved_code_are_no_sessions(history):
    repo, _ = history
    repo.git("checkout", "-q", "-b", "side", "HEAD~1")
    side = repo.commit(other_py="x = 1\n")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    repo.commit(shapes_py=SHAPES, other_py="x = 1\n" + AREA)  # moved
    sessions = repo.replay().sessions
    assert [each.file for each in sessions] == ["shapes.py", "uses.py"]
    assert side not in [each.commit for each in sessions]


def test_code_that_the_workspace_had_once_is_no_session(repo):
    first = repo.commit(shapes_py=SHAPES + "\n" + AREA, uses_py="import shapes\n")
    repo.commit(uses_py="import shapes\n\n\n" + USES)
    repo.commit(shapes_py=SHAPES)
    repo.commit(shapes_py=SHAPES + "\n" + AREA)  # is put back
    replay = repo.replay()
    assert (replay.base, [each.file for each in replay.sessions]) == (first, ["uses.py"])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("README_md", "words\n", f"words\n{USES}"),  # prose
        ("data_json", "{}\n", f"{{}}\n{USES}"),
        ("vendor__lib_py", "x = 1\n", f"x = 1\n{USES}"),
        ("app_min_js", "x = 1\n", f"x = 1\n{USES}"),
        ("marked_py", "# A tool's work. DO NOT EDIT.\n", f"# A tool's work. DO NOT EDIT.\n{USES}"),
        ("dos_py", "x = 1\r\n", "x = 1\r\n" + USES.replace("\n", "\r\n")),
        ("wide_py", "x = 1\n", f"x = 1\n{USES}y = '{'z' * 500}'\n"),
        ("binary_py", b"x = 1\n\0", f"x = 1\n{USES}".encode() + b"\0"),
        ("latin_py", b"x = '\xe9'\n", b"x = '\xe9'\n" + USES.encode()),
        ("large_py", "x = 1\n" * 40_000, "x = 1\n" * 40_000 + USES),
        ("short_py", "x = 1\n", "x = 1\nyy = 2\n"),
        ("less_py", f"x = 1\n{USES}", "x = 1\n"),
    ],
)  # fmt: skip
def test_what_nobody_types_is_left_out(repo, name, old, new):
    repo.commit(**{name.replace("app_min_js", "app.min_js"): old})
    repo.commit(**{name.replace("app_min_js", "app.min_js"): new})
    assert repo.replay() is None


def test_a_commit_of_very_many_files_is_left_out(repo):
    repo.commit(**{f"f{n}_py": "x = 1\n" for n in range(50)})
    repo.commit(**{f"f{n}_py": f"x = 1\n{USES}" for n in range(50)})
    assert repo.replay() is None


def test_long_texts_are_cut_at_a_lines_end(repo):
    lines = [f"        self.number_{n} = {n} * self.side\n" for n in range(10)]
    repo.commit(shapes_py=SHAPES)
    repo.commit(shapes_py=SHAPES + "".join(lines))
    (session,) = repo.replay(max_chars=100).sessions
    assert session.typed == "".join(lines[:2]).strip()
    assert session.typed + session.rest == "".join(lines).strip()
    assert session.opened == SHAPES + " " * 8 + "\n"


def test_a_long_line_is_cut_within(repo):
    repo.commit(shapes_py=SHAPES)
    repo.commit(shapes_py=SHAPES + "x = " + "1 + " * 50 + "1\n")
    (session,) = repo.replay(max_chars=50).sessions
    assert session.typed == ("x = " + "1 + " * 50)[:50].rstrip()
    assert session.rest.startswith(" ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (SHAPES, USES + SHAPES),
        (SHAPES, SHAPES + USES.rstrip()),
        (SHAPES.rstrip(), SHAPES + USES),
        (SHAPES, SHAPES.replace("        self.side = side\n", AREA)),
        (SHAPES, "\n\n" + USES + "\n\n" + SHAPES),
        ("x\n", USES),
    ],
)
def test_the_target_of_a_single_change_is_the_new_file(repo, old, new):
    repo.commit(shapes_py=old)
    repo.commit(shapes_py=new)
    (session,) = repo.replay(max_chars=1000).sessions
    assert session.target == new
    assert session.typed == session.typed.strip()


@pytest.mark.parametrize("choice", [{"min_chars": 0}, {"min_chars": 50, "max_chars": 49}])
def test_impossible_lengths_are_refused(choice):
    with pytest.raises(ValueError, match="give a minimum of at least 1"):
        Choice(**choice)


def test_languages_can_be_chosen(repo):
    repo.commit(a_py="x = 1\n", b_js="let x;\n")
    repo.commit(a_py=f"x = 1\n{USES}", b_js=f"let x;\n{AREA}")
    sessions = repo.replay(languages=frozenset({"javascript"})).sessions
    assert [each.language for each in sessions] == ["javascript"]


# Hostile repositories.


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"a/b.py", "a/b.py"),
        ("größe.py".encode(), "größe.py"),
        (b"../a.py", None),
        (b"a/../../b.py", None),
        (b"/etc/passwd", None),
        (b"a//b", None),
        (b"./a", None),
        (b".git/hooks/x", None),
        (b"a/.GIT/config", None),
        (b"a\\b", None),
        (b"C:x", None),
        (b"a\nb", None),
        (b"\xff", None),
        (b"", None),
        (b".", None),
    ],
)
def test_paths_that_lead_out_are_left_out(path, found):
    assert safe_path(path) == found


def test_links_and_large_files_are_not_written(repo, tmp_path):
    (tmp_path / "secret.py").write_text("secret = 1\n")
    repo.folder.joinpath("link.py").symlink_to(tmp_path / "secret.py")
    repo.folder.joinpath("folder").symlink_to(tmp_path)
    head = repo.commit(a_py="x = 1\n", big_py="x" * (1 << 20) + "yz")
    repo.write(head, tmp_path / "ws")
    assert [path for path, _ in files_below(tmp_path / "ws")] == ["a.py"]


def test_nothing_that_a_repository_names_is_run(repo, tmp_path):
    mark = tmp_path / "ran"
    script = tmp_path / "script.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    script.chmod(0o755)
    attributes = "*.py filter=evil diff=evil\n"
    (repo.folder / ".gitattributes").write_text(attributes)
    repo.commit(shapes_py=SHAPES)
    repo.commit(shapes_py=SHAPES + "\n" + AREA)
    (repo.folder / ".git" / "info").mkdir(exist_ok=True)
    (repo.folder / ".git" / "info" / "attributes").write_text(attributes)
    names = ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.evil.command")
    for name in (*names, "diff.external", "core.pager", "core.fsmonitor"):
        repo.git("config", name, str(script))
    replay = repo.replay()
    repo.write(replay.base, tmp_path / "ws")
    assert len(replay.sessions) == 1
    assert not mark.exists()


def test_a_missing_object_is_passed_over(history, tmp_path):
    repo, (first, _, _) = history
    blob = repo.git("rev-parse", f"{first}:uses.py")
    (repo.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    files = dict(repo.files(first))
    assert files == {"shapes.py": SHAPES.encode()}


# Repositories on the disk.


def test_repositories_are_found_bare_or_not_and_in_a_folder(history, tmp_path):
    repo, (_, _, third) = history
    places = tmp_path / "mirror"
    repo.git("clone", "-q", "--bare", str(repo.folder), str(places / "one+name+more" / "repo"))
    repo.git("clone", "-q", "--bare", str(repo.folder), str(places / "two+name.git"))
    repo.git("clone", "-q", str(repo.folder), str(places / "three+name"))
    (places / "empty").mkdir()
    (places / "file.txt").write_text("x")
    found = {each.name: each for each in find_repositories([places])}
    assert set(found) == {"one/name+more", "two/name", "three/name"}
    for each in found.values():
        assert find_replay(each, 1, Choice()).sessions[0].commit == third
    (single,) = find_repositories([repo.folder])
    assert single == Repository("shapes", repo.folder / ".git")
    assert find_repositories([repo.folder / ".git"])[0].name == "shapes"
    with pytest.raises(ValueError, match="two repositories are named 'shapes'"):
        find_repositories([repo.folder, repo.folder])


def test_a_folder_without_repositories_says_what_it_should_hold(tmp_path):
    with pytest.raises(ValueError, match="is no git directory and holds none; give one"):
        find_repositories([tmp_path])
    with pytest.raises(ValueError, match="is no git directory and holds none; give one"):
        find_repositories([tmp_path / "absent"])


def test_a_repository_without_commits_is_refused(repo):
    with pytest.raises(ValueError, match="has no commits"):
        repo.replay()


def test_sessions_are_spread_over_repositories(history, tmp_path):
    repo, _ = history
    repo.git("clone", "-q", str(repo.folder), str(tmp_path / "again"))
    both = find_repositories([repo.folder, tmp_path / "again"])
    lines = []
    replays = find_replays(both, 3, progress=lines.append)
    assert [len(each.sessions) for each in replays] == [2, 1]
    assert lines == ["shapes: 2 sessions", "again: 1 sessions"]
