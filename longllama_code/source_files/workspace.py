"""Files of the workspace that belong in memory, and the reasons why others do not.

`Workspace.scan` visits all files, `Workspace.entry` classifies one; they agree. Classifying reads
the first kilobytes of a file at most (`source_text`).
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from longllama_code.source_files.ignore import ALWAYS_IGNORED, IgnoreRules
from longllama_code.source_files.real_roots import RealRoots
from longllama_code.source_files.same_files import SameFiles, real_path
from longllama_code.source_files.secret_names import is_secret_in
from longllama_code.source_files.source_text import (
    DEFAULT_LIMITS,
    Exclusion,
    Limits,
    classify,
)

MAX_DEPTH = 100
"""Folders inside each other that are scanned: the rules of each hold for all that are deeper."""
_TIME_STEP_NS = 50_000_000
"""Time after which a second change has another timestamp on any current file system."""

# Errors of `stat` for a file that does not exist, or a dangling link.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the workspace, as it was last examined.

    `relative` is the path below its workspace folder with forward slashes, the one the model
    sees. Size and time are those of a link's target, and 0 where they cannot be had.
    `has_rested` says that its last change was long enough ago for the next one to have another
    time: file systems count it in steps.
    """

    path: Path
    relative: str
    exclusion: Exclusion | None
    size_bytes: int = 0
    mtime_ns: int = 0
    has_rested: bool = False


