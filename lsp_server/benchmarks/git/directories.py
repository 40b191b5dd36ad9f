"""Git directories on this machine, found by their places and names."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lsp_server.benchmarks.paths import small_text


@dataclass(frozen=True)
class Repository:
    """Repository with history."""

    name: str
    """Name of the repository, or ``owner/name``."""
    git_dir: Path

    @property
    def short_name(self) -> str:
        """Name without its owner, as a checkout's folder has it."""
        return self.name.rpartition("/")[2]


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
        folders = (
            sorted(place.iterdir()) if place.is_dir() and not _git_directory(place) else [place]
        )
        here = [(_name(each), _git_directory(each)) for each in folders]
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


def git_directory(folder: Path, source: str) -> Path | None:
    """Return the git directory of ``owner/name`` below a folder; None if there is none.

    The places are ``OWNER+NAME``, ``OWNER+NAME.git``, ``OWNER/NAME`` and ``OWNER/NAME.git``, each
    bare, or with ``.git`` or ``repo`` in it.
    """
    stem = source.replace("/", "+")
    places = (folder / name for name in (stem, f"{stem}.git", source, f"{source}.git"))
    return next((found for place in places if (found := _git_directory(place))), None)


def _git_directory(place: Path) -> Path | None:
    candidates = (place, place / ".git", place / "repo", place / "repo" / ".git")
    return next((each for each in map(_linked, candidates) if _is_git_directory(each)), None)


def _linked(path: Path) -> Path:
    """Return the git directory that a worktree's ``.git`` names, or the path itself."""
    _, _, named = small_text(path).partition("gitdir: ")
    return path.parent / named.strip() if path.name == ".git" and named else path


def _is_git_directory(path: Path) -> bool:
    has_objects = (path / "objects").is_dir() or (path / "commondir").is_file()
    return has_objects and (path / "HEAD").is_file()


def _name(place: Path) -> str:
    name = place.resolve().name
    if name in (".git", "repo"):
        name = place.resolve().parent.name
    return name.removesuffix(".git").replace("+", "/", 1)
