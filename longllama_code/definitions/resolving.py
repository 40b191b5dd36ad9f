"""Resolution of expressions by names: ``self.store`` has the class that ``store`` was set to.

Nothing is executed; only the texts are used: annotations, the call that makes a value, return
types, base classes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from longllama_code.definitions.files import File
from longllama_code.definitions.index import EVERYTHING, DefinitionIndex, is_module
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Binding, Definition, Import

MAX_DEPTH = 8
MAX_TYPES = 3
MAX_ANCESTORS = 12
MAX_SIBLINGS = 40
MAX_BINDINGS = 3
MAX_CHAINS = 6
MAX_PATH = 6
OWN = frozenset(("self", "cls", "this", "Self"))
ABOVE = frozenset(("super",))
CHAIN = re.compile(r"[^\W\d][\w$]*(?:(?:\.|::)[^\W\d][\w$]*)*")
SEPARATOR = re.compile(r"\.|::")

Chain = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file, whose scope names are resolved in."""

    path: str
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a name refers to: a definition, or a whole module.

    Targets are equal if their definition is the same object: a file has each one once.
    """

    path: str
    definition: Definition | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Target):
            return NotImplemented
        return self.path == other.path and self.definition is other.definition

    def __hash__(self) -> int:
        return hash((self.path, id(self.definition)))

    @property
    def full_name(self) -> str:
        """Name as in ``Definition.full_name``; empty for a module."""
        return "" if self.definition is None else self.definition.full_name


class Resolver:
    """Resolves names for one request.

    Args:
        index: the repository.
        path: the file that is being written.
        file: its current facts.
    """

    def __init__(self, index: DefinitionIndex, path: str, file: File) -> None:
        self._index, self._path, self._own = index, path, file
        self._known: dict[tuple[Location, Chain], Sequence[Target]] = {}
        self._types: dict[tuple[Location, str], Sequence[Target]] = {}
        self._enclosing: dict[Location, Target | None] = {}
        self._ancestors: dict[Target, Sequence[Target]] = {}
        self._packages: dict[tuple[str, str, str, bool], tuple[str, ...]] = {}
        self._members: dict[tuple[str, ...], dict[str, list[Target]]] = {}

    def file(self, path: str) -> File | None:
        """Return the facts of a file; the current ones for the file that is being written."""
        return self._own if path == self._path else self._index.file(path)

    def enclosing(self, place: Location) -> Target | None:
        """Return the innermost class around a line."""
        if place not in self._enclosing:
            self._enclosing[place] = self._class_around(place)
        return self._enclosing[place]

    def _class_around(self, place: Location) -> Target | None:
        file = self.file(place.path)
        if file is None:
            return None
        around = [
            one
            for one in file.facts.definitions
            if one.kind == "class" and one.first_line <= place.line <= one.last_line
        ]
        if around:
            return Target(place.path, max(around, key=lambda one: one.first_line))
        for one in file.facts.definitions:  # methods that are written outside of their type
            if one.kind == "method" and one.first_line <= place.line <= one.last_line:
                return next(self._classes(place.path, one.owner), None)
        return None

    def resolve(self, chain: Chain, place: Location) -> Sequence[Target]:
        """Return what an expression at a line may refer to, the likeliest first."""
        key = (place, chain)
        if key not in self._known:
            if len(self._known) > 20_000:
                return ()
            self._known[key] = ()  # a name defined by itself resolves to nothing
            self._known[key] = self._resolved(chain, place)
        return self._known[key]

    def types_of(self, target: Target) -> Sequence[Target]:
        """Return the classes of a value or of a call's result; a module is returned itself."""
        one = target.definition
        if one is None or one.kind == "class":
            return (target,)
        return self.named_types(one.type, Location(target.path, one.first_line))

    def named_types(self, written: str, place: Location) -> Sequence[Target]:
        """Return the classes that a type, as written at a line, names."""
        key = (place, written)
        if key not in self._types:
            self._types[key] = ()
            self._types[key] = tuple(self._named_types(written, place))
        return self._types[key]

    def ancestors(self, target: Target) -> Sequence[Target]:
        """Return a class and its base classes, the nearest first."""
        if target not in self._ancestors:
            self._ancestors[target] = self._with_bases(target)
        return self._ancestors[target]

    def members(self, target: Target) -> Sequence[Target]:
        """Return a class's own members, from every file of its package."""
        package = self.package(target.path)
        if len(package) == 1:
            file = self.file(target.path)
            own = () if file is None else file.members(target.full_name)
            return [Target(target.path, one) for one in own]
        if package not in self._members:
            self._members[package] = found = defaultdict[str, list[Target]](list)
            for path in package:
                file = self.file(path)
                for one in () if file is None else file.facts.definitions:
                    if one.owner:
                        found[one.owner].append(Target(path, one))
        return self._members[package].get(target.full_name, ())

    def package(self, path: str) -> tuple[str, ...]:
        """Return the files of a module: the file, or those of its package in the same folder."""
        file = self.file(path)
        if file is None or not file.facts.package:
            return (path,)
        language, folder = language_of(path), path.rpartition("/")[0]
        tests = "" if language is None else language.tests
        ending = path[path.rfind(".") :]
        sees_tests = path == self._path or (tests != "" and path.endswith(tests + ending))
        key = (folder, file.facts.package, ending, sees_tests)
        if key not in self._packages:
            near = [one for one in self._index.within(folder) if one.endswith(ending)]
            if tests and not sees_tests:
                near = [one for one in near if not one.endswith(tests + ending)]
            name = file.facts.package
            found = {one for one in near if (of := self.file(one)) and of.facts.package == name}
            self._packages[key] = tuple(sorted(found | {path}))
        return self._packages[key]

    def heads(self, path: str) -> Sequence[Target]:
        """Return a module's top-level definitions, or else its re-exports."""
        file = self.file(path)
        if file is None:
            return ()
        own = [
            Target(part, one)
            for part in self.package(path)
            if (of_part := self.file(part)) is not None
            for one in of_part.facts.definitions
            if not one.owner
        ]
        if own:
            return own
        handed = [one for one in file.facts.imports if one.is_public and one.name]
        return [found for one in handed for found in self.imported(path, one)[:1]]

    def imported(self, path: str, imported: Import) -> Sequence[Target]:
        """Return what an import refers to: a definition or a module."""
        targets = self._index.targets(path, imported)
        if not imported.name:
            return [Target(one) for one in targets[:1]]
        for one in targets:
            found = self._index.definition(one, imported.name)
            if found is not None:
                return [Target(*found)]
        if modules := [Target(one) for one in targets if is_module(one, imported.name)]:
            return modules[:1]
        return self._only_one(imported.name) if targets else ()

    def _only_one(self, name: str) -> Sequence[Target]:
        """Return a name's only definition in the repository, if the module's own was not found."""
        paths = self._index.defining(name)
        file = self._index.file(paths[0]) if len(paths) == 1 else None
        return () if file is None else [Target(paths[0], one) for one in file.named(name)[:1]]

    def member(self, target: Target, name: str) -> Sequence[Target]:
        """Return the member of a value or module that has a name."""
        if target.definition is None:
            return self._of_module(target.path, name)
        for one in self.types_of(target):
            if one.definition is None:
                return self._of_module(one.path, name)
            for ancestor in self.ancestors(one):
                for member in self.members(ancestor):
                    if member.definition is not None and member.definition.name == name:
                        return (member,)
            if found := self._set_elsewhere(one, name):
                return found
        return ()

    def _set_elsewhere(self, target: Target, name: str) -> Sequence[Target]:
        """Return the types of an attribute that has no definition."""
        file = self.file(target.path)
        if file is None:
            return ()
        for own in ("self", "this"):
            for bound in file.bound(f"{own}.{name}"):
                if bound.owner == target.full_name:
                    return self.named_types(bound.type, Location(target.path, bound.line))
        return ()

    def _of_module(self, path: str, name: str) -> Sequence[Target]:
        for part in self.package(path):
            file = self.file(part)
            if file is not None and (own := file.named(name)):
                return (Target(part, own[0]),)
        found = self._index.definition(path, name)
        if found is not None:
            return (Target(*found),)
        folder = path.rpartition("/")[0]
        inner = self._index.within(f"{folder}/{name}" if folder else name)
        near = (*self._index.within(folder)[:500], *inner[:100])
        return [Target(one) for one in near if one != path and is_module(one, name)][:1]

    def _resolved(self, chain: Chain, place: Location) -> Sequence[Target]:
        found, n_taken = self._head(chain, place)
        for name in chain[n_taken:]:
            found = [member for one in found[:MAX_TYPES] for member in self.member(one, name)]
        return found[:MAX_TYPES]

    def _head(self, chain: Chain, place: Location) -> tuple[Sequence[Target], int]:
        """Return what the first names of a chain refer to, and how many names that took."""
        file = self.file(place.path)
        if file is None:
            return (), 1
        name = chain[0]
        if (name in OWN or name in ABOVE) and (found := self._self(name, place)):
            return found, 1
        if (bound := self._bound(file, name, place)) is not None:
            return bound, 1
        if own := file.named(name):
            return [Target(place.path, own[0])], 1
        for n_taken in range(min(len(chain), 5), 0, -1):
            if (found := self._by_import(file, ".".join(chain[:n_taken]), place)) is not None:
                return found, n_taken
        if found := self._elsewhere(file, name, place):
            return found, 1
        return self._by_path(chain, place)

    def _self(self, name: str, place: Location) -> Sequence[Target]:
        around = self.enclosing(place)
        if around is None:
            return ()
        return [around] if name in OWN else self.ancestors(around)[1:]

    def _bound(self, file: File, name: str, place: Location) -> Sequence[Target] | None:
        """Return a variable's types by the nearest assignment before the line."""
        seen = [one for one in file.bound(name) if one.first_line <= place.line <= one.last_line]
        if not seen:
            return None
        seen.sort(key=lambda one: _nearness(one, place.line))
        for one in seen[:MAX_BINDINGS]:
            if found := self.named_types(one.type, Location(place.path, one.line)):
                return found
        return ()

    def _by_import(self, file: File, alias: str, place: Location) -> Sequence[Target] | None:
        for imported in file.aliases(alias):
            if found := self.imported(place.path, imported):
                return found
        return None

    def _by_path(self, chain: Chain, place: Location) -> tuple[Sequence[Target], int]:
        """Resolve a path that begins at a module without an import: ``crate::store``."""
        language = language_of(place.path)
        separator = "" if language is None else language.separator
        for n_taken in range(min(len(chain), MAX_PATH), 1 if separator else len(chain), -1):
            module = separator.join(chain[: n_taken - 1])
            if found := self.imported(place.path, Import("", module, chain[n_taken - 1])):
                return found, n_taken
        return (), 1

    def _elsewhere(self, file: File, name: str, place: Location) -> Sequence[Target]:
        """Find a name through wildcard imports, in the same package or in the class around."""
        for imported in file.aliases(EVERYTHING):
            for one in self._index.targets(place.path, imported):
                if found := self._index.definition(one, name):
                    return [Target(*found)]
        if file.facts.package:
            folder = place.path.rpartition("/")[0]
            package = file.facts.package
            for path in self._index.defining(name):
                other = self._index.file(path)
                if other is None or other.facts.package != package:
                    continue
                is_same = "." in package or path.rpartition("/")[0] == folder
                if is_same and (own := other.named(name)):
                    return [Target(path, own[0])]
        around = self.enclosing(place)
        if around is not None:
            return self.member(around, name)
        return ()

    def _named_types(self, written: str, place: Location) -> Iterator[Target]:
        seen = set[Target]()
        for found in CHAIN.findall(written)[:MAX_CHAINS]:
            for target in self.resolve(tuple(SEPARATOR.split(found)), place):
                for one in self.types_of(target):
                    if one not in seen and len(seen) < MAX_TYPES:
                        seen.add(one)
                        yield one

    def _with_bases(self, target: Target) -> Sequence[Target]:
        found = {target: None}
        waiting = [target]
        while waiting and len(found) < MAX_ANCESTORS:
            one = waiting.pop(0)
            if one.definition is None:
                continue
            place = Location(one.path, one.definition.first_line)
            for base in one.definition.bases:
                for above in self.named_types(base, place):
                    if above not in found:
                        found[above] = None
                        waiting.append(above)
        return tuple(found)[:MAX_ANCESTORS]

    def _classes(self, path: str, owner: str) -> Iterator[Target]:
        """Yield the class of methods written outside of it, from this file or its folder."""
        folder = path.rpartition("/")[0]
        near = [
            one
            for one in self._index.defining(owner.rpartition(".")[2])[:MAX_SIBLINGS]
            if one.rpartition("/")[0] == folder
        ]
        for one in (path, *near):
            file = self.file(one)
            for definition in () if file is None else file.named(owner):
                if definition.kind == "class":
                    yield Target(one, definition)


def _nearness(bound: Binding, line: int) -> tuple[int, int, int]:
    """Return the sort key of a name's variables: innermost scope, then the last before the line."""
    is_later = bound.line >= line and bound.line != bound.first_line
    return -bound.first_line, int(is_later), bound.line if is_later else -bound.line