class Workspace:
    """The workspace folders (roots) and the files in them.

    A file belongs to the deepest root above it. Links to files are followed where they stay
    inside the root; links to folders are not, which avoids duplicates and cycles.
    """

    def __init__(
        self,
        roots: Iterable[Path] = (),
        *,
        rules: Callable[[Path], IgnoreRules] = IgnoreRules,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Begin with `roots`; `rules` makes the ignore rules of each root, also of later ones."""
        self._make_rules = rules
        self._limits = limits
        self._rules: dict[Path, IgnoreRules] = {}
        self._real_roots = RealRoots()
        self._same_files = SameFiles()
        for root in roots:
            self.add(root)

    @property
    def roots(self) -> tuple[Path, ...]:
        """The workspace folders, sorted."""
        return tuple(sorted(self._rules))

    def add(self, root: Path) -> None:
        """Add a workspace folder. It need not exist yet; it may lie inside another one.

        Raises:
            ValueError: a pattern to include or exclude is not in gitignore syntax.
        """
        root = root.absolute()
        self._rules[root] = self._make_rules(root)
        self._real_roots.add(root)

    def remove(self, root: Path) -> None:
        """Remove a workspace folder. What it takes from an outer one falls back to that one."""
        self._rules.pop(root.absolute(), None)
        self._real_roots.remove(root.absolute())

    def root_of(self, path: Path) -> Path | None:
        """Return the innermost workspace folder that a file is in; None for one outside of all."""
        # A folder sorts before those inside it.
        return next((root for root in reversed(self.roots) if root in path.parents), None)

    def name_of(self, path: Path) -> str:
        """Return a file's path in memory, relative to its root; named if there are several."""
        root = self.root_of(path)
        roots = [one for one in self.roots if not self._real_roots.is_repeated(one)]
        if root is None:
            return path.as_posix()
        relative = path.relative_to(root).as_posix()
        if len(roots) == 1:
            return relative
        has_twin = [other.name for other in roots].count(root.name) > 1
        return f"{root.as_posix() if has_twin else root.name}/{relative}"

    def folder_in_name(self, path: Path) -> str:
        """Return the beginning of a file's name that tells its root from others; may be empty."""
        root, name = self.root_of(path), self.name_of(path)
        return "" if root is None else name.removesuffix(path.relative_to(root).as_posix())

    def locate(self, path: Path) -> Path:
        """Return the path that `scan` has for a file, whatever links a path of it goes through.

        The path itself for a file outside of all roots. Asks the system, so it takes a moment.
        """
        return self._real_roots.locate(path)

    def place_of(self, path: Path) -> tuple[str, str]:
        """Return a file's folder and its path below that, which rules about names look at.

        The folder is a root, named as it is or as it really is; for a file outside of all roots it
        is empty, and the path absolute.
        """
        root, name = self._real_roots.root_and_name(path)
        return "" if root is None else root.as_posix(), name.as_posix()

    def identity(self, path: Path) -> Path:
        """Return one path for all those of a file that a scan found; safe from any thread."""
        return self._same_files.identity(path)

    def twins(self, paths: Collection[Path]) -> set[Path]:
        """Return other paths of changed files: links to them, and what they link to."""
        return self._same_files.twins(paths)

    def scan(self) -> Iterator[Entry]:
        """Visit the files of all roots, sorted folder by folder; skip ignored folders.

        A folder that cannot be listed gives one entry in place of its files.
        """
        for rules in sorted(self._rules.values(), key=lambda rules: rules.root):
            if self._real_roots.is_repeated(rules.root):
                continue
            yield from self._walk(rules)

    def entry(self, path: Path) -> Entry | None:
        """Classify one file as `scan` does; a file in an ignored folder is ignored.

        None if a scan never reaches it: outside every root, behind a link to a folder, or
        if it does not exist.
        """
        rules = self._owner(path)
        if rules is None or path == rules.root or _is_too_deep(rules.root, path):
            return None
        if path.name in ALWAYS_IGNORED:
            return None
        # By a link it may be a file of another root, which has it under its own path.
        if len(self._rules) > 1 and self.locate(path) != path:
            return None
        if _is_behind_link(path, rules.root):
            return None
        return self._entry(rules, path, is_ignored=rules.ignores(path))

    def ignores_folder(self, path: Path) -> bool:
        """Whether a scan passes over a folder and all that is in it. Safe from any thread."""
        rules = self._owner(path)
        return rules is None or rules.ignores(path, is_dir=True)

    def renew(self) -> bool:
        """Look whether git's rules outside of the folders' files changed, of any root; once."""
        return any([rules.renew() for rules in list(self._rules.values())])

    def _owner(self, path: Path) -> IgnoreRules | None:
        """Return the rules of the deepest root that `path` is, or is in."""
        return next(filter(None, map(self._rules.get, (path, *path.parents))), None)

    def _walk(self, rules: IgnoreRules) -> Iterator[Entry]:
        """Visit the files of a root; without recursion, as folders may be thousands deep."""
        under_way = [self._visit(rules, rules.root)]
        while under_way:
            found = next(under_way[-1], None)
            if found is None:
                under_way.pop()
            elif isinstance(found, Entry):
                yield found
            else:
                under_way.append(self._visit(rules, found))

    def _visit(self, rules: IgnoreRules, folder: Path) -> Iterator[Entry | Path]:
        """Visit the files of one folder, and name the folders in it to be visited next."""
        if _is_too_deep(rules.root, folder / "file"):
            relative = folder.relative_to(rules.root).as_posix()
            yield Entry(folder, relative, Exclusion.TOO_DEEP)
            return
        try:
            with os.scandir(folder) as listing:
                items = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            if error.errno not in _ABSENT:
                relative = folder.relative_to(rules.root).as_posix()
                yield Entry(folder, relative, Exclusion.UNREADABLE)
            return
        here = rules.folder(folder)
        for item in items:
            path = folder / item.name
            is_dir = item.is_dir(follow_symlinks=False)
            is_ignored = here.ignores(item.name, is_dir=is_dir)
            if path in self._rules or self._real_roots.is_root(rules.root, path):
                continue
            # In a worktree, `.git` is a file; nobody needs to hear that it is left out.
            if (is_dir and is_ignored) or item.name in ALWAYS_IGNORED:
                continue
            if is_dir:
                yield path
            elif entry := self._entry(rules, path, is_ignored=is_ignored):
                yield entry

    def _entry(self, rules: IgnoreRules, path: Path, *, is_ignored: bool) -> Entry | None:
        relative = path.relative_to(rules.root).as_posix()
        is_link = os.path.islink(path)  # noqa: PTH114 - `Path.is_symlink` raises errors
        if is_link:  # whether or not anything is there yet
            self._same_files.note_link(path, self._real_roots.named(real_path(path)))
        try:
            status = path.stat()
        except OSError as error:
            is_absent = error.errno in _ABSENT
            if is_absent and not is_link:
                self._same_files.note_absent(path)
            return None if is_absent else Entry(path, relative, Exclusion.UNREADABLE)
        if not stat.S_ISREG(status.st_mode):
            return None
        if not is_link:
            self._same_files.note_file(path, status)
        exclusion = Exclusion.IGNORED if is_ignored else self._exclusion(rules, path, relative)
        has_rested = status.st_mtime_ns < time.time_ns() - _TIME_STEP_NS
        size, mtime_ns = status.st_size, status.st_mtime_ns
        return Entry(path, relative, exclusion, size, mtime_ns, has_rested)

    def _exclusion(self, rules: IgnoreRules, path: Path, relative: str) -> Exclusion | None:
        # The root itself may be `~/.aws`, or a link to it.
        roots = {rules.root, self._real_roots.real(rules.root)}
        if any(is_secret_in(root.as_posix(), relative) for root in roots):
            return Exclusion.SECRET
        # Python turns undecodable bytes of a name into surrogates, which JSON cannot carry.
        if relative != relative.encode(errors="ignore").decode():
            return Exclusion.NOT_UTF8
        by_target = _by_link_target(rules, path) if path.is_symlink() else None
        return by_target or classify(path, self._limits)


def _by_link_target(rules: IgnoreRules, path: Path) -> Exclusion | None:
    """Return why a link's target is excluded: another name must not expose a secret."""
    target, real_root = path.resolve(), rules.root.resolve()
    if not target.is_relative_to(real_root):
        return Exclusion.SYMLINK_OUTSIDE
    inside = target.relative_to(real_root)
    if is_secret_in(real_root.as_posix(), inside.as_posix()):
        return Exclusion.SECRET
    return Exclusion.IGNORED if rules.ignores(rules.root / inside) else None


def _is_too_deep(root: Path, file: Path) -> bool:
    return len(file.parts) - len(root.parts) - 1 > MAX_DEPTH


def _is_behind_link(path: Path, root: Path) -> bool:
    folder = path.parent
    return folder.resolve() != root.resolve() / folder.relative_to(root)
