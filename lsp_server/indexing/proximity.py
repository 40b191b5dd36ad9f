"""Proximity of files to the open ones: imported files first, then by distance of folders.

What an imported file imports in turn comes next: a name of the one is often of a type of the other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from longllama_code.definitions.layout import folder_distance

MAX_CHARS = 100_000
"""Length of the beginning of an open file that is searched for imports."""
_IMPORT = re.compile(
    r"""^[ \t]*(?:export\b.*?\bfrom|import|from|use|using|include|require(?:_relative)?|mod|@import
        |\#[ \t]*(?:include|import)|package)\b(?P<line>[^\n]*)
      | \b(?:require|import|from)[ \t]*\(?[ \t]*["'](?P<quoted>[^"'\n]+)["']
      | ^[ \t]*"(?P<go>[\w./-]+)"[ \t]*$""",
    re.MULTILINE | re.VERBOSE,
)
_NAME = re.compile(r"[\w@-]+(?:(?:::|[./\\])+[\w@-]+)*")
_SEPARATORS = re.compile(r"::|[./\\]+")
_SLASHES = re.compile(r"[/\\]+")
_NAMED_BY_FOLDER = frozenset({"__init__", "index", "mod", "lib", "main"})
"""Stems of files that are imported by the name of their folder."""
_SUFFIXES = frozenset(
    ("h", "hpp", "hh", "c", "cc", "cpp", "js", "jsx", "ts", "tsx", "mjs", "cjs", "vue", "css", "rb")
)
"""Suffixes that an import may have, and that are not part of the name."""
MAX_PARTS = 3
"""Most parts at the end of an import that are compared with a file's path."""


MAX_STEPS = 3
"""Most imports that lead to a file, one from the other."""

Rank = tuple[int, int]
"""Lower is nearer: imports from an open file on that lead to it, then steps between folders."""


class Proximity:
    """Ranks files by their proximity to the open documents.

    Args:
        texts: path → text of every open document.
        paths: files to rank in advance, so that the work can be done on a thread.
    """

    def __init__(self, texts: Mapping[Path, str], paths: Iterable[Path] = ()) -> None:
        self.open = frozenset(texts)
        self._folders = [path.parent.parts for path in texts]
        self._imported = [_Imports() for _ in range(MAX_STEPS)]
        """Imports of the open documents, of what these import, and so on."""
        for text in texts.values():
            self._imported[0].add(text)
        self._ranks: dict[Path, Rank] = {}
        for path in paths:
            self.rank(path)

    def rank(self, path: Path) -> Rank:
        """Return a file's rank."""
        known = self._ranks.get(path)
        if known is None:
            steps = [folder_distance(path.parent.parts, folder) for folder in self._folders]
            known = self._ranks[path] = self._n_imports(path), min(steps, default=0)
        return known

    def followed(self, texts: Mapping[Path, str]) -> Proximity:
        """Return the proximity where what some files import is known, too.

        Args:
            texts: path → text of files; those that no import leads to count for nothing.
        """
        levels = {path: self.rank(path)[0] for path in texts}
        leading = [path for path, level in levels.items() if level + 1 < MAX_STEPS]
        if not leading:
            return self
        nearer = Proximity({})
        nearer.open, nearer._folders = self.open, self._folders
        nearer._imported = [each.copy() for each in self._imported]
        for path in leading:
            nearer._imported[levels[path] + 1].add(texts[path])
        for path in list(self._ranks):
            nearer.rank(path)
        return nearer

    def _n_imports(self, path: Path) -> int:
        """Return the imports that lead to a file, from 0 on; ``MAX_STEPS`` if none does."""
        steps = (step for step, known in enumerate(self._imported) if known.lead_to(path))
        return next(steps, MAX_STEPS)


class _Imports:
    """What some texts import, by the last part of its path."""

    def __init__(self) -> None:
        self._by_last: dict[str, set[tuple[str, ...]]] = defaultdict(set)

    def copy(self) -> _Imports:
        """Return imports to which others can be added."""
        copied = _Imports()
        copied._by_last.update((last, set(names)) for last, names in self._by_last.items())
        return copied

    def add(self, text: str) -> None:
        """Add what a text imports."""
        for parts in imports(text):
            self._by_last[parts[-1]].add(parts)

    def lead_to(self, path: Path) -> bool:
        """Whether one of them names a file."""
        parts = (*path.parent.parts, path.stem.removesuffix(".d"))
        if path.suffix == ".go":  # an import ends in the folder of a package
            parts = parts[:-1]
            return any(parts[-2:] == name[-2:] for name in self._by_last.get(parts[-1], ()))
        if parts[-1] in _NAMED_BY_FOLDER:
            parts = parts[:-1]
        return any(parts[-len(name) :] == name for name in self._by_last.get(parts[-1], ()))


def imports(text: str) -> set[tuple[str, ...]]:
    """Return the last parts of all paths that a text may import, in any language.

    Example: ``from a.b import c`` → ``a/b`` and ``a/b/c``, as ``c`` may be a module or a name in
    one.
    """
    found: set[tuple[str, ...]] = set()
    for match in _IMPORT.finditer(text[:MAX_CHARS]):
        line = match["line"] or ""
        names = [_parts(name) for name in _NAME.findall(match["quoted"] or match["go"] or line)]
        names = [parts for parts in names if parts]
        if match[0].lstrip().startswith("from") and len(names) > 2:  # Python: a module, then names
            module, *members = [parts for parts in names if parts != ("import",)]
            names = [module, *([*module, *member] for member in members)]
        for parts in names:
            tail = tuple(parts[-MAX_PARTS:])
            found.add(tail)
            if len(parts) > 1:
                found.add(tuple(parts[-MAX_PARTS - 1 : -1]))
    return found


def _parts(name: str) -> Sequence[str]:
    separators = _SLASHES if "/" in name else _SEPARATORS
    parts = [part for part in separators.split(name) if part.strip(".")]
    if parts:
        stem, _, suffix = parts[-1].rpartition(".")
        parts[-1] = stem if suffix in _SUFFIXES else parts[-1]
    return parts
