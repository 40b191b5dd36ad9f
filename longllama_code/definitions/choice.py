"""Choice of the repository's definitions that a cursor needs, best first.

    receiver      members of the value before the dot            self.store.|
    called        functions whose arguments are being written    put(path, |
    imported      imports that are not used yet, then those used last
    typed         classes of variables in use
    base          bases of the class that is being written
    overridden    method that the function being written overrides; its namesakes in files nearby
    tested        definitions of the file that a test file is for

The choice depends on the names in use, not on each key: the identifier that is being typed does
not count, nor does the statement before it on its line.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from math import log2
from pathlib import PurePosixPath

from longllama_code.definitions.chosen import Chosen
from longllama_code.definitions.counterparts import counterparts
from longllama_code.definitions.cursor_text import (
    NAMES,
    CursorText,
    chains_in,
    cursor_text,
    whole_file,
)
from longllama_code.definitions.guessing import guess_classes
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Definition, Import
from longllama_code.definitions.resolving import OWN, Chain, Location, Resolver, Target
from longllama_code.definitions.scores import (
    BASE,
    CALLED,
    CALLED_PENALTIES,
    CLASS_PENALTIES,
    GUESSED,
    IMPORTED,
    IMPORTED_PENALTIES,
    INHERITED,
    LENGTH,
    MEMBER,
    MODULE,
    NAMESAKE,
    OVERRIDDEN,
    PRIVATE,
    RECEIVER,
    RECENCY,
    SPECIAL,
    TESTED,
    TYPED,
    UNUSED,
    UNUSED_ELSEWHERE,
    VALUE_PENALTIES,
    Penalties,
)

TEST = re.compile(r"^tests?_|_tests?$|[.-](?:test|spec)$|Tests?$")
"""Prefixes and suffixes by which a test file's name differs from that of the file it tests."""
FIELD = re.compile(r"\s*\w+\??\s*:")
"""Beginning of an attribute that is declared with its type."""
MAX_CHAINS = 80
MAX_IMPORTS = 200
MAX_MEMBERS = 200
MAX_HEADS = 3000
MAX_CHOSEN = 400
MAX_CLASSES = 20
"""Maximum number of a module's classes whose members are considered."""
CONSTRUCTORS = frozenset(("__init__", "__new__", "__call__", "constructor", "new", "New"))


def choose(index: DefinitionIndex, path: str, prefix: str, suffix: str) -> list[Chosen]:
    """Return the definitions that a cursor needs, best first.

    Args:
        index: the repository; it need not contain the file at ``path``.
        path: the file that is being written.
        prefix: all of its text before the cursor.
        suffix: all of its text behind it.
    """
    language = language_of(path)
    filler = "" if language is None else language.filler
    return _Choice(index, path, cursor_text(prefix, suffix, filler)).for_cursor()


def choose_for_file(index: DefinitionIndex, path: str, text: str) -> list[Chosen]:
    """Return the definitions of other files that a file uses, best first.

    They do not depend on the cursor, so the model can read them once for the whole file.

    Args:
        index: the repository; it need not contain the file at ``path``.
        path: the file that is being written.
        text: all of it.
    """
    return _Choice(index, path, whole_file(text)).for_file()


