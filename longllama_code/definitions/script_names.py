"""Whether the names that a suggestion of TypeScript or JavaScript takes from modules exist there.

    import { NAME } from './cart'      export { NAME } from './cart'      cart.NAME

Only modules that are named by a relative path are looked at, and for ``cart.NAME`` only namespaces
(``import * as cart from './cart'``). A module lacks a name if the index has all of its text, and
the word stands nowhere in it, nor in the files beside it of the same stem (``cart.native.ts``).
Nothing is said of declaration files, CommonJS, ``export =``, of what ``export *`` takes from
elsewhere than a relative path, or of names that any ``declare module`` may add.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

from longllama_code.definitions.files import File
from longllama_code.definitions.index import (
    EVERYTHING,
    MAX_REEXPORTS,
    MAX_TARGETS,
    DefinitionIndex,
)
from longllama_code.definitions.languages.facts import Import
from longllama_code.definitions.languages.grammars import parsed
from longllama_code.definitions.missing import MissingName

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
MODULE = r"(?P<quote>['\"])(?P<module>\.{1,2}(?:/[\w@.+~-]+)*/?)(?P=quote)"
LISTED = re.compile(
    r"^[ \t]*(?:import|export)\s*(?:type\b\s*)?(?:[\w$]+\s*,\s*)?"
    rf"\{{(?P<names>[^{{}}'\"`;]{{0,3000}})\}}\s*from\s*{MODULE}",
    re.MULTILINE,
)
"""An import or export of names from a relative path."""
PART = re.compile(r"[^,]+")
ITEM = re.compile(rf"\s*(?:type\s+)?(?P<name>{NAME})(?:\s+as\s+[\w$]+)?\s*")
OPEN = re.compile(r"^[ \t]*(?:import|export)\b[^;'\"`()=]*\Z", re.MULTILINE)
"""An import or export whose module is not written yet, at the end of a text."""
IMPORTS = re.compile(
    r"^[ \t]*(?:import|export)\b(?:(?!\n[ \t]*(?:import|export)\b)[^;'\"`()=])*?"
    r"\bfrom\s*['\"][^'\"\n]*['\"]",
    re.MULTILINE,
)
"""A whole import or export from a module. One that is not whole ends where the next one begins, so
that the time is linear."""
CHAIN = re.compile(rf"(?<![\w$.)\]'\"`])(?P<owner>[A-Za-z_$][\w$]*)\.(?P<name>{NAME})(?![\w$])")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
NEAR_CHARS = 4000
"""Characters before the cursor in which the statement at the cursor begins."""
TAIL_CHARS = 1000
"""Characters behind a suggestion in which its statement ends."""
DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")
TYPED = (".ts", ".tsx", ".mts", ".cts")
OF_ANY = frozenset(
    (
        *("default", "type", "as", "then", "constructor", "hasOwnProperty", "isPrototypeOf"),
        *("propertyIsEnumerable", "toLocaleString", "toString", "valueOf"),
    )
)
"""Words that are no names of exports, or that any object may have."""
IDENTIFIERS = frozenset(
    ("identifier", "property_identifier", "type_identifier", "shorthand_property_identifier")
)


@dataclass(frozen=True)
class ScriptUse:
    """A name and the module that it is taken from, with its place in the text searched."""

    name: str
    module: str
    start: int
    end: int


def missing_in_script(
    index: DefinitionIndex,
    path: str,
    prefix: str,
    suggestion: str,
    suffix: str,
    new_words: frozenset[str],
    *,
    is_whole: bool,
) -> MissingName | None:
    """Return the first name of a suggestion that does not exist where it is taken from.

    Arguments are those of ``existing_names.missing_name``.
    """
    n_begun = _n_begun(prefix)
    begun = prefix[len(prefix) - n_begun :] + suggestion
    last = len(begun) if is_whole and not re.match(r"[\w$]", suffix) else len(begun) - 1
    whole = prefix + suggestion + suffix
    uses = [*_listed(begun + suffix[:TAIL_CHARS]), *_members(begun, whole, prefix + suffix)]
    for use in uses:
        if not n_begun < use.end <= last or use.name in new_words:
            continue
        start = use.start - n_begun
        lacks = _lacking_module(index, path, use)
        if lacks is not None and _is_identifier(path, whole, len(prefix) + start):
            return MissingName(use.name, start, lacks)
    return None


def exported_names(index: DefinitionIndex, path: str, depth: int = MAX_REEXPORTS) -> Iterator[str]:
    """Yield what a module exports by its statements, and what it hands on."""
    file = index.file(path)
    if file is None or not depth:
        return
    for one in file.facts.definitions:
        if not one.owner and one.shown.startswith("export") and one.name != "default":
            yield one.name
    for one in file.facts.imports:
        if one.is_public and one.alias == EVERYTHING:
            for target in index.targets(path, one):
                yield from exported_names(index, target, depth - 1)
        elif one.is_public and one.alias != "default":
            yield one.alias


# Names that are used.


def _n_begun(prefix: str) -> int:
    """Return how many characters before the cursor belong to its line or its import."""
    near = prefix[-NEAR_CHARS:]
    start, opened = near.rfind("\n") + 1, OPEN.search(near)
    return len(near) - (start if opened is None else min(start, opened.start()))


def _listed(text: str) -> Iterator[ScriptUse]:
    """Yield the names between the braces of imports and exports."""
    for found in LISTED.finditer(text):
        first = found.start("names")
        listed = COMMENT.sub(lambda comment: " " * len(comment[0]), found["names"])
        for part in PART.finditer(listed):
            item = ITEM.fullmatch(listed, *part.span())
            if item is not None:
                start, end = item.span("name")
                yield ScriptUse(item["name"], found["module"], first + start, first + end)


def _members(text: str, whole: str, known: str) -> Iterator[ScriptUse]:
    """Yield the names behind a dot of what is imported as a namespace.

    Args:
        text: where they are looked for.
        whole: the file with them.
        known: the file without them: what it takes from there already exists.
    """
    namespace = cache(partial(_namespace, text=whole, code=IMPORTS.sub("", whole)))
    for found in CHAIN.finditer(text):
        owner, name = found["owner"], found["name"]
        module = namespace(owner)
        if module and not _n_times(rf"{re.escape(owner)}\s*\??\.\s*{name}", known):
            yield ScriptUse(name, module, *found.span("name"))


def _namespace(owner: str, text: str, code: str) -> str:
    """Return the module that a name of a file stands for wherever it stands; empty if unsure.

    Args:
        owner: the name.
        text: the file.
        code: the file without its imports.
    """
    word = re.escape(owner)
    imported = rf"^[ \t]*import\s+(?:[\w$]+\s*,\s*)?\*\s*as\s+{word}\s+from\s*{MODULE}"
    modules = [found["module"] for found in re.finditer(imported, text, re.MULTILINE)]
    n_all, n_taken_from = _n_times(word, code), _n_times(rf"{word}\s*\??\.\s*[A-Za-z_$]+", code)
    return modules[0] if len(modules) == 1 and n_all == n_taken_from else ""


def _n_times(word: str, text: str) -> int:
    return len(re.findall(rf"(?<![\w$.]){word}(?![\w$])", text))


def _is_identifier(path: str, text: str, offset: int) -> bool:
    """Whether an identifier stands at an offset of a text, not a part of a string or comment."""
    before = text[:offset]
    if before.count("`") % 2 or before.rfind("/*") > before.rfind("*/"):
        return False
    function = "language_typescript" if path.endswith((".ts", ".mts", ".cts")) else "language_tsx"
    tree = parsed(text.encode("utf-8", "replace"), "tree_sitter_typescript", function)
    if tree is None:
        return False
    at = len(before.encode("utf-8", "replace"))
    node = tree.root_node.descendant_for_byte_range(at, at + 1)
    return node is not None and node.type in IDENTIFIERS


# Names that exist.


def _lacking_module(index: DefinitionIndex, path: str, use: ScriptUse) -> str | None:
    """Return the module that lacks a name; None if it may exist."""
    if use.name.startswith("__") or use.name in OF_ANY or _may_be_declared(index, use.name):
        return None
    modules = _modules(index, path, use.module)
    return modules[0] if modules and all(_lacks(index, one, use.name) for one in modules) else None


def _may_be_declared(index: DefinitionIndex, name: str) -> bool:
    """Whether a file declares a name, which may be for another module."""
    files = (index.file(path) for path in index.defining(name))
    return any(file is not None and "declare" in file.names for file in files)


def _modules(index: DefinitionIndex, path: str, module: str) -> tuple[str, ...]:
    """Return all files that a relative path may mean, and those beside them; none if unsure."""
    found = index.targets(path, Import("", module)) if module.startswith(".") else ()
    if not found or len(found) >= MAX_TARGETS:
        return ()
    if module.endswith((".", "/")) and not all("/index." in f"/{one}" for one in found):
        return ()  # a folder: its index is not known
    if path.endswith(TYPED) and not all(one.endswith(TYPED) for one in found):
        return ()  # a declaration of its types may be left out of the index
    beside = (other for one in found for other in _variants(index, one))
    return tuple(dict.fromkeys((*found, *beside)))


def _variants(index: DefinitionIndex, path: str) -> Iterator[str]:
    """Yield the files that some tools take in place of one: ``cart.native.ts``."""
    folder, stem = path.rpartition("/")[0], path[: path.rfind(".") + 1]
    return (one for one in index.within(folder) if one.startswith(stem))


def _lacks(index: DefinitionIndex, path: str, name: str, depth: int = MAX_REEXPORTS) -> bool:
    """Whether a module certainly lacks a name."""
    file = index.file(path)
    if file is None or not depth or path.endswith(DECLARATIONS) or not _is_static(file):
        return False
    if name in file.names or f".{name}" in file.names:
        return False
    stars = (one for one in file.facts.imports if one.is_public and one.alias == EVERYTHING)
    handed_on = [_modules(index, path, star.module) for star in stars]
    return all(
        modules and all(_lacks(index, one, name, depth - 1) for one in modules)
        for modules in handed_on
    )


def _is_static(file: File) -> bool:
    """Whether all that a file exports stands in its text, and the index has that."""
    names = file.names
    return file.is_whole and "export" in names and not {"exports", ".exports"}.intersection(names)
