"""Workspace folders by where they really are: a client may name a file by other paths than they.

Editors resolve links in the names of folders, of documents, of both or of neither. A folder can
be reached by a mount or in other letter case, too, so the system is asked what is the same.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from longllama_code.source_files.same_files import real_path


class RealRoots:
    """The workspace folders and their real paths."""

    def __init__(self) -> None:
        self._real: dict[Path, Path] = {}

    def add(self, root: Path) -> None:
        """Add a folder; its place is looked up now."""
        self._real[root] = real_path(root)

    def remove(self, root: Path) -> None:
        """Remove a folder, if it is there."""
        self._real.pop(root, None)

    def real(self, root: Path) -> Path:
        """Return the real path of one of the folders."""
        return self._real[root]

    def named(self, real: Path) -> Path:
        """Return the name that a scan has for a real path; itself outside of all folders."""
        root = self._root_above(real)
        return real if root is None else root / real.relative_to(self._real[root])

    def is_repeated(self, root: Path) -> bool:
        """Whether a folder that was added earlier is the same one."""
        first = next(other for other, real in self._real.items() if real == self._real[root])
        return first != root

    def is_root(self, root: Path, folder: Path) -> bool:
        """Whether a folder inside of `root` really is another workspace folder."""
        if len(self._real) < 2:
            return False
        return self._real[root] / folder.relative_to(root) in self._real.values()

    def locate(self, path: Path) -> Path:
        """Return the path that a scan has for a file; itself for one outside of all folders.

        Asks the system. A link to a file inside of a folder keeps its name; links on the way to it
        do not.
        """
        if path.drive.startswith("\\\\") and self.root_and_name(path)[0] is None:
            return path  # another machine, on Windows: to ask it may take long
        named, target = real_path(path.parent) / path.name, real_path(path)
        for candidate in (named, target):
            if self._root_above(candidate) is not None:
                return self.named(candidate)
        return next(self._by_identity(named), path)

    def root_and_name(self, path: Path) -> tuple[Path | None, Path]:
        """Return the folder of a path, as it is named or really is, and the rest of the path."""
        named = next((root for root in (path, *path.parents) if root in self._real), None)
        real = None if named is not None else self._root_above(path)
        root = named if real is None else self._real[real]
        return root, path if root is None else path.relative_to(root)

    def _root_above(self, path: Path) -> Path | None:
        """Return the deepest folder that a real path is, or is in; the first of equal ones."""
        above = {path, *path.parents}
        inside = [root for root, real in self._real.items() if real in above]
        return max(inside, key=lambda root: len(self._real[root].parts), default=None)

    def _by_identity(self, path: Path) -> Iterator[Path]:
        """Yield the path below a folder that is the same as one above it by the system's word."""
        roots = {root: status for root in self._real if (status := _status(root)) is not None}
        for parent in path.parents if roots else ():
            status = _status(parent)
            for root, known in roots.items():
                if status is not None and os.path.samestat(status, known):
                    yield root / path.relative_to(parent)


def _status(path: Path) -> os.stat_result | None:
    with suppress(OSError, ValueError):
        return path.stat()
    return None
