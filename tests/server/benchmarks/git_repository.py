"""Real git repositories of small histories, written by the tests."""

import os
import subprocess

from lsp_server.benchmarks.git.borrowing import borrowed
from lsp_server.benchmarks.git.directories import Repository
from lsp_server.benchmarks.git.trees import read_files, write_tree
from lsp_server.benchmarks.typing.commits import MAX_WRITTEN_BYTES, Choice, find_replay

SHAPES = "class Square:\n    def __init__(self, side):\n        self.side = side\n"
AREA = "    def area_in_metres(self):\n        return self.side * self.side\n"
USES = "def use(square):\n    first = square.area_in_metres()\n    return first, first, first\n"


def git(folder, *arguments, date="2023-05-01T12:00:00Z", given=None):
    """Run git without anybody's configuration, and return what it prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {"NAME": "A", "EMAIL": "a@example.org", "DATE": date}
    env |= {f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, check=True, input=given)
    return done.stdout.decode().strip()


def commit_all(folder, **options):
    """Commit a folder as it is, and return the commit."""
    git(folder, "add", "--all", **options)
    git(folder, "commit", "--quiet", "--message", "x", **options)
    return git(folder, "rev-parse", "HEAD")


class GitRepository:
    """A real repository, whose commits are a day apart."""

    def __init__(self, folder):
        self.folder, self.n = folder, 0
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        return git(self.folder, *arguments, date=f"2024-01-{1 + self.n:02}T12:00:00Z")

    def commit(self, **files):
        """Write files (``a__b_py`` is ``a/b.py``), commit, and return the commit."""
        for name, text in files.items():
            stem, _, suffix = name.replace("__", "/").rpartition("_")
            path = self.folder / f"{stem}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.n += 1
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"commit {self.n}")
        return self.git("rev-parse", "HEAD")

    def commit_three(self, **others):
        """Commit files, a method in one of them, a function in another; return the commits."""
        first = self.commit(shapes_py=SHAPES, uses_py="import shapes\n", **others)
        second = self.commit(shapes_py=SHAPES + "\n" + AREA)
        return first, second, self.commit(uses_py="import shapes\n\n\n" + USES)

    @property
    def repository(self):
        return Repository("someone/shapes", self.folder / ".git")

    def files(self, commit):
        with borrowed(self.folder / ".git", commit) as repository:
            return list(read_files(repository, commit, MAX_WRITTEN_BYTES))

    def write(self, commit, target):
        with borrowed(self.folder / ".git", commit) as repository:
            return write_tree(repository, commit, target, MAX_WRITTEN_BYTES)

    def replay(self, n=10, **choice):
        return find_replay(self.repository, n, Choice(**choice))
