"""Commits of a repository, and what they changed, read without a checkout."""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path

from lsp_server.benchmarks.git.borrowing import borrowed, head
from lsp_server.benchmarks.git.running import GitError, output
from lsp_server.benchmarks.git.trees import REGULAR_FILES, safe_path

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True)
class Commit:
    """Commit with one parent."""

    id: str
    parent: str
    date: date
    """Day in UTC on which it was committed."""


@dataclass(frozen=True)
class ModifiedFile:
    """File that a commit changed."""

    path: str
    old_blob: str
    new_blob: str


@dataclass(frozen=True)
class Hunk:
    """Lines that a commit replaced by others, from 0."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int


class GitHistory:
    """Commits and files of one repository.

    Args:
        repository: a git directory whose configuration is ours.
        head: the newest commit.
    """

    def __init__(self, repository: Path, head: str) -> None:
        self.repository = repository
        self._head = head

    def commits(self, limit: int) -> Iterator[Commit]:
        """Yield commits, newest first, but for merges and those without a parent.

        No commit comes after one that it builds on.

        Raises:
            GitError: the repository does not have all of its commits.
        """
        order = ("--topo-order", "--no-merges", f"--max-count={limit}", "--format=%H %ct %P")
        listed = output(
            self.repository, "rev-list", *order, self._head, "--", limit=200 * limit + 200
        )
        for line in listed.decode().splitlines():
            words = line.split()
            if len(words) == 3 and words[0] != "commit":
                yield Commit(words[0], words[2], _time(words[1]).date())

    def modified_files(self, commit: Commit, max_files: int) -> list[ModifiedFile]:
        """Return the regular files that a commit changed; none if it touched too many files."""
        names = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames")
        fields = self._output(*names, commit.parent, commit.id).split(b"\0")[:-1]
        if len(fields) > 2 * max_files:
            return []
        found: list[ModifiedFile] = []
        for status, path in zip(fields[::2], fields[1::2], strict=True):
            old_mode, mode, old, new, kind = status.decode().removeprefix(":").split(" ")
            name = safe_path(path)
            if kind == "M" and name and {old_mode, mode} <= REGULAR_FILES:
                found.append(ModifiedFile(name, old, new))
        return found

    def hunks(self, commit: Commit, path: str) -> list[Hunk]:
        """Return what a commit changed in a file, line by line; nothing if that is too much."""
        form = ("-p", "-U0", "--inter-hunk-context=0", "--diff-algorithm=histogram", "--no-color")
        ends = (commit.parent, commit.id, "--", path)
        written = self._output("diff-tree", *form, "--no-renames", *ends)
        return [_hunk(match) for match in _HUNK.finditer(written)]

    def text(self, blob: str, max_bytes: int) -> str | None:
        """Return a file's text; None if it is too large, absent, or not UTF-8."""
        try:
            return output(self.repository, "cat-file", "blob", blob, limit=max_bytes).decode()
        except ValueError:  # GitError is one, too
            return None

    def _output(self, *arguments: str) -> bytes:
        """Return what git writes; nothing if it fails, or writes too much."""
        try:
            return output(self.repository, *arguments)
        except GitError:
            return b""


@contextmanager
def opened(git_dir: Path) -> Generator[GitHistory]:
    """Yield the history of somebody else's git directory.

    Raises:
        GitError: the folder is no git directory, or has no commit; or git is missing.
    """
    newest = head(git_dir)
    with borrowed(git_dir, newest) as repository:
        yield GitHistory(repository, newest)


def commit_time(repository: Path, commit: str) -> datetime:
    """Return the time of a commit, in UTC.

    Raises:
        GitError: the repository does not have it.
    """
    try:
        said = output(repository, "show", "-s", "--format=%ct", f"{commit}^{{commit}}", "--")
    except GitError as error:
        raise GitError(f"there is no commit {commit}") from error
    return _time(said.decode())


def _time(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise GitError(f"{seconds!r} is no time of a commit") from error


def _hunk(match: re.Match[bytes]) -> Hunk:
    old, n_old, new, n_new = (1 if group is None else int(group) for group in match.groups())
    # A side without lines is named by the line before it.
    return Hunk(old - bool(n_old), n_old, new - bool(n_new), n_new)
