"""Index of the definitions and imports of a repository, updated as files change.

    put(path, text) ──▶ facts of the file ──▶ definition(path, name), defining(name), targets(…)

An index over another one (``DefinitionIndex.over``) sees that one's files, except those that it
replaces: one user's edits over a shared repository.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath

from longllama_code.definitions.files import MAX_NAMED_CHARS, Facts, File, FreshFacts, names_of
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Definition, Import
from longllama_code.definitions.layout import Paths

MAX_REEXPORTS = 4
"""Maximum number of re-exports that are followed."""
MAX_TARGETS = 4
"""Maximum number of files that an import may resolve to."""
MAX_LIVE = 8
"""Maximum number of texts being written whose facts are cached."""
EVERYTHING = "*"
FOLDER_FILES = frozenset(("__init__", "index", "mod", "lib"))
"""Stems of files that an import of their folder means."""

Located = tuple[str, Definition]
"""Path of a file, and a definition in it."""


class DefinitionIndex:
    """Definitions of a repository; results do not depend on the order of ``put``.

    Args:
        facts: reader of texts; None reads without a cache.
    """

    def __init__(self, facts: Facts | None = None) -> None:
        self._facts: Facts = FreshFacts() if facts is None else facts
        self._base: DefinitionIndex | None = None
        self._own: dict[str, File] = {}
        self._hidden: set[str] = set()
        self._paths = Paths()
        self._defined: defaultdict[str, set[str]] = defaultdict(set)
        self._classes: defaultdict[str, set[str]] = defaultdict(set)
        self._files_with: Counter[str] = Counter()
        self._digest = 0
        self._targets: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._targets_of: object = None
        self._live: dict[int, File] = {}
        self._n_changes = 0
        """Number of files added or removed so far."""

    @classmethod
    def over(cls, base: DefinitionIndex) -> DefinitionIndex:
        """Return an index over another one, whose files it sees until it replaces them."""
        index = cls(base._facts)
        index._base = base
        return index

    # Files.

    def put(self, path: str, text: str) -> None:
        """Add a file, or replace its earlier version and the base's."""
        digest = _digest(path, text)
        former = self._own.get(path)
        if former is not None and former.digest == digest:
            return
        kept = text if _configures(path) else ""
        self._uncount(path)
        facts, is_whole = self._facts.read(path, text), len(text) <= MAX_NAMED_CHARS
        file = File(facts, digest, kept, names_of(text), is_whole=is_whole)
        self._own[path] = file
        was_hidden = path in self._hidden
        self._hidden.discard(path)
        self._digest ^= digest
        self._count_in(path, file)
        if former is None or was_hidden or kept:
            self._paths.add(path)
            self._n_changes += 1

    def forget(self, path: str) -> None:
        """Remove a file of this index or of the base."""
        self._take_out(path)
        if self._base is not None and self._base.has(path) and path not in self._hidden:
            self._hidden.add(path)
            self._n_changes += 1

    def restore(self, path: str) -> None:
        """See the base's version of a file again."""
        self._take_out(path)
        if path in self._hidden:
            self._hidden.discard(path)
            self._n_changes += 1

    @property
    def state(self) -> int:
        """Hash of the paths and texts of all visible files."""
        if self._base is None:
            return self._digest
        state = self._base.state ^ self._digest
        for path in {*self._own, *self._hidden}:
            replaced = self._base.file(path)
            state ^= 0 if replaced is None else replaced.digest
        return state

    def file(self, path: str) -> File | None:
        """Return the facts of a file; None if the index lacks it."""
        own = self._own.get(path)
        if own is not None or self._base is None or path in self._hidden:
            return own
        return self._base.file(path)

    def live(self, path: str, text: str) -> File:
        """Return the facts of a text as if it were the file at a path; the index is unchanged."""
        digest = _digest(path, text)
        file = self._live.pop(digest, None)
        if file is None:
            file = File(FreshFacts().read(path, text), digest, text)
        self._live[digest] = file  # dicts are ordered: the last ones stay
        if len(self._live) > MAX_LIVE:
            del self._live[next(iter(self._live))]
        return file

    def _take_out(self, path: str) -> None:
        if self._uncount(path):
            self._paths.remove(path)
            self._n_changes += 1

    def _uncount(self, path: str) -> bool:
        file = self._own.pop(path, None)
        if file is None:
            return False
        self._digest ^= file.digest
        for name in file.names:
            self._files_with[name] -= 1
            if not self._files_with[name]:
                del self._files_with[name]
        for table, name in self._entries(file):
            table[name].discard(path)
            if not table[name]:
                del table[name]
        return True

    def _count_in(self, path: str, file: File) -> None:
        self._files_with.update(file.names)
        for table, name in self._entries(file):
            table[name].add(path)

    def _entries(self, file: File) -> Iterator[tuple[defaultdict[str, set[str]], str]]:
        """Yield the tables that list a file, and the name under which each of them does."""
        for one in file.facts.definitions:
            yield self._defined, one.name
            if one.kind == "class":
                yield self._classes, folded(one.name)

    # Layout.

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        if path in self._own:
            return True
        return self._base is not None and path not in self._hidden and self._base.has(path)

    def ending(self, tail: str) -> Sequence[str]:
        """Return the files whose path is ``tail``, or ends with ``/`` and ``tail``, sorted."""
        own = self._paths.ending(tail)
        return own if self._base is None else self._with_base(own, self._base.ending(tail))

    def within(self, folder: str) -> Sequence[str]:
        """Return the files directly in a folder, sorted."""
        own = self._paths.within(folder)
        return own if self._base is None else self._with_base(own, self._base.within(folder))

    def text(self, path: str) -> str:
        """Return the text of a configuration file; empty if there is none."""
        file = self.file(path)
        return "" if file is None else file.text

    def _with_base(self, own: Sequence[str], base: Sequence[str]) -> Sequence[str]:
        return tuple(sorted({*own, *(path for path in base if path not in self._hidden)}))

    # Names.

    def defining(self, name: str) -> Sequence[str]:
        """Return the files that define a name, also as a member, sorted."""
        own = tuple(sorted(self._defined.get(name, ())))
        if self._base is None:
            return own
        seen = (path for path in self._base.defining(name) if path not in self._own)
        return self._with_base(own, tuple(seen))

    def beginning_with(self, begun: str, ending: str) -> Iterator[str]:
        """Yield the names at the top level of files that begin so.

        Args:
            begun: the names' beginning.
            ending: end of the files' paths, such as ``.py``.
        """
        for name in [name for name in self._defined if name.startswith(begun)]:
            paths = (path for path in self._defined[name] if path.endswith(ending))
            if any(self._own[path].named(name) for path in paths):
                yield name
        if self._base is not None:
            yield from self._base.beginning_with(begun, ending)

    def with_class(self, name: str) -> Sequence[str]:
        """Return the files with a class of this ``folded`` name, sorted."""
        own = tuple(sorted(self._classes.get(name, ())))
        if self._base is None:
            return own
        seen = (path for path in self._base.with_class(name) if path not in self._own)
        return self._with_base(own, tuple(seen))

    def n_users(self, name: str, *, of_member: bool = False) -> int:
        """Return about how many files use a name without defining it.

        Args:
            name: the name.
            of_member: whether only uses behind a dot count.
        """
        n_files = self._files_with.get("." + name, 0) - len(self._defined.get(name, ()))
        if not of_member:
            n_files += self._files_with.get(name, 0)
        if self._base is not None:
            n_files += self._base.n_users(name, of_member=of_member)
        return n_files

    def has_word(self, name: str) -> bool:
        """Whether a name stands in any file, behind a dot or not."""
        if self._files_with.get(name) or self._files_with.get("." + name):
            return True
        return self._base is not None and self._base.has_word(name)

    def targets(self, path: str, imported: Import) -> Sequence[str]:
        """Return the files that an import may resolve to, the likeliest first."""
        version = self._version()
        if self._targets_of != version:
            self._targets_of, self._targets = version, {}
        key = (path, imported.module, imported.name)
        found = self._targets.get(key)
        if found is None:
            language = language_of(path)
            files = () if language is None else language.resolve(imported, path, self)
            found = self._targets[key] = tuple(islice(files, MAX_TARGETS))
        return found

    def definition(self, path: str, name: str, depth: int = MAX_REEXPORTS) -> Located | None:
        """Return the definition of a file's name, following re-exports."""
        file = self.file(path)
        if file is None:
            return None
        if own := file.named(name):
            return path, own[0]
        if depth:
            for imported in file.facts.imports:
                if imported.is_public and imported.alias in (name, EVERYTHING):
                    found = self._imported(path, imported, name, depth)
                    if found is not None:
                        return found
        return None

    def _imported(self, path: str, imported: Import, name: str, depth: int) -> Located | None:
        if imported.alias == EVERYTHING:
            if name.startswith("_"):
                return None
        elif not imported.name:
            return None
        else:
            name = imported.name
        for target in self.targets(path, imported):
            found = self.definition(target, name, depth - 1)
            if found is not None:
                return found
        return None

    def _version(self) -> tuple[int, ...]:
        base = () if self._base is None else self._base._version()
        return (self._n_changes, *base)


def folded(name: str) -> str:
    """Return a name without its style: equal for ``GraphView`` and ``graph_view``."""
    return name.replace("_", "").lower()


def is_module(path: str, name: str) -> bool:
    """Whether a file's name makes it the module of a name."""
    pure = PurePosixPath(path)
    return pure.stem == name or (pure.stem in FOLDER_FILES and pure.parent.name == name)


def _digest(path: str, text: str) -> int:
    found = hashlib.blake2b(digest_size=8)
    found.update(path.encode("utf-8", "replace") + b"\0")
    found.update(text.encode("utf-8", "surrogatepass"))
    return int.from_bytes(found.digest(), "big")


def _configures(path: str) -> bool:
    """Whether a file configures how imports are resolved."""
    return PurePosixPath(path).name in CONFIGURATION


CONFIGURATION = frozenset(
    (
        "go.mod",
        "Cargo.toml",
        "jsconfig.json",
        "package.json",
        "tsconfig.json",
        "tsconfig.app.json",
        "tsconfig.base.json",
        "tsconfig.build.json",
    )
)
"""Names of the files that any ``Language.resolve`` reads (``Language.configuration``)."""
