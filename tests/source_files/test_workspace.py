"""Which files belong in the memory: real trees, judged one by one and all at once."""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longllama_code.source_files.ignore import IgnoreRules
from longllama_code.source_files.source_text import (
    Exclusion,
    Limits,
)
from longllama_code.source_files.workspace import Entry, Workspace

CODE = "print('hello')\n"


def write(root: Path, *names: str, text: str = CODE) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="")


def verdicts(workspace: Workspace) -> dict[str, Exclusion | None]:
    return {entry.relative: entry.exclusion for entry in workspace.scan()}


def test_scan_lists_files_with_their_reasons(tmp_path: Path) -> None:
    write(tmp_path, "b.py", "a/z.py", "a.py", ".env", "a/x.log", "a/y.png", "dist/c.py")
    write(tmp_path, "node_modules/m/index.js", ".git/config", "venv/pyvenv.cfg", "venv/v.py")
    write(tmp_path, ".gitignore", text="*.log\ndist/\n")
    scanned = verdicts(Workspace([tmp_path]))
    assert scanned == {
        ".env": Exclusion.SECRET,
        ".gitignore": None,
        "a/x.log": Exclusion.IGNORED,
        "a/y.png": Exclusion.UNKNOWN_TYPE,
        "a/z.py": None,
        "a.py": None,
        "b.py": None,
    }
    assert list(scanned) == sorted(scanned, key=lambda name: name.split("/"))


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.py")
    assert verdicts(Workspace([tmp_path])) == {}


def test_an_entry_tells_size_and_time(tmp_path: Path) -> None:
    write(tmp_path, "a/b.py")
    os.utime(tmp_path / "a/b.py", ns=(1, 123_456_789_000))
    path = tmp_path / "a" / "b.py"
    expected = Entry(path, "a/b.py", None, len(CODE), 123_456_789_000, has_rested=True)
    workspace = Workspace([tmp_path])
    assert workspace.entry(path) == expected
    assert list(workspace.scan()) == [expected]


def test_entry_of_what_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, "root/a.py", "outside.py")
    root = tmp_path / "root"
    workspace = Workspace([root])
    absent = [root / "gone.py", root / "a.py" / "b.py", tmp_path / "outside.py", root]
    assert [workspace.entry(path) for path in absent] == [None] * 4


def test_an_entry_in_an_ignored_folder_is_ignored(tmp_path: Path) -> None:
    write(tmp_path, "node_modules/m/index.js")
    entry = Workspace([tmp_path]).entry(tmp_path / "node_modules/m/index.js")
    assert entry is not None
    assert entry.exclusion == Exclusion.IGNORED


def test_rules_and_limits_are_passed_on(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "b.py", "sub/c.py")
    write(tmp_path, "large.py", text=CODE * 2)
    rules = partial(IgnoreRules, exclude=("b.py",))
    workspace = Workspace([tmp_path], rules=rules, limits=Limits(max_file_bytes=len(CODE)))
    assert verdicts(workspace) == {
        "a.py": None,
        "b.py": Exclusion.IGNORED,
        "large.py": Exclusion.TOO_LARGE,
        "sub/c.py": None,
    }


def test_the_deepest_root_owns_a_file(tmp_path: Path) -> None:
    inner = tmp_path / "node_modules" / "inner"
    write(tmp_path, "a.py", "node_modules/inner/b.py", "node_modules/c.py")
    workspace = Workspace([tmp_path, inner])
    assert workspace.roots == (tmp_path, inner)
    assert [entry.relative for entry in workspace.scan()] == ["a.py", "b.py"]
    assert [entry.path for entry in workspace.scan()] == [tmp_path / "a.py", inner / "b.py"]
    assert not workspace.ignores_folder(inner)
    workspace.remove(inner)
    assert verdicts(workspace) == {"a.py": None}
    assert workspace.ignores_folder(inner)


def test_a_root_may_come_into_being_later(tmp_path: Path) -> None:
    workspace = Workspace()
    workspace.add(tmp_path / "later")
    assert verdicts(workspace) == {}
    write(tmp_path, "later/a.py")
    assert verdicts(workspace) == {"a.py": None}


