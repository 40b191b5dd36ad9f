"""Rules that keep paths out of memory: the user's, git's and built-in ones.

In ascending precedence: git's `core.excludesFile`; `info/exclude`; the `.gitignore` of every folder
from the top of the repository down; the `.longllamaignore` of every folder; the `exclude` setting.
The last pattern that names a path decides. What lies in an ignored folder is ignored, whatever a
pattern says of it, and the names in `ALWAYS_IGNORED` are not open to patterns at all.

A repository inside another one has git's rules of its own; those of the outer one say whether it
is ignored as a whole.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from longllama_code.source_files.git_repository import GitRepository, git_folder, git_repository
from longllama_code.source_files.patterns import Patterns, as_bytes, parse, parse_file
from longllama_code.source_files.regular_files import read_regular, read_regular_inside

logger = logging.getLogger(__name__)

MAX_RULES_BYTES = 1 << 20
"""Size beyond which a rules file is not read further."""

_ALWAYS_IGNORED = """
    .git .hg .svn .jj .bzr
    node_modules bower_components __pypackages__ site-packages .eggs .terraform
    __pycache__ .tox .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
    .ipynb_checkpoints .cache .parcel-cache .turbo .next .nuxt .svelte-kit .angular .gradle
    .dart_tool .stack-work .ccls-cache .clangd .idea .vs .vscode-test .nyc_output
"""
ALWAYS_IGNORED: frozenset[str] = frozenset(_ALWAYS_IGNORED.split())
"""Names that never hold source, at any depth: version control, installed packages, what tools
write and nobody edits. A folder with a `pyvenv.cfg` is one of them, whatever its name."""

_GIT_IGNORE = ".gitignore"
_Stamp = tuple[int, ...]


class _Layer(NamedTuple):
    """The rules of one file, and the length of its folder's path below the top."""

    skip_bytes: int
    patterns: Patterns

    def verdict(self, path: bytes, *, is_dir: bool) -> bool | None:
        """Whether the last rule that names the path ignores it; None if none names it."""
        return self.patterns.verdict(path[self.skip_bytes :], is_dir=is_dir)


class _AllowList(NamedTuple):
    """The `include` setting: it can only take away, so that rules files keep their say."""

    layer: _Layer

    def verdict(self, path: bytes, *, is_dir: bool) -> bool | None:
        """Return True for a file that no pattern names, nor a folder above it; None otherwise."""
        if is_dir:
            return None  # it may hold a file that a pattern names
        own = path[self.layer.skip_bytes :]
        return None if self.layer.patterns.names_file(own) else True


