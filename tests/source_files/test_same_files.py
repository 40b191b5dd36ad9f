"""Laws of paths that name the same file, on real folders with links of all kinds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from longllama_code.source_files.workspace import Workspace

NAMES = ("a", "b", "c", "d.py", "e.py")
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
kinds = st.sampled_from(["folder", "file", "link", "absolute link", "hard link"])
trees = st.lists(st.tuples(kinds, paths, paths), max_size=12)
roots = st.lists(st.sampled_from(["top", "link", "top/a", "top/b", "to a"]), min_size=1, max_size=3)


def plant(top: Path, tree: list[tuple[str, str, str]]) -> None:
    """Make what can be made of a tree."""
    for kind, name, target in tree:
        path = top / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind == "file":
                path.write_text(f"{name}\n")
            elif kind == "hard link":
                os.link(top / target, path)
            else:
                path.symlink_to(top / target if kind == "absolute link" else target)
        except OSError:
            continue


def everything(folder: Path, depth: int = 4) -> Iterator[Path]:
    """All paths below a folder, through links to folders as well."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return
    for path in paths:
        yield path
        if depth:
            yield from everything(path, depth - 1)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=trees, names=roots)
@example(  # a link to a file of another root inside of its own
    tree=[("folder", "a", "a"), ("absolute link", "a/a/a", "b"), ("file", "a/a/a", "a")],
    names=["link", "top/a"],
)
def test_paths_of_one_file(
    tmp_path_factory: pytest.TempPathFactory, tree: list[tuple[str, str, str]], names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    top = folder / "top"
    top.mkdir()
    plant(top, tree)
    (folder / "link").symlink_to("top")
    (folder / "to a").symlink_to("top/a")
    workspace = Workspace([folder / name for name in names])
    scanned = [entry.path for entry in workspace.scan()]
    assert len(set(scanned)) == len(scanned)
    plain = [path for path in scanned if not path.is_symlink()]
    real = {os.path.realpath(path) for path in plain}
    assert len(real) == len(plain)  # no file twice
    for path in everything(folder):
        located = workspace.locate(path)
        if not path.is_file():  # a link may lead nowhere, or in a circle
            continue
        assert workspace.locate(located) == located
        assert path.samefile(located)
        if os.path.realpath(path) in real:
            assert located in scanned or path.is_symlink()
        same = {other for other in scanned if other.samefile(path)}
        if located in same:
            assert same <= {located, *workspace.twins([located])}
            assert len({workspace.identity(other) for other in same}) == 1
    assert workspace.twins([]) == set()
