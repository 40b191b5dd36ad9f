"""Guesses of a value's class from its name or from the members that it is used with.

style.    ▶ class Style                      by the name, or by its last words
g.        ▶ the class that has add_edge      if g.add_edge is used elsewhere in the file
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from longllama_code.definitions.index import DefinitionIndex, folded
from longllama_code.definitions.layout import path_distance
from longllama_code.definitions.resolving import Chain, Target

MIN_CHARS = 3
MAX_CLASSES = 2
MAX_MEMBERS = 40
MAX_OWNERS = 30
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def guess_classes(index: DefinitionIndex, path: str, chain: Chain, text: str) -> Sequence[Target]:
    """Return the classes that a value may have, the likeliest first.

    Args:
        index: the repository.
        path: the file that is being written.
        chain: the value, by its names.
        text: the file.
    """
    found = dict.fromkeys((*by_use(index, path, chain, text), *by_name(index, path, chain[-1])))
    return list(found)[:MAX_CLASSES]


def by_name(index: DefinitionIndex, path: str, name: str) -> Sequence[Target]:
    """Return the classes whose name is that of a variable, or its last words."""
    words = [word.lower() for word in WORDS.findall(name)]
    for first in range(len(words)):
        wanted = "".join(words[first:])
        for one in (wanted, wanted.removesuffix("s")):
            if len(one) >= MIN_CHARS and (found := list(_named(index, path, one))):
                return found[:MAX_CLASSES]
    return ()


def by_use(index: DefinitionIndex, path: str, chain: Chain, text: str) -> Sequence[Target]:
    """Return the classes that have most of the members that a value is used with."""
    value = r"\s*\.\s*".join(map(re.escape, chain))
    members = dict.fromkeys(re.findall(rf"(?<![\w.]){value}\.([^\W\d]\w*)", text)[:MAX_MEMBERS])
    owners = Counter[Target]()
    for name in members:
        files = index.defining(name)
        if len(files) <= MAX_OWNERS:
            owners.update(set(_owners(index, files, name)))
    if not owners:
        return ()
    most = max(owners.values())
    best = [target for target, count in owners.items() if count == most]
    if most == 1 and len(best) > 1:
        return ()
    return sorted(best, key=lambda one: (path_distance(path, one.path), one.full_name))


def _named(index: DefinitionIndex, path: str, wanted: str) -> Iterator[Target]:
    paths = sorted(index.with_class(wanted), key=lambda one: (path_distance(path, one), one))
    for one in paths[:MAX_OWNERS]:
        file = index.file(one)
        for definition in () if file is None else file.facts.definitions:
            if definition.kind == "class" and folded(definition.name) == wanted:
                yield Target(one, definition)


def _owners(index: DefinitionIndex, files: Sequence[str], name: str) -> Iterator[Target]:
    """Yield the classes that have a member of a name."""
    for path in files:
        file = index.file(path)
        if file is None:
            continue
        owners = {one.owner for one in file.facts.definitions if one.name == name and one.owner}
        for owner in owners:
            for definition in file.named(owner):
                if definition.kind == "class":
                    yield Target(path, definition)
