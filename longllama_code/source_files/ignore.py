"""Rules that keep paths out of memory: the user's, git's and built-in ones.

In ascending precedence: `.git/info/exclude`; the `.gitignore` of every folder from the
top of the repository down; the `.longllamaignore` of every folder; the `exclude` setting. The
last pattern that names a path decides. What lies in an ignored folder is ignored, whatever a
pattern says of it, and the names in `ALWAYS_IGNORED` are not open to patterns at all.

The user's global ignore file (`core.excludesFile`) is not read.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from longllama_code.paths import repository_root

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

_Stamp = tuple[int, int]


class _Rule(NamedTuple):
    """One line of a rules file."""

    regex: re.Pattern[str]
    ignores: bool


class _Layer(NamedTuple):
    """The rules of one file, and the length of its folder's path below the top."""

    skip_chars: int
    rules: tuple[_Rule, ...]

    def verdict(self, path: str) -> bool | None:
        """Whether the last rule that names the path ignores it; None if none names it."""
        own = path[self.skip_chars :]
        return next((rule.ignores for rule in reversed(self.rules) if rule.regex.search(own)), None)


class _AllowList(NamedTuple):
    """The `include` setting: it can only take away, so that rules files keep their say."""

    layer: _Layer

    def verdict(self, path: str) -> bool | None:
        """Return True for a file that no pattern names, nor a folder above it; None otherwise."""
        if path.endswith("/"):
            return None  # it may hold a file that a pattern names
        ends = [len(path), *(i + 1 for i in reversed(range(len(path))) if path[i] == "/")]
        verdicts = (self.layer.verdict(path[:end]) for end in ends)
        return None if next((v for v in verdicts if v is not None), False) else True


class FolderRules:
    """Rules for the direct children of one folder, as they were when it was created."""

    def __init__(self, folder: Path, prefix: str, layers: tuple[_Layer | _AllowList, ...]) -> None:
        self._folder = folder
        self._prefix = prefix
        self._layers = layers

    def ignores(self, name: str, *, is_dir: bool) -> bool:
        """Whether a child of this folder is ignored, by its own name and kind alone."""
        if name in ALWAYS_IGNORED or (is_dir and _is_virtual_environment(self._folder / name)):
            return True
        path = f"{self._prefix}{name}/" if is_dir else f"{self._prefix}{name}"
        verdicts = (layer.verdict(path) for layer in self._layers)
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
    ) -> None:
        """Prepare the rules; no rules file is read yet.

        Args:
            root: the workspace folder, absolute. Rules of the repository around it count too.
            respect_gitignore: whether git's own rules count.
            ignore_file: the name of the product's own rules files.
            include: where not empty, files that none of these patterns names are ignored.
            exclude: patterns that ignore in spite of any rules file. Both are in gitignore
                syntax and relative to `root`.

        Raises:
            ValueError: a pattern of `include` or `exclude` is not in gitignore syntax.
        """
        self.root = root
        self.file_names: tuple[str, ...] = (ignore_file, *[".gitignore"] * respect_gitignore)
        """Names of rules files, strongest first; a change of one may change any decision."""
        self._top = _repository_top(root)
        self._info_exclude = self._top / ".git" / "info" / "exclude" if respect_gitignore else None
        self._settings = tuple(self._layers_of_settings(include, exclude))
        self._cache: dict[Path, tuple[_Stamp, tuple[_Rule, ...]]] = {}

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

    def _layers_of_settings(
        self, include: tuple[str, ...], exclude: tuple[str, ...]
    ) -> Iterator[_Layer | _AllowList]:
        skip_chars = len(self._prefix(self.root))
        if exclude:
            yield _Layer(skip_chars, tuple(_parse(exclude)))
        if include:
            yield _AllowList(_Layer(skip_chars, tuple(_parse(include))))

    def _layers_of_files(self, folder: Path) -> Iterator[_Layer]:
        """Yield every rules file that applies to the children of `folder`, strongest first."""
        folders = [folder, *folder.parents]
        folders = folders[: folders.index(self._top) + 1]
        for name in self.file_names:
            for place in folders:
                if rules := self._rules(place / name):
                    yield _Layer(len(self._prefix(place)), rules)
        if self._info_exclude and (rules := self._rules(self._info_exclude)):
            yield _Layer(0, rules)

    def _rules(self, file: Path) -> tuple[_Rule, ...]:
        """Return the rules in `file`, read only if it changed; none where it cannot be read."""
        stamp = _stamp(file)
        if stamp is None:
            return ()
        known = self._cache.get(file)
        if known is None or known[0] != stamp:
            known = self._cache[file] = (stamp, _read_rules(file))
        return known[1]

    def _prefix(self, folder: Path) -> str:
        """Return the prefix, relative to the top, of the paths of `folder`'s children."""
        return "".join(f"{part}/" for part in folder.relative_to(self._top).parts)


def is_pattern(text: str) -> bool:
    """Whether a text is in gitignore syntax."""
    with suppress(ValueError):
        list(_parse([text]))
        return True
    return False


def _repository_top(root: Path) -> Path:
    """Return the folder of the repository that `root` is in, or `root` where it is in none."""
    return repository_root(root) or root


def _is_virtual_environment(folder: Path) -> bool:
    return _stamp(folder / "pyvenv.cfg") is not None


def _stamp(file: Path) -> _Stamp | None:
    """Return a value that changes when `file` does; None if it cannot be examined."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _read_rules(file: Path) -> tuple[_Rule, ...]:
    """Return the rules in `file`, without lines that are invalid for git too."""
    try:
        # As git does: any bytes may stand in a file name, and only a line feed ends a line.
        text = file.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError:
        return ()
    rules: list[_Rule] = []
    for line in text.split("\n"):
        with suppress(ValueError):
            rules.extend(_parse([line]))
    return tuple(rules)


def _parse(patterns: Iterable[str]) -> Iterator[_Rule]:
    """Compile patterns to expressions that name a path itself: `a/file`, or `a/folder/`.

    Raises:
        ValueError: a pattern is not in gitignore syntax.
    """
    for pattern in patterns:
        try:
            # `a/**` is everything inside a, so never a itself: `a/**/*` says so to pathspec.
            spelt_out = re.sub(r"(^!?|/)\*\*(/?\s*)$", r"\1**/*\2", pattern)
            regex, ignores = GitIgnoreSpecPattern.pattern_to_regex(spelt_out)
            if regex is not None and ignores is not None:
                # pathspec lets a folder's pattern match all that lies inside. Git goes folder by
                # folder, as we do, so that a deeper file can overrule what was said of one.
                yield _Rule(re.compile(rf"(?:{regex})\Z"), ignores)
        except (ValueError, re.error) as error:
            raise ValueError(f"{pattern!r} is not a gitignore pattern") from error
