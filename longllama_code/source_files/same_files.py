"""Files of the workspace that have several paths: links to files, and hard links.

A change of such a file is reported for one of its paths, and a document is opened by one of them.
Paths are those of a scan: of the workspace folder as the client names it.
"""

import os
from collections.abc import Collection
from pathlib import Path

_Id = tuple[int, int]


def real_path(path: Path) -> Path:
    """Return where a path leads, links followed; the path itself if that cannot be found out."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):  # such as a null character
        return path


class SameFiles:
    """What the last scans found of links. One thread notes, any may ask."""

    def __init__(self) -> None:
        self._targets: dict[Path, Path] = {}
        self._ids: dict[Path, _Id] = {}
        self._first: dict[_Id, Path] = {}

    def note_link(self, path: Path, target: Path) -> None:
        """Note that a path is a link, and where it leads, whether or not anything is there."""
        self._targets[path] = target
        self._ids.pop(path, None)

    def note_file(self, path: Path, status: os.stat_result) -> None:
        """Note that a path is a file and no link."""
        self._targets.pop(path, None)
        if status.st_nlink < 2 or not status.st_ino:
            self._ids.pop(path, None)
            return
        identity = status.st_dev, status.st_ino
        self._ids[path] = identity
        first = self._first.setdefault(identity, path)
        if self._ids.get(first) != identity:
            self._first[identity] = path

    def note_absent(self, path: Path) -> None:
        """Note that nothing is at a path."""
        self._targets.pop(path, None)
        self._ids.pop(path, None)

    def identity(self, path: Path) -> Path:
        """Return one path for all those of a file, known links followed; itself for any other."""
        path = self._targets.get(path, path)
        known = self._ids.get(path)
        return path if known is None else self._first.get(known, path)

    def twins(self, paths: Collection[Path]) -> set[Path]:
        """Return the other paths of files that may have changed, given the changed paths.

        Args:
            paths: files and folders. A changed link may be on the way of any other.
        """
        changed = set(paths)
        names = changed | {self._targets[path] for path in changed if path in self._targets}
        ids = {self._ids[path] for path in names if path in self._ids}
        if ids:
            names |= {path for path, identity in self._ids.items() if identity in ids}
        if any(path in self._targets or os.path.islink(path) for path in changed):  # noqa: PTH114
            names.update(self._targets)
        else:
            names |= {link for link, target in self._targets.items() if _is_at(target, names)}
        return names - changed


def _is_at(path: Path, changed: Collection[Path]) -> bool:
    return path in changed or any(parent in changed for parent in path.parents)