class _Choice:
    """Collects definitions for one cursor."""

    def __init__(self, index: DefinitionIndex, path: str, at: CursorText) -> None:
        self._index, self._path, self._at = index, path, at
        self._file = index.live(path, at.rest)
        self._resolver = Resolver(index, path, self._file)
        self._place = Location(path, at.line)
        self._found: dict[Target, tuple[float, str]] = {}
        self._on_line = set(NAMES.findall(at.prefix[at.prefix.rfind("\n") + 1 :]))
        self._heads_of: dict[tuple[str, str], tuple[tuple[int, str], ...]] = {}

    def for_cursor(self) -> list[Chosen]:
        """Return the choice from all sources."""
        self._add_receiver()
        self._add_called()
        self._add_bases()
        self._add_counterparts()
        return self.for_file()

    def for_file(self) -> list[Chosen]:
        """Return the choice from the sources that do not depend on the cursor."""
        self._add_imports()
        self._add_used()
        self._add_tested()
        return self._ranked()

    def _ranked(self) -> list[Chosen]:
        """Return the definitions found, best first."""
        ordered = sorted(self._found.items(), key=_order)[:MAX_CHOSEN]
        return [self._chosen(one, *why) for one, why in ordered]

    def _chosen(self, target: Target, score: float, reason: str) -> Chosen:
        one, path = target.definition, target.path
        assert one is not None  # modules are never chosen themselves
        key = (path, one.owner)
        if key not in self._heads_of:
            file = self._resolver.file(path)
            self._heads_of[key] = () if file is None else tuple(file.heads(one.owner))
        lines = one.first_line, one.last_line
        return Chosen(
            path,
            target.full_name,
            one.kind,
            one.shown,
            *lines,
            reason,
            score,
            self._heads_of[key],
        )

    # Scores.

    def _add(self, target: Target, score: float, reason: str) -> None:
        one = target.definition
        if one is None or not one.shown or self._is_visible(target.path, one):
            return
        known = self._found.get(target)
        if known is None or known[0] < score:
            self._found[target] = (score, reason)

    def _is_visible(self, path: str, one: Definition) -> bool:
        first, last = self._at.visible
        return path == self._path and first <= one.first_line <= last

    def _add_with_members(self, target: Target, score: float, reason: str) -> None:
        """Score a definition; for a class its members, for a module its definitions."""
        if target.definition is None:
            self._add_module(target, score, reason)
        elif target.definition.kind == "class":
            self._add_class(target, score, reason)
        else:
            self._add(target, score, reason)

    def _add_class(
        self, target: Target, score: float, reason: str, less: Penalties = IMPORTED_PENALTIES
    ) -> None:
        is_constructed = False
        classes = [(each, self._members(each)) for each in self._resolver.ancestors(target)]
        has_fields = not any(_is_constructor(one) for _, members in classes for _, one in members)
        for distance, (ancestor, members) in enumerate(classes):
            level = score - min(distance, 4) * INHERITED
            self._add(ancestor, level, reason)
            for member, one in members:
                penalty = self._penalty(one, less)
                if has_fields and _is_field(one):
                    penalty = min(penalty, less.constructor + LENGTH * len(one.shown))
                if _is_constructor(one):
                    penalty += SPECIAL if is_constructed else 0
                self._add(member, level - penalty, reason)
            is_constructed |= any(_is_constructor(one) for _, one in members)

    def _members(self, of: Target) -> list[tuple[Target, Definition]]:
        members = self._resolver.members(of)[:MAX_MEMBERS]
        return [(one, one.definition) for one in members if one.definition is not None]

    def _penalty(self, one: Definition, less: Penalties) -> float:
        """Return the penalty of a member relative to what it belongs to."""
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
        """Return a penalty that grows as fewer files use a name."""
        n_users = self._index.n_users(one.name, of_member=bool(one.owner))
        return UNUSED_ELSEWHERE if n_users < 1 else max(0.0, 5 - 1.5 * log2(n_users))

    def _add_module(
        self,
        target: Target,
        score: float,
        reason: str,
        less: float = MEMBER,
        *,
        is_imported_from: bool = False,
    ) -> None:
        """Score what a module defines.

        Where names are being imported from it, those with a leading underscore are left out: shown
        a list of all of them, a model imports all of them.
        """
        n_classes = 0
        is_own = self._path in self._resolver.package(target.path)
        for one in self._resolver.heads(target.path)[:MAX_HEADS]:
            if one.definition is None or (one.definition.is_private and not is_own):
                continue
            has_underscore = one.definition.name.startswith("_")
            if has_underscore and is_imported_from:
                continue
            private = PRIVATE if has_underscore else 0
            self._add(one, score - private - self._rarity(one.definition), reason)
            if one.definition.kind == "class" and n_classes < MAX_CLASSES:
                n_classes += 1
                self._add_class(one, score - less, reason)

    # Sources.

    def _add_receiver(self) -> None:
        chain = self._at.receiver
        targets = self._resolver.resolve(chain, self._place) if chain else ()
        found = [(target, one) for target in targets for one in self._resolver.types_of(target)]
        reason = f"what stands before the cursor: {'.'.join(chain)}"
        for order, (target, one) in enumerate(found):
            if one.definition is None:
                self._add_module(one, RECEIVER - order, reason, RECEIVER - BASE)
            else:
                less = CLASS_PENALTIES if _is_class(target, chain) else VALUE_PENALTIES
                self._add_class(one, RECEIVER - order, reason, less)
        if chain and not found and chain[0] not in OWN:
            self._add_guessed(chain)
        if self._at.imports_from:
            self._add_importable()

    def _add_guessed(self, chain: Chain) -> None:
        guesses = guess_classes(self._index, self._path, chain, self._at.rest)
        for order, target in enumerate(guesses):
            reason = f"what stands before the cursor, by its name or use: {'.'.join(chain)}"
            self._add_class(target, GUESSED - order, reason, VALUE_PENALTIES)

    def _add_importable(self) -> None:
        imported = Import("*", self._at.imports_from)
        for path in self._index.targets(self._path, imported)[:1]:
            reason = f"imported from {imported.module}"
            self._add_module(Target(path), RECEIVER, reason, is_imported_from=True)

    def _add_called(self) -> None:
        for level, chain in enumerate(self._at.calls):
            for target in self._resolver.resolve(chain, self._place):
                reason = f"what is called: {'.'.join(chain)}"
                one = target.definition
                if one is None or one.kind != "class":
                    self._add(target, CALLED - level, reason)
                else:
                    self._add_class(target, CALLED - level, reason, CALLED_PENALTIES)

    def _add_imports(self) -> None:
        """Score imports: those not used yet are about to be, then those used last."""
        imports = self._file.facts.imports[-MAX_IMPORTS:]
        names = [one.alias.split(".")[0] for one in imports]
        ranks = {at: rank for rank, at in enumerate(sorted({self._last_use(one) for one in names}))}
        for imported, name in zip(imports, names, strict=True):
            used = len(self._file.uses(name)) > 1 or name in self._on_line
            recency = RECENCY * (ranks[self._last_use(name)] + 1) / len(ranks)
            score = (IMPORTED if used else UNUSED) + recency
            why = "used last" if used else "not used yet"
            for target in self._resolver.imported(self._path, imported):
                level = score if target.definition is not None else score - IMPORTED + MODULE
                self._add_with_members(target, level, f"imported as {imported.alias}, {why}")

    def _is_used(self, name: str) -> bool:
        """Whether the file has a name anywhere but at the cursor."""
        return name in self._on_line or bool(self._file.uses(name))

    def _last_use(self, name: str) -> int:
        """Return the offset of the last use of a name before the cursor; -1 if there is none."""
        end = self._at.prefix.rfind("\n") + 1
        if name in self._on_line:
            return end
        uses = self._file.uses(name)
        place = bisect_left(uses, end)
        return uses[place - 1] if place else -1

    def _add_used(self) -> None:
        """Score the classes and members of values in use near the cursor."""
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
        self._add(target, TYPED + late, reason)
        if one.kind != "class":
            for of in self._resolver.types_of(target):
                if of.definition is not None:
                    self._add_class(of, TYPED - 5 + late, reason)

    def _add_bases(self) -> None:
        around_it = self._resolver.enclosing(self._place)
        if around_it is None:
            return
        name = around_it.definition.name if around_it.definition else ""
        self._add_class(around_it, BASE, f"the class being written: {name}")

    def _add_counterparts(self) -> None:
        for one in counterparts(self._index, self._resolver, self._place):
            score, why = (
                (OVERRIDDEN, "what is overridden")
                if one.is_overridden
                else (NAMESAKE, "a namesake")
            )
            self._add(one.target, score, f"{why}: {one.target.full_name} of {one.target.path}")

    def _add_tested(self) -> None:
        """Score the definitions of the file that this test file is for, by their names."""
        pure = PurePosixPath(self._path)
        tested = TEST.sub("", pure.stem)
        if tested == pure.stem or not tested:
            return
        for path in self._index.ending(tested + pure.suffix)[:1]:
            self._add_module(Target(path), TESTED, f"what is tested: {path}")


def _is_constructor(one: Definition) -> bool:
    return one.name in CONSTRUCTORS or one.name == one.owner


def _is_field(one: Definition) -> bool:
    """Whether a constructor that is not written, such as a data class's, may take an attribute."""
    return one.kind == "attribute" and bool(FIELD.match(one.shown))


def _is_class(target: Target, chain: Chain) -> bool:
    """Whether an expression is a class itself, not an instance of it."""
    one = target.definition
    return one is not None and one.kind == "class" and chain[-1] in (one.name, "cls")


def _order(found: tuple[Target, tuple[float, str]]) -> tuple[float, str, int, str]:
    """Return the sort key of a definition found: best first, then by location."""
    target, (score, _) = found
    one = target.definition
    return (-score, target.path, one.first_line if one else 0, target.full_name)
