"""Facts of one file, looked up by name, and the interface that reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from sys import intern
from typing import Protocol

from longllama_code.definitions.cursor_text import NAMES, USES
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Binding, Definition, FileFacts, Import

MAX_NAMED_CHARS = 200_000
"""Characters of a text that are searched for uses of names."""


class Facts(Protocol):
    """Reader of facts, which may cache them."""

    def read(self, path: str, text: str) -> FileFacts:
        """Return the facts of a text, in the language of its path."""
        ...


class FreshFacts:
    """Reader of facts without a cache."""

    def read(self, path: str, text: str) -> FileFacts:
        """Return the facts of a text, in the language of its path."""
        language = language_of(path)
        return FileFacts() if language is None else language.read(text)


class File:
    """Facts of one file, by name."""

    __slots__ = (
        "_aliases",
        "_members",
        "_names",
        "_places",
        "_uses",
        "digest",
        "facts",
        "is_whole",
        "names",
        "text",
    )

    def __init__(
        self,
        facts: FileFacts,
        digest: int,
        text: str,
        names: Sequence[str] = (),
        *,
        is_whole: bool = False,
    ) -> None:
        self.facts, self.digest, self.text, self.names = facts, digest, text, names
        self.is_whole = is_whole
        """Whether ``names`` are all names in the text."""
        self._names: dict[str, list[Definition]] | None = None
        self._members: dict[str, list[Definition]] | None = None
        self._uses: dict[str, list[Binding]] | None = None
        self._aliases: dict[str, list[Import]] | None = None
        self._places: dict[str, list[int]] | None = None

    def named(self, name: str) -> Sequence[Definition]:
        """Return the file's own definitions of a name; a nested class is named ``Outer.Inner``."""
        if self._names is None:
            self._names = {}
            for one in self.facts.definitions:
                if one.kind in ("method", "attribute"):
                    continue
                self._names.setdefault(one.full_name, []).append(one)
        return self._names.get(name, ())

    def heads(self, owner: str) -> Iterator[tuple[int, str]]:
        """Yield line and head of each class around a member, as in ``Definition.owner``."""
        names = owner.split(".") if owner else []
        for n_names in range(1, len(names) + 1):
            named = self.named(".".join(names[:n_names]))
            found = next((one for one in named if one.kind == "class"), None)
            if found is not None:
                yield found.first_line, found.shown

    def members(self, owner: str) -> Sequence[Definition]:
        """Return the members of a class, given its name with those of the classes around it."""
        if self._members is None:
            self._members = {}
            for one in self.facts.definitions:
                if one.owner:
                    self._members.setdefault(one.owner, []).append(one)
        return self._members.get(owner, ())

    def bound(self, name: str) -> Sequence[Binding]:
        """Return the variables of a name."""
        if self._uses is None:
            self._uses = {}
            for one in self.facts.bindings:
                self._uses.setdefault(one.name, []).append(one)
        return self._uses.get(name, ())

    def aliases(self, name: str) -> Sequence[Import]:
        """Return the imports that bind a name."""
        if self._aliases is None:
            self._aliases = {}
            for one in self.facts.imports:
                self._aliases.setdefault(one.alias, []).append(one)
        return self._aliases.get(name, ())

    def uses(self, name: str) -> Sequence[int]:
        """Return the offsets of a name in the text of a live file, in order."""
        if self._places is None:
            self._places = {}
            for found in NAMES.finditer(self.text[:MAX_NAMED_CHARS]):
                self._places.setdefault(found[0], []).append(found.start())
        return self._places.get(name, ())


def names_of(text: str) -> tuple[str, ...]:
    """Return the names in a text, each once, with the dot before it if there is one."""
    found = dict.fromkeys(USES.findall(text[:MAX_NAMED_CHARS]))
    return tuple(map(intern, found))
