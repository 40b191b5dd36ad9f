"""Git directories of somebody else, read through an empty repository of ours.

Such a directory is hostile: its configuration can name programs, which git runs. So git runs in a
new repository, which borrows the other's objects (``objects/info/alternates``). Of the rest, only
names of commits are read, and not by git: ``HEAD``, branches, ``packed-refs`` and ``shallow``; see
``gitrepository-layout`` for all of them.
"""

import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lsp_server.benchmarks.git.running import COMMIT, GitError, output
from lsp_server.benchmarks.paths import small_text

_MAX_REFERENCES = 5
"""References that may follow one another, as git has it."""
_BRANCH = re.compile(r"ref: (refs(?:/(?!\.)[^/\s\0]+)+)\s*")


@contextmanager
def borrowed(directory: Path, commit: str) -> Generator[Path]:
    """Yield a new bare repository with the objects of a git directory.

    Args:
        directory: the git directory, of a worktree too.
        commit: a commit of it; its length tells which hashes the objects have.

    Raises:
        GitError: git is missing or fails.
    """
    shared = _shared(directory)
    with new_repository(commit) as repository:
        objects = str((shared / "objects").resolve())
        if "\n" in objects:
            raise GitError(f"{objects!r} has a line break, which git cannot borrow from")
        (repository / "objects" / "info").mkdir(exist_ok=True)
        (repository / "objects" / "info" / "alternates").write_text(objects + "\n", "utf-8")
        ends = [line for line in small_text(shared / "shallow").split() if COMMIT.fullmatch(line)]
        if ends:  # a copy without the older commits
            (repository / "shallow").write_text("\n".join(ends) + "\n", "utf-8")
        yield repository


@contextmanager
def new_repository(commit: str, parent: Path | None = None) -> Generator[Path]:
    """Yield a new bare repository, below a folder, whose objects have hashes like a commit's.

    Raises:
        GitError: git is missing or fails.
    """
    form = "sha256" if len(commit) == 64 else "sha1"
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        start = ("init", "--quiet", "--bare", "--template=")
        output(Path(folder), *start, f"--object-format={form}")
        yield Path(folder)


def head(directory: Path) -> str:
    """Return the commit that a git directory is at.

    Raises:
        GitError: it has none.
    """
    shared, found = _shared(directory), small_text(directory / "HEAD")
    for _ in range(_MAX_REFERENCES):
        if branch := _BRANCH.fullmatch(found):
            found = small_text(shared / branch[1]) or _packed(shared, branch[1])
    if not COMMIT.fullmatch(found.strip()):
        raise GitError(f"{str(directory)!r} has no commits; give a git directory.")
    return found.strip()


def _shared(directory: Path) -> Path:
    """Return the git directory with the objects and branches of a worktree's, or of its own."""
    return directory / (small_text(directory / "commondir").strip() or ".")


def _packed(directory: Path, branch: str) -> str:
    lines = small_text(directory / "packed-refs").split("\n")
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {branch}")), "")
