"""Names of Python that a suggestion uses without taking them from anywhere, and that exist nowhere.

    raise NoSuchOptionError(      where the file, or the repository, has NoSuchOption

A name may be about to be made or imported, so one that exists nowhere proves nothing by itself. It
counts as missing only where others exist that begin as it does: with the letters that were typed,
or with most of its own. Python's own names and those of its library exist.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections import Counter
from functools import cache
from math import ceil

from longllama_code.definitions.index import EVERYTHING, DefinitionIndex
from longllama_code.definitions.missing import MissingName
from longllama_code.definitions.name_uses import NEAR_CHARS, identifiers, is_identifier

NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")
ENDING = ".py"
MIN_TYPED = 3
"""Letters of a name that must be typed for others to be meant by them."""
COMMON_SHARE = 0.6
"""Share of a name from its beginning that must be common to another, if none of it is typed."""
MIN_COMMON = 5
MAX_PLACES, MAX_ALL_PLACES = 4, 200
"""Places of a word, and of all together, that are looked at, to tell code from texts."""
BINDING_LINE = re.compile(r"\s*(?:import|from|global|nonlocal|del|case)\b")
DEFINING_LINE = re.compile(r"\s*(?:async\s+)?def\b")
BINDING_PART = re.compile(r"\bfor\b(?!.*\bin\b)|\blambda\b[^:]*$|\b(?:as|def|class)\s*$")
"""Ends of lines behind which a name is bound, not used."""
WORDS = frozenset(
    (
        *("return", "raise", "await", "in", "not", "and", "or", "is", "if", "elif", "while"),
        *("else", "yield", "except", "assert", "from"),
    )
)
"""Words behind which a name is used."""
LAST_WORD = re.compile(r"(\w+)\s*$")
OPERATORS = "=+-*/%<>|&^~@"


def unknown_at_large(
    index: DefinitionIndex,
    path: str,
    prefix: str,
    suggestion: str,
    suffix: str,
    new_words: frozenset[str],
    *,
    is_whole: bool,
) -> MissingName | None:
    """Return the first name that exists nowhere while others begin as it does.

    Arguments are those of ``existing_names.missing_name``, for a file of Python.
    """
    line = prefix[-NEAR_CHARS:].rpartition("\n")[2]
    if len(line) == NEAR_CHARS:
        return None
    text = line + suggestion
    elsewhere = _Elsewhere(index, path, prefix, suffix, new_words)
    for found in NAME.finditer(text):
        name, start = found[0], found.start() - len(line)
        if found.end() <= len(line) or len(re.findall(rf"\b{name}\b", text)) > 1:
            continue
        is_last = found.end() == len(text)
        if is_last and (not is_whole or re.match(r"\w", suffix)):
            continue
        if not _is_use(text, found.start(), found.end()) or elsewhere.knows(name):
            continue
        instead = elsewhere.instead_of(name, max(0, -start))
        if instead and is_identifier(prefix + suggestion + suffix, len(prefix) + start):
            return MissingName(name, start, path, instead=instead)
    return None


def _is_use(text: str, start: int, end: int) -> bool:
    """Whether a name of a text is certainly read there, not bound, by its line alone."""
    before = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
    if not before or BINDING_LINE.match(before) or BINDING_PART.search(before):
        return False
    if re.match(r"\s*:?=(?!=)", text[end:]):
        return False
    last = before[-1]
    if word := LAST_WORD.search(before):
        return word[1] in WORDS
    if last in OPERATORS or last == "[":
        return True
    if last == ":":
        return bool(DEFINING_LINE.match(before)) or before.count("[") > before.count("]")
    if last not in "(,{" or DEFINING_LINE.match(before):
        return False
    # A name behind a bracket or comma may be an argument's, or one of several that are bound.
    opens = sum(map(before.count, "([{")) - sum(map(before.count, ")]}"))
    return opens > 0 and end < len(text)


class _Elsewhere:
    """What a file and its repository have beside a suggestion."""

    def __init__(
        self,
        index: DefinitionIndex,
        path: str,
        prefix: str,
        suffix: str,
        new_words: frozenset[str],
    ) -> None:
        self._index, self._path = index, path
        self._text = f"{prefix[: len(prefix) - _n_typed(prefix)]}\n{suffix}"
        self._new_words = new_words

    def knows(self, name: str) -> bool:
        """Whether a name stands anywhere, or may come from a module that the index lacks."""
        return (
            name in self._new_words
            or _is_of_python(name)
            or self._index.has_word(name)
            or re.search(rf"\b{name}\b", self._text) is not None
            or self._takes_everything()
        )

    def instead_of(self, name: str, n_typed: int) -> frozenset[str]:
        """Return the names that begin as a name does."""
        common = max(MIN_COMMON, ceil(COMMON_SHARE * len(name)))
        if 0 < n_typed < MIN_TYPED or (not n_typed and common >= len(name)):
            return frozenset()
        begun = name[: n_typed or common]
        names = {
            *self._used(begun),
            *self._index.beginning_with(begun, ENDING),
            *(one for one in dir(builtins) if one.startswith(begun)),
        }
        return frozenset(names - {begun})

    def _used(self, begun: str) -> set[str]:
        """Return the names that the file's code has and that begin so."""
        names, n_seen = dict[int, str](), Counter[str]()
        for found in re.finditer(rf"(?<![\w.]){begun}\w*", self._text):
            n_seen[found[0]] += 1
            if n_seen[found[0]] <= MAX_PLACES and len(names) < MAX_ALL_PLACES:
                names[found.start()] = found[0]
        return {names[offset] for offset in identifiers(self._text, names)}

    def _takes_everything(self) -> bool:
        """Whether the file has a star import of which the index does not have the module."""
        file = self._index.file(self._path) or self._index.live(self._path, self._text)
        stars = (one for one in file.facts.imports if one.alias == EVERYTHING)
        return any(not self._index.targets(self._path, star) for star in stars)


def _n_typed(prefix: str) -> int:
    found = re.search(r"\w*\Z", prefix[-NEAR_CHARS:])
    return 0 if found is None else len(found[0])


@cache
def _library_names() -> frozenset[str]:
    """Return the names of Python's modules, and what those have that this process uses."""
    own = sys.stdlib_module_names
    modules = [one for name, one in list(sys.modules.items()) if name.partition(".")[0] in own]
    return frozenset(own).union(*(getattr(module, "__dict__", ()) for module in modules))


def _is_of_python(name: str) -> bool:
    return keyword.iskeyword(name) or hasattr(builtins, name) or name in _library_names()
