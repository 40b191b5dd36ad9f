"""Whether the names that a suggestion takes from the repository's modules and classes exist there.

    from shop.cart import NAME      cart.NAME      shop.cart.NAME      Colour.NAME

Whatever is not certain exists (``lacking.py``). For names that are taken from nowhere see
``names_at_large.py``, for TypeScript and JavaScript ``script_names.py``; other languages are not
looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from longllama_code.definitions.cursor_text import cursor_text
from longllama_code.definitions.files import File
from longllama_code.definitions.index import MAX_TARGETS, DefinitionIndex
from longllama_code.definitions.lacking import (
    class_lacks,
    is_package,
    module_lacks,
    names_of_class,
    names_of_module,
)
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Import
from longllama_code.definitions.languages.python.files import is_root
from longllama_code.definitions.missing import MissingName
from longllama_code.definitions.name_uses import NameUse, begun, is_identifier, uses
from longllama_code.definitions.names_at_large import unknown_at_large
from longllama_code.definitions.script_names import exported_names, missing_in_script

MAX_USES = 50
SCRIPTS = frozenset(("typescript", "javascript"))
"""Languages whose names `script_names` looks at."""
WORD = re.compile(r"\w+")
IMPORTS = re.compile(r"^[ \t]*(?:from\b[^()\n]*\([^()]*\)|(?:from|import)\b[^\n]*)", re.MULTILINE)
BINDING = re.compile(r"\b(?:for|as|def|class|lambda|global|del)\s")
REST_END = re.compile(r"[\n:]")
"""Words that bind the names behind them, up to the end of the line or a colon."""
_Place = tuple[str, str]
"""Path of a file, and the name of a class in it or nothing."""


def missing_name(
    index: DefinitionIndex,
    path: str,
    prefix: str,
    suggestion: str,
    suffix: str,
    new_words: frozenset[str] = frozenset(),
    *,
    is_whole: bool = True,
) -> MissingName | None:
    """Return the first name of a suggestion that does not exist where it is taken from.

    Args:
        index: the repository.
        path: the file that is being written.
        prefix: its text before the cursor.
        suggestion: text at the cursor.
        suffix: text after it.
        new_words: words that were written a short while ago, which the index may not have.
        is_whole: whether the suggestion's last word is complete.
    """
    language = language_of(path)
    if language is not None and language.name in SCRIPTS:
        return missing_in_script(
            index, path, prefix, suggestion, suffix, new_words, is_whole=is_whole
        )
    if language is None or language.name != "Python":
        return None
    n_begun = begun(prefix)
    text = prefix[len(prefix) - n_begun :] + suggestion
    found = [use for use in uses(text) if use.end > n_begun and use.names[-1] not in new_words]
    if not is_whole or WORD.match(suffix):
        found = [use for use in found if use.end < len(text)]
    check = _Check(index, path, prefix, suffix)
    at_large = unknown_at_large(
        index, path, prefix, suggestion, suffix, new_words, is_whole=is_whole
    )
    for use in found[:MAX_USES]:
        lacking = check.lacking(use)
        start = use.start - n_begun
        if at_large is not None and at_large.start < start:
            return at_large
        whole = prefix + suggestion + suffix
        if lacking is not None and is_identifier(whole, len(prefix) + start):
            return MissingName(use.names[-1], start, *lacking)
    return at_large


def existing_names(index: DefinitionIndex, missing: MissingName) -> frozenset[str]:
    """Return the names that could stand in place of a missing one."""
    if missing.instead:
        return missing.instead
    if missing.owner:
        return frozenset(names_of_class(index, missing.path, missing.owner))
    language = language_of(missing.path)
    if language is not None and language.name in SCRIPTS:
        return frozenset(exported_names(index, missing.path))
    return frozenset(names_of_module(index, missing.path))


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """Return the words of some texts."""
    return frozenset(word for text in texts for word in WORD.findall(text))


class _Check:
    """Check of the names that one file takes from elsewhere."""

    def __init__(self, index: DefinitionIndex, path: str, prefix: str, suffix: str) -> None:
        self._index, self._path = index, path
        self._prefix, self._suffix = prefix, suffix
        self._text = prefix + suffix

    def lacking(self, use: NameUse) -> _Place | None:
        """Return what lacks a name; None if it may exist, or if the file uses it already."""
        if use.names[-1].startswith("__"):
            return None
        if use.module:
            return self._without(self._modules(use.module), use)
        if ".".join(use.names) in self._text:
            return None
        return self._without_member(use)

    # Modules.

    def _modules(self, module: str) -> Sequence[str]:
        """Return all files that a module may be; none if it may be one of another repository."""
        found = self._index.targets(self._path, Import("", module))
        if len(found) >= MAX_TARGETS:
            return ()
        if "." in module:
            return found
        are_near = (is_root(_root_of(one), self._path, self._index) for one in found)
        return found if all(are_near) else ()

    def _without(self, files: Sequence[str], use: NameUse) -> _Place | None:
        """Return the first of some files if all lack a name; None if one may have it."""
        name, may_be = use.names[-1], use.may_be_module
        lack = (module_lacks(self._index, one, name, may_be_module=may_be) for one in files)
        return (files[0], "") if files and all(lack) else None

    # Names behind a dot.

    def _without_member(self, use: NameUse) -> _Place | None:
        """Return what lacks the last name of a chain; None if it may exist."""
        own = self._file()
        for n_taken in range(len(use.names) - 1, 0, -1):
            imports = own.aliases(".".join(use.names[:n_taken]))
            if not imports:
                continue
            if not self._is_bound_by_imports_alone(use.names[0]):
                return None
            found = {self._behind(one, n_taken, use) for one in imports}
            return found.pop() if len(found) == 1 else None
        return None

    def _file(self) -> File:
        """Return the facts of the file: those of the index, a moment old, cost nothing."""
        known = self._index.file(self._path)
        if known is not None:
            return known
        language = language_of(self._path)
        filler = "" if language is None else language.filler
        rest = cursor_text(self._prefix, self._suffix, filler).rest
        return self._index.live(self._path, rest)

    def _is_bound_by_imports_alone(self, name: str) -> bool:
        """Whether a name of the file is that of an import wherever it stands, by its words."""
        return not _is_bound(name, IMPORTS.sub("", self._text))

    def _behind(self, imported: Import, n_taken: int, use: NameUse) -> _Place | None:
        """Return what lacks the last name behind an import; None if it may exist."""
        rest = use.names[n_taken:]
        modules = packages = self._modules(imported.module)
        if imported.name:
            dot = "" if imported.module.endswith(".") else "."
            modules = self._modules(f"{imported.module}{dot}{imported.name}")
            if any(imported.name in self._words(one) for one in packages):
                return None if modules else self._of_class(packages, imported.name, rest)
        return self._of_modules(modules, rest, use)

    def _of_modules(
        self, files: Sequence[str], rest: tuple[str, ...], use: NameUse
    ) -> _Place | None:
        """Return what lacks the last of some names, whose others are submodules."""
        if len(rest) == 1:
            return self._without(files, use)
        if len(files) != 1 or not is_package(files[0]) or rest[0] in self._words(files[0]):
            return None
        folder = files[0].rpartition("/")[0]
        stem = f"{folder}/{rest[0]}" if folder else rest[0]
        inner = [one for one in (f"{stem}.py", f"{stem}/__init__.py") if self._index.has(one)]
        return self._of_modules(inner, rest[1:], use) if len(inner) == 1 else None

    def _of_class(self, files: Sequence[str], name: str, rest: tuple[str, ...]) -> _Place | None:
        found = self._index.definition(files[0], name) if len(files) == len(rest) == 1 else None
        if found is None or not class_lacks(self._index, found, rest[0]):
            return None
        return found[0], found[1].name

    def _words(self, path: str) -> Sequence[str]:
        file = self._index.file(path)
        return () if file is None else file.names


def _is_bound(name: str, code: str) -> bool:
    """Whether some code may bind a name: by an assignment, a statement, or as a parameter.

    What stands behind a word is searched once for all such words before it, so that the time is
    linear in the length of a line.
    """
    for found in re.finditer(rf"(?<![\w.]){name}\s*(?::[^=\n]*)?", code):
        if code.startswith("=", found.end()) and not code.startswith("==", found.end()):
            return True
    word, searched = re.compile(rf"\b{name}\b"), 0
    for found in BINDING.finditer(code):
        if found.end() >= searched:
            end = REST_END.search(code, found.end())
            searched = len(code) if end is None else end.start()
            if word.search(code, found.end(), searched):
                return True
    return re.search(rf"[(,]\s*\*{{0,2}}{name}\s*[,:)=]", code) is not None


def _root_of(path: str) -> str:
    """Return the folder that a module or package is in, with a slash."""
    folder = path.rpartition("/")[0]
    if is_package(path):
        folder = folder.rpartition("/")[0]
    return folder and folder + "/"
