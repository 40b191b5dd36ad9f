"""Repositories with history on this machine."""

from collections.abc import Iterable
from pathlib import Path

from lsp_server.benchmarks.typing.session import Repository


def find_repositories(places: Iterable[Path]) -> list[Repository]:
    """Return the repositories at some places.

    Args:
        places: git directories, bare or not; checkouts; folders of them, where
            ``<owner>+<name>/repo``, ``<owner>+<name>`` and ``<owner>+<name>.git`` are names too.

    Raises:
        ValueError: there is no repository at a place, or two have one name.
    """
    found: list[Repository] = []
    for place in places:
        folders = sorted(place.iterdir()) if place.is_dir() and not _git_dir(place) else [place]
        here = [(_name(each), _git_dir(each)) for each in folders]
        repositories = [Repository(name, git_dir) for name, git_dir in here if git_dir is not None]
        if not repositories:
            raise ValueError(
                f"{str(place)!r} is no git directory and holds none; give one, or a folder of "
                "<owner>+<name>/repo."
            )
        found += repositories
    names = [each.name for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two repositories are named {twice[0]!r}; leave one of them out.")
    return found


def _git_dir(place: Path) -> Path | None:
    candidates = (place, place / ".git", place / "repo", place / "repo" / ".git")
    return next((each for each in candidates if _is_git_dir(each)), None)


def _is_git_dir(path: Path) -> bool:
    is_link = path.name == ".git" and path.is_file()  # in another worktree
    return is_link or ((path / "HEAD").is_file() and (path / "objects").is_dir())


def _name(place: Path) -> str:
    name = place.resolve().name
    if name in (".git", "repo"):
        name = place.resolve().parent.name
    return name.removesuffix(".git").replace("+", "/", 1)
