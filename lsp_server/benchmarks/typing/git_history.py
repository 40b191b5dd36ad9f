"""Reading commits and files from a git directory, without a checkout.

The repository is not trusted. Only plumbing commands run, which call no filter, hook or external
program; configuration of the user and the system is not read; nothing is fetched. Files are read as
they are stored (``git cat-file``), not by ``git archive``, which would apply the filters that the
repository's configuration names. Outputs are bounded.
"""

import os
import re
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO

MAX_FILES = 100_000
"""Most files of a tree."""
MAX_BLOB_BYTES = 1 << 20
"""Larger files are left out; the server's limit is below."""
MAX_TREE_BYTES = 1 << 31
_MAX_OUTPUT_BYTES = 1 << 23
_REGULAR_FILES = ("100644", "100755")
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",  # no object is fetched from anywhere
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


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
    """Commits and files of one git directory."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir

    def commits(self, limit: int) -> Iterator[Commit]:
        """Yield commits, newest first, but for merges and those without a parent.

        No commit comes after one that it builds on.

        Raises:
            ValueError: the folder is no git directory, or has no commit.
        """
        form = "--format=%H %ct %P"
        order = ("--topo-order", "--no-merges", f"--max-count={limit}")
        output = self._output("rev-list", *order, form, "HEAD", "--", limit=200 * limit + 200)
        if not output:
            raise ValueError(f"{str(self._git_dir)!r} has no commits; give a git directory.")
        for line in output.decode().splitlines():
            words = line.split()
            if len(words) == 3 and words[0] != "commit":
                day = datetime.fromtimestamp(int(words[1]), timezone.utc).date()
                yield Commit(words[0], words[2], day)

    def modified_files(self, commit: Commit, max_files: int) -> list[ModifiedFile]:
        """Return the regular files that a commit changed; none if it touched too many files."""
        names = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames")
        output = self._output(*names, commit.parent, commit.id, limit=_MAX_OUTPUT_BYTES)
        fields = (output or b"").split(b"\0")[:-1]
        if len(fields) > 2 * max_files:
            return []
        found: list[ModifiedFile] = []
        for status, path in zip(fields[::2], fields[1::2], strict=True):
            old_mode, mode, old, new, kind = status.decode().removeprefix(":").split(" ")
            name = safe_path(path)
            if kind == "M" and name and {old_mode, mode} <= set(_REGULAR_FILES):
                found.append(ModifiedFile(name, old, new))
        return found

    def hunks(self, commit: Commit, path: str) -> list[Hunk]:
        """Return what a commit changed in a file, line by line; nothing if that is too much."""
        form = ("-p", "-U0", "--inter-hunk-context=0", "--diff-algorithm=histogram", "--no-color")
        safe = ("--no-ext-diff", "--no-textconv", "--no-renames")
        output = self._output(
            "diff-tree", *form, *safe, commit.parent, commit.id, "--", path, limit=_MAX_OUTPUT_BYTES
        )
        return [_hunk(match) for match in _HUNK.finditer(output or b"")]

    def text(self, blob: str, max_bytes: int) -> str | None:
        """Return a file's text; None if it is too large, absent, or not UTF-8."""
        data = self._output("cat-file", "blob", blob, limit=max_bytes)
        return None if data is None else _decoded(data)

    def files(self, commit: str) -> Iterator[tuple[str, bytes]]:
        """Yield the paths and contents of a commit's files. Links and large files are left out.

        Raises:
            ValueError: there are too many files, or they are too large together.
        """
        entries = [entry for entry in self._entries(commit) if entry[2] <= MAX_BLOB_BYTES]
        if (n_bytes := sum(size for _, _, size in entries)) > MAX_TREE_BYTES:
            raise ValueError(
                f"the files of {commit} in {str(self._git_dir)!r} have {n_bytes:,} bytes; at most "
                f"{MAX_TREE_BYTES:,} are written. Leave this repository out."
            )
        with self._process("cat-file", "--batch") as (asked, answers):
            for path, blob, _ in entries:
                asked.write(f"{blob}\n".encode())
                asked.flush()
                _, _, found = answers.readline().partition(b" blob ")
                if not found:  # the object is missing, as in a copy without large files
                    continue
                data = answers.read(int(found))
                answers.read(1)
                yield path, data

    def _entries(self, commit: str) -> list[tuple[str, str, int]]:
        """Return path, blob and size of a commit's regular files.

        Raises:
            ValueError: there are too many.
        """
        limit = MAX_FILES * 300
        output = self._output("ls-tree", "-r", "-z", "-l", "--full-tree", commit, limit=limit)
        lines = (output or b"").split(b"\0")[:-1]
        if output is None or len(lines) > MAX_FILES:
            raise ValueError(
                f"{commit} in {str(self._git_dir)!r} cannot be listed, or has more than "
                f"{MAX_FILES:,} files. Leave this repository out."
            )
        found: list[tuple[str, str, int]] = []
        for line in lines:
            status, _, path = line.partition(b"\t")
            mode, _, blob, size = status.decode().split()
            name = safe_path(path)
            if mode in _REGULAR_FILES and name and size.isdecimal():
                found.append((name, blob, int(size)))
        return found

    def _command(self, arguments: Sequence[str]) -> list[str]:
        # git would run what a repository names as its monitor of files.
        safe = ("-c", "core.fsmonitor=false")
        return ["git", *safe, "--git-dir", str(self._git_dir), *arguments]

    def _output(self, *arguments: str, limit: int) -> bytes | None:
        """Return what git writes; None if it fails, or writes more than the limit."""
        with subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as process:
            assert process.stdout is not None
            data = process.stdout.read(limit + 1)
            if len(data) > limit:
                process.kill()
                return None
        return data if process.returncode == 0 else None

    @contextmanager
    def _process(self, *arguments: str) -> Generator[tuple[IO[bytes], IO[bytes]], None, None]:
        """Run git, and yield its input and output."""
        with subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield process.stdin, process.stdout
            finally:
                process.kill()


def safe_path(path: bytes) -> str | None:
    """Return a path of a tree as text; None if it cannot be written below a folder."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return None
    parts = PurePosixPath(text).parts
    is_odd = not text.isprintable() or any(sign in text for sign in '\\:*?"<>|')
    if is_odd or text.startswith("/") or not parts or text != "/".join(parts):
        return None
    return None if any(part == ".." or part.lower() == ".git" for part in parts) else text


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _hunk(match: re.Match[bytes]) -> Hunk:
    old, n_old, new, n_new = (1 if group is None else int(group) for group in match.groups())
    # A side without lines is named by the line before it.
    return Hunk(old - bool(n_old), n_old, new - bool(n_new), n_new)


def _environment() -> dict[str, str]:
    """Return the environment without the user's settings of git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | _ENVIRONMENT
