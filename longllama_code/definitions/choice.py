"""What a cursor needs to see of the repository's definitions, most wanted first.

    receiver      members of what stands before the dot          self.store.|
    called        what is called with the arguments at hand      put(path, |
    imported      what the file imports and does not use yet, then what it used last
    typed         classes of the variables around
    base          what the class that is written inherits
    overridden    what the function that is written overrides, and its namesakes in files nearby
    step          classes that those give or take

What is chosen depends on the names in use, not on each key: the identifier that is being typed does
not count, and neither does what stands before it on its line as a statement.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2
from pathlib import PurePosixPath

from longllama_code.definitions.around import NAMES, Around, around, chains_in, everywhere
from longllama_code.definitions.counterparts import counterparts
from longllama_code.definitions.guessing import guessed
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Definition, Import, Kind
from longllama_code.definitions.resolving import OWN, Chain, Place, Resolver, Target

RECEIVER, CALLED, UNUSED, TYPED, IMPORTED, BASE, MODULE, STEP = 100, 90, 75, 66, 60, 50, 40, 30
"""Worth of a definition, by why it is wanted."""
RECENCY = 10
"""What the last name used is wanted more than the first one."""
MEMBER, PRIVATE, INHERITED, SPECIAL = 12, 5, 1, 40
"""Worth that a member has less than its class."""
GUESSED, OVERRIDDEN, NAMESAKE, TESTED = 80, 70, 45, 25
TEST = re.compile(r"^tests?_|_tests?$|[.-](?:test|spec)$|Tests?$")
"""What tells a test's file from the one that it tests."""
LENGTH = 0.02
"""Worth that each character of a definition costs."""
UNUSED_ELSEWHERE = 8
"""Worth that something has less which no other file uses."""
MAX_CHAINS = 80
MAX_IMPORTS = 200
MAX_MEMBERS = 200
MAX_HEADS = 3000
MAX_CHOSEN = 400
MAX_CLASSES = 20
"""Most members of a module that are shown."""
CONSTRUCTORS = frozenset(("__init__", "__new__", "__call__", "constructor", "new", "New"))


@dataclass(frozen=True, slots=True)
class Less:
    """Worth that members have less than their class, by why that is wanted."""

    member: float
    static: float
    constructor: float


OF_IMPORTED = Less(MEMBER, MEMBER - 3, 0.5)
OF_CALLED = Less(3 * MEMBER, 3 * MEMBER, 0.5)
OF_VALUE = Less(5, 8, 8)
OF_CLASS = Less(5, 2, 8)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A definition that a cursor may need.

    Attributes:
        path: its file.
        name: what it is called, with its class.
        kind: what it is.
        shown: how it is written, without its body.
        line: where.
        last_line: where it ends.
        reason: why it was chosen, in plain words.
        wanted: how much, the larger the more.
        heads: line and head of each class around it.
    """

    path: str
    name: str
    kind: Kind
    shown: str
    line: int
    last_line: int
    reason: str
    wanted: float
    heads: tuple[tuple[int, str], ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is, wherever it stands in its file and however much it is wanted."""
        return self.path, self.name, self.shown


def choose(index: DefinitionIndex, path: str, prefix: str, suffix: str) -> list[Chosen]:
    """Return the definitions that a cursor needs, the most wanted first.

    Args:
        index: the repository; whether it has the file at ``path`` does not matter.
        path: the file that is being written.
        prefix: all of its text before the cursor.
        suffix: all of its text behind it.
    """
    language = language_of(path)
    filler = "" if language is None else language.filler
    return _Choice(index, path, around(prefix, suffix, filler)).for_cursor()


def choose_for_file(index: DefinitionIndex, path: str, text: str) -> list[Chosen]:
    """Return the definitions of other files that a file uses, the most wanted first.

    They are the same wherever its cursor is: what they are written as can be read once for all.

    Args:
        index: the repository; whether it has the file at ``path`` does not matter.
        path: the file that is being written.
        text: all of it.
    """
    return _Choice(index, path, everywhere(text)).for_file()