class FolderRules:
    """Rules for the direct children of one folder, as they were when it was created."""

    def __init__(
        self, folder: Path, prefix: bytes, layers: tuple[_Layer | _AllowList, ...]
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._layers = layers

    def ignores(self, name: str, *, is_dir: bool) -> bool:
        """Whether a child of this folder is ignored, by its own name and kind alone."""
        if name in ALWAYS_IGNORED or (is_dir and _is_virtual_environment(self._folder / name)):
            return True
        path = self._prefix + as_bytes(name)
        verdicts = (layer.verdict(path, is_dir=is_dir) for layer in self._layers)
        return next((verdict for verdict in verdicts if verdict is not None), False)


class IgnoreRules:
    """Ignore rules of one workspace folder, read from its disk.

    Rules files are read again when their size or modification time changes. Several threads may
    use them at once: at worst two of them read the same file.
    """

    def __init__(
        self,
        root: Path,
        respect_gitignore: bool = True,
        ignore_file: str = ".longllamaignore",
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        on_met: Callable[[list[Path]], None] = lambda _: None,
    ) -> None:
        """Prepare the rules; no rules file is read yet.

        Args:
            root: the workspace folder, absolute. Rules of the repository around it count too.
            respect_gitignore: whether git's own rules count.
            ignore_file: the name of the product's own rules files.
            include: where not empty, files that none of these patterns names are ignored.
            exclude: patterns that ignore in spite of any rules file. Both are in gitignore
                syntax and relative to `root`.
            on_met: called, on any thread, with the files that `renew` looks at once they are known.

        Raises:
            ValueError: a pattern of `include` or `exclude` is not in gitignore syntax.
        """
        self.root = root
        self.file_names: tuple[str, ...] = (ignore_file, *[_GIT_IGNORE] * respect_gitignore)
        """Names of rules files, strongest first; a change of one may change any decision."""
        self._top = _repository_top(root)
        self._respects_git = respect_gitignore
        self._on_met = on_met
        self._repositories: dict[Path, GitRepository] = {}
        self._met: dict[Path, _Stamp | None] = {}
        self._settings = tuple(self._layers_of_settings(include, exclude))
        self._cache: dict[Path, tuple[_Stamp, Patterns]] = {}

    def ignores(self, path: Path, *, is_dir: bool = False) -> bool:
        """Whether `path`, or a folder between it and the root, is ignored. The root never is.

        Raises:
            ValueError: `path` is not inside the root.
        """
        folder = self.root
        *folders, last = path.relative_to(self.root).parts or ("",)
        for name in folders:
            if self.folder(folder).ignores(name, is_dir=True):
                return True
            folder /= name
        return last != "" and self.folder(folder).ignores(last, is_dir=is_dir)

    def folder(self, folder: Path) -> FolderRules:
        """Return the rules for the direct children of `folder`: the root, or a folder below it."""
        layers = (*self._settings, *self._layers_of_files(folder))
        return FolderRules(folder, self._prefix(folder), layers)

    def renew(self) -> bool:
        """Look whether git's rules outside of the folder's files changed; say so, once.

        Those are `info/exclude` and what the configuration names, of all repositories that were
        met. They are no source files, whose changes are reported.
        """
        if all(_stamp(file) == stamp for file, stamp in list(self._met.items())):
            return False
        self._met.clear()
        self._repositories.clear()
        return True

    def _layers_of_settings(
        self, include: tuple[str, ...], exclude: tuple[str, ...]
    ) -> Iterator[_Layer | _AllowList]:
        skip_bytes = len(self._prefix(self.root))
        if exclude:
            yield _Layer(skip_bytes, Patterns(parse(exclude)))
        if include:
            yield _AllowList(_Layer(skip_bytes, Patterns(parse(include))))

    def _layers_of_files(self, folder: Path) -> Iterator[_Layer]:
        """Yield every rules file that applies to the children of `folder`, strongest first."""
        folders = [folder, *folder.parents]
        folders = folders[: folders.index(self._top) + 1]
        yield from self._layers_named(self.file_names[0], folders)
        if self._respects_git:
            top = next((place for place in folders[:-1] if git_folder(place)), self._top)
            yield from self._layers_of_git(folders[: folders.index(top) + 1])

    def _layers_of_git(self, folders: list[Path]) -> Iterator[_Layer]:
        """Yield git's rules for the children of a folder, given with those up to its top."""
        top = folders[-1]
        repository = self._repository(top)
        ignores_case = repository.ignores_case
        yield from self._layers_named(_GIT_IGNORE, folders, ignores_case=ignores_case)
        for file in (repository.info_exclude, repository.user_excludes):
            if file and (patterns := self._patterns(file, ignores_case, is_ours=True)):
                yield _Layer(len(self._prefix(top)), patterns)

    def _layers_named(
        self, name: str, folders: list[Path], *, ignores_case: bool = False
    ) -> Iterator[_Layer]:
        for place in folders:
            if patterns := self._patterns(place / name, ignores_case):
                yield _Layer(len(self._prefix(place)), patterns)

    def _repository(self, top: Path) -> GitRepository:
        known = self._repositories.get(top)
        if known is None:
            known = git_repository(top)
            files = (known.info_exclude, known.user_excludes, *known.configuration)
            outside = [file for file in files if file is not None]
            self._met |= {file: _stamp(file) for file in outside}
            self._on_met(outside)
            self._repositories[top] = known
        return known

    def _patterns(
        self, file: Path, ignores_case: bool, *, is_ours: bool = False
    ) -> Patterns | None:
        """Return the rules in a file, read only if it changed; None where it cannot be read.

        Args:
            file: the file.
            ignores_case: whether names are compared without regard to case.
            is_ours: whether it is the user's own, and no part of what was checked out.
        """
        stamp = _stamp(file)
        if stamp is None:
            return None
        key = (*stamp, ignores_case)
        known = self._cache.get(file)
        if known is None or known[0] != key:
            known = self._cache[file] = (key, self._read(file, ignores_case, is_ours))
        return known[1]

    def _read(self, file: Path, ignores_case: bool, is_ours: bool) -> Patterns:
        try:
            if is_ours:
                data = read_regular(file, MAX_RULES_BYTES + 1)
            elif file.name == _GIT_IGNORE and file.is_symlink():
                data = b""  # git does not follow it either
            else:
                data = read_regular_inside(file, self._top, MAX_RULES_BYTES + 1)
        except OSError as error:
            logger.warning("the rules in %r are not read: %s", str(file), error.strerror)
            data = b""
        if len(data) > MAX_RULES_BYTES:
            limit = f"{MAX_RULES_BYTES:,} bytes"
            logger.warning("%r is larger than %s; rules behind do not count", str(file), limit)
            data = data[: data.rfind(b"\n", 0, MAX_RULES_BYTES) + 1]
        return parse_file(data, ignores_case=ignores_case)

    def _prefix(self, folder: Path) -> bytes:
        """Return the prefix, relative to the top, of the paths of `folder`'s children."""
        return b"".join(as_bytes(part) + b"/" for part in folder.relative_to(self._top).parts)


def _repository_top(root: Path) -> Path:
    """Return the top of the repository that `root` is in, or `root` where it is in none."""
    return next((place for place in (root, *root.parents) if git_folder(place)), root)


def _is_virtual_environment(folder: Path) -> bool:
    return _stamp(folder / "pyvenv.cfg") is not None


def _stamp(file: Path) -> _Stamp | None:
    """Return a value that changes when `file` does; None if it cannot be examined."""
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
