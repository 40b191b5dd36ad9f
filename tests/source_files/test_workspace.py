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
from longllama_code.source_files.workspace import (
    Entry,
    Exclusion,
    Limits,
    SourceError,
    Workspace,
    classify,
    language_of,
    read_source,
)

CODE = "print('hello')\n"


def write(root: Path, *names: str, text: str = CODE) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", newline="")


def verdicts(workspace: Workspace) -> dict[str, Exclusion | None]:
    return {entry.relative: entry.exclusion for entry in workspace.scan()}


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Makes one file and returns its path."""

    def make(content: bytes, name: str = "a.py") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "python"),
        ("A.PY", "python"),
        ("a.d.ts", "typescript"),
        ("a.tsx", "typescriptreact"),
        ("a.h", "c"),
        ("Makefile", "makefile"),
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.dev", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("notes.txt", "plaintext"),
        ("LICENSE", "plaintext"),
        (".bashrc", "shellscript"),
        (".gitignore", "ignore"),
        ("go.mod", "go.mod"),
        ("a.mod", None),
        ("a.png", None),
        ("a.", None),
        ("unknown", None),
    ],
)
def test_language_of(name: str, language: str | None) -> None:
    assert language_of(name) == language


@pytest.mark.parametrize(
    ("name", "content", "exclusion"),
    [
        ("a.py", b"x = 1\n", None),
        ("Makefile", b"all:\n", None),
        ("script", b"#!/bin/sh\n", None),
        ("script", b"echo\n", Exclusion.UNKNOWN_TYPE),
        ("a.unknown", b"#!/bin/sh\n", Exclusion.UNKNOWN_TYPE),
        ("a.png", b"\x89PNG\0", Exclusion.UNKNOWN_TYPE),
        ("a.py", b"", Exclusion.EMPTY),
        ("script", b"", Exclusion.EMPTY),
        ("a.py", b"x\0y", Exclusion.BINARY),
        ("a.py", "x".encode("utf-16"), Exclusion.BINARY),
        ("a.py", "é".encode("latin-1"), Exclusion.NOT_UTF8),
        ("a.py", "é".encode()[:1], Exclusion.NOT_UTF8),
        ("a.py", b"x" * 5_000 + b"\n", None),
        ("a.py", b"x" * 5_001, Exclusion.GENERATED),
        ("a.py", b"x = 1\r" * 5_001, None),
        ("a.py", b"x = 1\n" + b"x" * 5_001 + b"\r", Exclusion.GENERATED),
        ("a.py", "é".encode() * 3_000, None),
        ("a.min.js", b"x\n", Exclusion.GENERATED),
        ("package-lock.json", b"{}\n", Exclusion.GENERATED),
        ("Cargo.lock", b"x\n", Exclusion.GENERATED),
        ("uv.lock", b"x\n", Exclusion.GENERATED),
        ("package.json", b"{}\n", None),
        ("a.py", b"x\n" * 256 * 1024, None),
        ("a.py", b"x\n" * 256 * 1024 + b"y", Exclusion.TOO_LARGE),
        # A character that the end of the first kilobytes cuts in two.
        ("a.py", b"#\n" * 4095 + b"\n" + "é".encode() * 9, None),
    ],
)
def test_classify(
    source: Callable[..., Path], name: str, content: bytes, exclusion: Exclusion | None
) -> None:
    assert classify(source(content, name)) == exclusion


def test_limits_are_limits(source: Callable[..., Path]) -> None:
    path = source(b"12345\n1234\n")
    assert classify(path, Limits(max_file_bytes=11, max_line_chars=5)) is None
    assert classify(path, Limits(max_file_bytes=10)) == Exclusion.TOO_LARGE
    assert classify(path, Limits(max_line_chars=4)) == Exclusion.GENERATED


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.py")
    assert classify(tmp_path / "a.py") == Exclusion.UNREADABLE
    assert verdicts(Workspace([tmp_path])) == {}


def test_an_exclusion_is_its_name_and_explains_itself() -> None:
    assert Exclusion.TOO_LARGE == "too_large"
    assert Exclusion("too_large") is Exclusion.TOO_LARGE
    assert len({exclusion.text for exclusion in Exclusion}) == len(Exclusion)


def test_read_source_keeps_line_ends_and_drops_the_byte_order_mark(
    source: Callable[..., Path],
) -> None:
    assert read_source(source(b"\xef\xbb\xbfa\r\nb\rc\n")) == "a\r\nb\rc\n"


@pytest.mark.parametrize(
    ("tail", "exclusion"),
    [
        (b"\0", Exclusion.BINARY),
        (b"\xe9", Exclusion.NOT_UTF8),
        (b"x" * 5_001, Exclusion.GENERATED),
    ],
)
def test_read_source_finds_what_the_beginning_does_not_show(
    source: Callable[..., Path], tail: bytes, exclusion: Exclusion
) -> None:
    path = source(b"x\n" * 5_000 + tail)
    assert classify(path) is None
    with pytest.raises(SourceError, match=r"a\.py .*") as caught:
        read_source(path)
    assert caught.value.exclusion == exclusion


@pytest.mark.parametrize(
    ("name", "content", "exclusion"),
    [("a.py", b"", Exclusion.EMPTY), ("a.bin", b"x", Exclusion.UNKNOWN_TYPE)],
)
def test_read_source_refuses_what_classify_excludes(
    source: Callable[..., Path], name: str, content: bytes, exclusion: Exclusion
) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(source(content, name))
    assert caught.value.exclusion == exclusion


def test_read_source_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(tmp_path / "gone.py")
    assert caught.value.exclusion == Exclusion.UNREADABLE


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


def test_a_notebook_is_told_from_what_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}\n")
    assert classify(tmp_path / "a.ipynb") == Exclusion.NOTEBOOK