class _Choice:
    """Collects definitions for one cursor."""

    def __init__(self, index: DefinitionIndex, path: str, at: Around) -> None:
        self._index, self._path, self._at = index, path, at
        self._file = index.live(path, at.rest)
        self._resolver = Resolver(index, path, self._file)
        self._place = Place(path, at.line)
        self._found: dict[Target, tuple[float, str]] = {}
        self._on_line = set(NAMES.findall(at.prefix[at.prefix.rfind("\n") + 1 :]))
        self._heads_of: dict[tuple[str, str], tuple[tuple[int, str], ...]] = {}

    def for_cursor(self) -> list[Chosen]:
        """Ask all sources."""
        self._add_receiver()
        self._add_called()
        self._add_bases()
        self._add_counterparts()
        return self.for_file()

    def for_file(self) -> list[Chosen]:
        """Ask the sources for which it does not matter where in the file the cursor is."""
        self._add_imports()
        self._add_used()
        self._add_tested()
        return self._ranked()

    def _ranked(self) -> list[Chosen]:
        """Return what was found, the most wanted first."""
        ordered = sorted(self._found.items(), key=_order)[:MAX_CHOSEN]
        return [self._chosen(one, *why) for one, why in ordered]

    def _chosen(self, target: Target, wanted: float, reason: str) -> Chosen:
        one, path = target.definition, target.path
        assert one is not None  # modules are not wanted themselves
        key = (path, one.owner)
        if key not in self._heads_of:
            self._heads_of[key] = tuple(self._heads(path, one.owner)) if one.owner else ()
        lines = one.first_line, one.last_line
        return Chosen(
            path,
            target.full_name,
            one.kind,
            one.shown,
            *lines,
            reason,
            wanted,
            self._heads_of[key],
        )

    def _heads(self, path: str, owner: str) -> Iterable[tuple[int, str]]:
        file = self._resolver.file(path)
        names = owner.split(".")
        for count in range(1, len(names) + 1):
            for one in () if file is None else file.named(".".join(names[:count])):
                if one.kind == "class":
                    yield one.first_line, one.shown
                    break

    # What is wanted.

    def _want(self, target: Target, wanted: float, reason: str) -> None:
        one = target.definition
        if one is None or not one.shown or self._is_visible(target.path, one):
            return
        known = self._found.get(target)
        if known is None or known[0] < wanted:
            self._found[target] = (wanted, reason)

    def _is_visible(self, path: str, one: Definition) -> bool:
        first, last = self._at.visible
        return path == self._path and first <= one.first_line <= last

    def _want_all(self, target: Target, wanted: float, reason: str) -> None:
        """Want a definition; of a class its members, of a module what it defines."""
        if target.definition is None:
            self._want_module(target, wanted, reason)
        elif target.definition.kind == "class":
            self._want_class(target, wanted, reason)
        else:
            self._want(target, wanted, reason)

    def _want_class(
        self, target: Target, wanted: float, reason: str, less: Less = OF_IMPORTED
    ) -> None:
        is_constructed = False
        for distance, ancestor in enumerate(self._resolver.ancestors(target)):
            level = wanted - min(distance, 4) * INHERITED
            self._want(ancestor, level, reason)
            for one in self._resolver.members(ancestor)[:MAX_MEMBERS]:
                if one.definition is None:
                    continue
                penalty = self._penalty(one.definition, less)
                if _is_constructor(one.definition):
                    penalty += SPECIAL if is_constructed else 0
                self._want(one, level - penalty, reason)
            is_constructed |= any(
                one.definition is not None and _is_constructor(one.definition)
                for one in self._resolver.members(ancestor)[:MAX_MEMBERS]
            )

    def _penalty(self, one: Definition, less: Less) -> float:
        """Return the worth that a definition has less than what it belongs to."""
        length = LENGTH * len(one.shown)
        if _is_constructor(one):
            return less.constructor + length
        if one.name.startswith("__"):
            return SPECIAL
        is_private = one.name.startswith("_") or one.is_private
        is_private = is_private and not self._is_used(one.name)
        of_kind = less.static if one.is_static else less.member
        return of_kind + length + self._rarity(one) + (PRIVATE if is_private else 0)

    def _rarity(self, one: Definition) -> float:
        """Return the worth that something has less, the fewer files use its name."""
        n_users = self._index.n_users(one.name, of_member=bool(one.owner))
        return UNUSED_ELSEWHERE if n_users < 1 else max(0.0, 5 - 1.5 * log2(n_users))

    def _want_module(
        self, target: Target, wanted: float, reason: str, less: float = MEMBER
    ) -> None:
        n_classes = 0
        is_own = self._path in self._resolver.package(target.path)
        for one in self._resolver.heads(target.path)[:MAX_HEADS]:
            if one.definition is None or (one.definition.is_private and not is_own):
                continue
            private = PRIVATE if one.definition.name.startswith("_") else 0
            self._want(one, wanted - private - self._rarity(one.definition), reason)
            if one.definition.kind == "class" and n_classes < MAX_CLASSES:
                n_classes += 1
                self._want_class(one, wanted - less, reason)

    # Sources.

    def _add_receiver(self) -> None:
        chain = self._at.receiver
        targets = self._resolver.resolve(chain, self._place) if chain else ()
        found = [(target, one) for target in targets for one in self._resolver.types_of(target)]
        reason = f"what stands before the cursor: {'.'.join(chain)}"
        for order, (target, one) in enumerate(found):
            if one.definition is None:
                self._want_module(one, RECEIVER - order, reason, RECEIVER - BASE)
            else:
                less = OF_CLASS if _is_class(target, chain) else OF_VALUE
                self._want_class(one, RECEIVER - order, reason, less)
        if chain and not found and chain[0] not in OWN:
            self._add_guessed(chain)
        if self._at.imports_from:
            self._add_importable()

    def _add_guessed(self, chain: Chain) -> None:
        guesses = guessed(self._index, self._path, chain, self._at.rest)
        for order, target in enumerate(guesses):
            reason = f"what stands before the cursor, by its name or use: {'.'.join(chain)}"
            self._want_class(target, GUESSED - order, reason, OF_VALUE)

    def _add_importable(self) -> None:
        imported = Import("*", self._at.imports_from)
        for path in self._index.targets(self._path, imported)[:1]:
            self._want_module(Target(path), RECEIVER, f"imported from {imported.module}")

    def _add_called(self) -> None:
        for level, chain in enumerate(self._at.calls):
            for target in self._resolver.resolve(chain, self._place):
                reason = f"what is called: {'.'.join(chain)}"
                one = target.definition
                if one is None or one.kind != "class":
                    self._want(target, CALLED - level, reason)
                else:
                    self._want_class(target, CALLED - level, reason, OF_CALLED)

    def _add_imports(self) -> None:
        """Want what is imported: what is not used yet is about to be, then what was used last."""
        imports = self._file.facts.imports[-MAX_IMPORTS:]
        names = [one.alias.split(".")[0] for one in imports]
        ranks = {at: rank for rank, at in enumerate(sorted({self._last_use(one) for one in names}))}
        for imported, name in zip(imports, names, strict=True):
            used = len(self._file.uses(name)) > 1 or name in self._on_line
            recency = RECENCY * (ranks[self._last_use(name)] + 1) / len(ranks)
            wanted = (IMPORTED if used else UNUSED) + recency
            why = "used last" if used else "not used yet"
            for target in self._resolver.imported(self._path, imported):
                level = wanted if target.definition is not None else wanted - IMPORTED + MODULE
                self._want_all(target, level, f"imported as {imported.alias}, {why}")

    def _is_used(self, name: str) -> bool:
        """Whether a name stands anywhere in the file, but where it is being typed."""
        return name in self._on_line or bool(self._file.uses(name))

    def _last_use(self, name: str) -> int:
        """Return where a name stands for the last time before the cursor; -1 for nowhere."""
        end = self._at.prefix.rfind("\n") + 1
        if name in self._on_line:
            return end
        uses = self._file.uses(name)
        place = bisect_left(uses, end)
        return uses[place - 1] if place else -1

    def _add_used(self) -> None:
        """Want the classes of values in use near the cursor, and what is said of them."""
        chains = chains_in(self._at.near)[:MAX_CHAINS]
        for order, chain in enumerate(chains):
            late = RECENCY * (1 - order / len(chains))
            reason = f"in use: {'.'.join(chain)}"
            for n_names in range(len(chain), 0, -1):
                for target in self._resolver.resolve(chain[:n_names], self._place):
                    self._add_value(target, late, reason)

    def _add_value(self, target: Target, late: float, reason: str) -> None:
        one = target.definition
        if one is None:
            return
        self._want(target, TYPED + late, reason)
        if one.kind != "class":
            for of in self._resolver.types_of(target):
                if of.definition is not None:
                    self._want_class(of, TYPED - 5 + late, reason)

    def _add_bases(self) -> None:
        around_it = self._resolver.enclosing(self._place)
        if around_it is None:
            return
        name = around_it.definition.name if around_it.definition else ""
        self._want_class(around_it, BASE, f"the class being written: {name}")

    def _add_counterparts(self) -> None:
        for one in counterparts(self._index, self._resolver, self._place):
            wanted, why = (
                (OVERRIDDEN, "what is overridden")
                if one.is_overridden
                else (NAMESAKE, "a namesake")
            )
            self._want(one.target, wanted, f"{why}: {one.target.full_name} of {one.target.path}")

    def _add_tested(self) -> None:
        """Want what the file defines that a test is of, by their names."""
        pure = PurePosixPath(self._path)
        tested = TEST.sub("", pure.stem)
        if tested == pure.stem or not tested:
            return
        for path in self._index.ending(tested + pure.suffix)[:1]:
            self._want_module(Target(path), TESTED, f"what is tested: {path}")


def _is_constructor(one: Definition) -> bool:
    return one.name in CONSTRUCTORS or one.name == one.owner


def _is_class(target: Target, chain: Chain) -> bool:
    """Whether an expression stands for a class itself, not for a value of it."""
    one = target.definition
    return one is not None and one.kind == "class" and chain[-1] in (one.name, "cls")


def _order(found: tuple[Target, tuple[float, str]]) -> tuple[float, str, int, str]:
    """Order what was found: the most wanted first, then by where it is."""
    target, (wanted, _) = found
    one = target.definition
    return (-wanted, target.path, one.first_line if one else 0, target.full_name)