def test_ignores_folder(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", text="build/\n")
    workspace = Workspace([tmp_path])
    folders = ["src", "src/deep", "build", "build/deep", "node_modules/m/lib", ".git"]
    ignored = [workspace.ignores_folder(tmp_path / folder) for folder in folders]
    assert ignored == [False, False, True, True, True, True]
    assert workspace.ignores_folder(tmp_path.parent / "other")
    assert not workspace.ignores_folder(tmp_path)


@pytest.fixture
def links(tmp_path: Path) -> Iterator[Path]:
    """A root with links of every kind in it."""
    root = tmp_path / "root"
    write(tmp_path, "outside/o.py", "root/real.py", "root/.env", "root/dist/d.py", "root/sub/s.py")
    write(root, ".gitignore", text="dist/\n")
    for name, target in {
        "inside.py": "real.py",
        "sub/up.py": "../real.py",
        "outside.py": "../outside/o.py",
        "innocent.py": ".env",
        "from_dist.py": "dist/d.py",
        "nowhere.py": "gone.py",
        "itself.py": "itself.py",
        "sub/loop": "..",
        "folder": "../outside",
    }.items():
        (root / name).symlink_to(target)
    return root


def test_links(links: Path) -> None:
    assert verdicts(Workspace([links])) == {
        ".env": Exclusion.SECRET,
        ".gitignore": None,
        "from_dist.py": Exclusion.IGNORED,
        "innocent.py": Exclusion.SECRET,
        "inside.py": None,
        "outside.py": Exclusion.SYMLINK_OUTSIDE,
        "real.py": None,
        "sub/s.py": None,
        "sub/up.py": None,
    }


@pytest.fixture
def nothing_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is looked at twice may come to rest in between."""
    monkeypatch.setattr("longllama_code.source_files.workspace._TIME_STEP_NS", 1 << 62)


@pytest.mark.usefixtures("nothing_rests")
def test_links_one_by_one(links: Path) -> None:
    workspace = Workspace([links])
    assert [workspace.entry(entry.path) for entry in workspace.scan()] == list(workspace.scan())
    never_scanned = ["nowhere.py", "itself.py", "sub/loop", "sub/loop/real.py", "folder/o.py"]
    assert [workspace.entry(links / name) for name in never_scanned] == [None] * 5


def test_a_root_may_be_a_link(links: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("root")
    workspace = Workspace([tmp_path / "link"])
    assert verdicts(workspace) == verdicts(Workspace([links]))
    time.sleep(0.06)  # until the last change is one of the past
    assert [workspace.entry(entry.path) for entry in workspace.scan()] == list(workspace.scan())


def test_the_name_of_the_root_counts_for_secrets(tmp_path: Path) -> None:
    write(tmp_path, ".aws/config.ini")
    assert verdicts(Workspace([tmp_path / ".aws"])) == {"config.ini": Exclusion.SECRET}


def test_a_name_that_is_not_text_is_excluded(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.py")
    path.write_text(CODE)
    assert [entry.exclusion for entry in Workspace([tmp_path]).scan()] == [Exclusion.NOT_UTF8]


def refuse(method: Callable[..., object], forbidden: Path) -> Callable[..., object]:
    """Lets nobody touch one path: file modes would not stop the super-user."""

    def guarded(path: Path, *args: object, **kwargs: object) -> object:
        if path == forbidden:
            raise PermissionError(13, "forbidden", str(path))
        return method(path, *args, **kwargs)

    return guarded


@pytest.mark.parametrize(("owner", "name"), [(os, "open"), (Path, "stat")])
def test_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    write(tmp_path, "a.py", "b.py")
    monkeypatch.setattr(owner, name, refuse(getattr(owner, name), tmp_path / "a.py"))
    workspace = Workspace([tmp_path])
    assert verdicts(workspace) == {"a.py": Exclusion.UNREADABLE, "b.py": None}
    assert workspace.entry(tmp_path / "a.py") == next(workspace.scan())


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a/x.py", "b.py")
    monkeypatch.setattr(os, "scandir", refuse(os.scandir, tmp_path / "a"))
    assert verdicts(Workspace([tmp_path])) == {"a": Exclusion.UNREADABLE, "b.py": None}


names = st.sampled_from(
    ["a", "b", "a.py", ".env", "x.log", "i.png", "dist", "node_modules", "é.md"]
)
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=4).map(tuple),
    st.sampled_from(["", CODE, "#!/bin/sh\n", "\0", "*.log\n", "link: a", "link: ../a.py"]),
    max_size=25,
)
rules = st.sampled_from(["", "*.log\n", "dist\n!a/dist\n", "*\n!*/\n!*.py\n", "/a/\n"])


def plant(root: Path, tree: dict[tuple[str, ...], str]) -> None:
    """Make the files and links of a tree, less those that an earlier one stands in the way of."""
    for parts, text in tree.items():
        path = root.joinpath(*parts)
        above = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
        if path.exists() or path.is_symlink() or any(p.is_symlink() or p.is_file() for p in above):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("link: "):
            path.symlink_to(text.removeprefix("link: "))
        else:
            path.write_text(text)


@pytest.mark.usefixtures("nothing_rests")
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=trees, top=rules, below=rules)
def test_scan_and_entry_agree(
    tmp_path_factory: pytest.TempPathFactory,
    tree: dict[tuple[str, ...], str],
    top: str,
    below: str,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    write(root, ".gitignore", text=top)
    write(root, "a/.gitignore", text=below)
    plant(root, tree)
    workspace = Workspace([root, root / "b"])
    scanned = {entry.path: entry for entry in workspace.scan()}
    for path in root.rglob("*"):
        entry = workspace.entry(path)
        if path in scanned or entry is None:
            assert entry == scanned.get(path)
        else:
            assert entry.exclusion == Exclusion.IGNORED
            assert workspace.ignores_folder(path.parent)


def test_the_part_of_a_name_that_tells_folders_apart(tmp_path: Path) -> None:
    one, two, twin = tmp_path / "one", tmp_path / "two", tmp_path / "far" / "one"
    file = one / "one" / "a.py"
    assert Workspace([one]).folder_in_name(file) == ""
    assert Workspace([one, two]).folder_in_name(file) == "one/"
    assert Workspace([one, two, twin]).folder_in_name(file) == f"{one.as_posix()}/"
    assert Workspace([one, one / "one"]).folder_in_name(one / "b.py") == f"{one.as_posix()}/"
    assert Workspace([two, twin]).folder_in_name(file) == ""  # outside of all


def test_what_never_holds_source_is_not_even_left_out(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: ../main/.git/worktrees/here\n")
    (tmp_path / "a.py").write_text("a = 1\n")
    workspace = Workspace([tmp_path])
    assert verdicts(workspace) == {"a.py": None}
    assert workspace.entry(tmp_path / ".git") is None
