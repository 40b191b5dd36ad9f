"""Counterparts of the function that is being written: the method it overrides, and its namesakes.

class Store(Base):          ▶ Base.put
    def put(self, item):    ▶ the functions named put in the files nearest to this one
        |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages.facts import Definition
from longllama_code.definitions.layout import path_distance
from longllama_code.definitions.resolving import Location, Resolver, Target

MAX_NAMESAKES = 2
MAX_DISTANCE = 2
"""Maximum steps between folders to a namesake: from a package to its sibling."""
MAX_FILES = 30
"""Maximum number of files that define a name; more common names, such as ``main``, are skipped."""


@dataclass(frozen=True)
class Counterpart:
    """A function that corresponds to the one being written.

    Attributes:
        target: the function.
        is_overridden: whether it is overridden; otherwise it has the same name.
    """

    target: Target
    is_overridden: bool


def counterparts(
    index: DefinitionIndex, resolver: Resolver, place: Location
) -> Iterator[Counterpart]:
    """Yield the counterparts of the function around a line, the closest first.

    Args:
        index: the repository.
        resolver: resolver of the file that is being written.
        place: the line.
    """
    written = _function_around(resolver, place)
    if written is None or written.name.startswith("__"):
        return
    overridden = set(_overridden(resolver, place, written)) if written.owner else set[Target]()
    yield from (Counterpart(one, is_overridden=True) for one in overridden)
    namesakes = (one for one in _namesakes(index, place.path, written) if one not in overridden)
    for _, one in zip(range(MAX_NAMESAKES), namesakes, strict=False):
        yield Counterpart(one, is_overridden=False)


def _function_around(resolver: Resolver, place: Location) -> Definition | None:
    """Return the innermost function around a line."""
    file = resolver.file(place.path)
    around = [
        one
        for one in (() if file is None else file.facts.definitions)
        if one.kind in ("function", "method") and one.first_line <= place.line <= one.last_line
    ]
    return max(around, key=lambda one: one.first_line, default=None)


def _overridden(resolver: Resolver, place: Location, written: Definition) -> Iterator[Target]:
    """Yield the nearest base class's method with the name of the one being written."""
    around = resolver.enclosing(place)
    for ancestor in () if around is None else resolver.ancestors(around)[1:]:
        for one in resolver.members(ancestor):
            if one.definition is not None and one.definition.name == written.name:
                yield one
                return


def _namesakes(index: DefinitionIndex, path: str, written: Definition) -> Iterator[Target]:
    """Yield functions of the same name and kind in other files, the nearest first."""
    files = [one for one in index.defining(written.name) if one != path]
    if len(files) > MAX_FILES:
        return
    near = [(path_distance(path, one), one) for one in files]
    for distance, other in sorted(near):
        file = index.file(other)
        if distance > MAX_DISTANCE or file is None:
            return
        for one in file.facts.definitions:
            if one.name == written.name and one.kind == written.kind:
                yield Target(other, one)
                break
