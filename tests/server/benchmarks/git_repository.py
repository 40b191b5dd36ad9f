"""Real git repositories of small histories, written by the tests."""

from lsp_server.benchmarks.git.borrowing import borrowed
from lsp_server.benchmarks.git.directories import Repository
from lsp_server.benchmarks.git.trees import read_files, write_tree
from lsp_server.benchmarks.typing.commits import MAX_WRITTEN_BYTES, Choice, find_replay
from tests.git_commands import git

SHAPES = "class Square:\n    def __init__(self, side):\n        self.side = side\n"
AREA = "    def area_in_metres(self):\n        return self.side * self.side\n"
USES = "def use(square):\n    first = square.area_in_metres()\n    return first, first, first\n"


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
