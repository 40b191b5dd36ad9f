"""Interface of a language in evaluation: the names of a file, and which names are common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MIN_NAME_CHARS = 3
"""Minimum length of an exported name; shorter ones occur in every repository."""


@dataclass(frozen=True)
class Definition:
    """Location of a definition; lines count from 1, inclusive."""

    name: str
    path: str
    first_line: int
    last_line: int


@dataclass(frozen=True)
class Use:
    """An occurrence of a name; the line counts from 1, offsets are in code points of the text."""

    name: str
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class FileNames:
    """The names of one file.

    Attributes:
        exported: definitions that other files can refer to.
        bound: every name that the file gives a value, local variables included, imports not.
        uses: occurrences outside strings, comments and keywords, in order; not those that bind.
        imports: lines of import statements; they count from 1.
        comments: lines that hold nothing but a comment; they count from 1.
    """

    exported: tuple[Definition, ...]
    bound: frozenset[str]
    uses: tuple[Use, ...]
    imports: frozenset[int]
    comments: frozenset[int]


class Classifier(Protocol):
    """A language."""

    @property
    def language(self) -> str:
        """Name of the language; languages whose files use each other's names share it."""
        ...

    def read(self, path: str, text: str) -> FileNames | None:
        """Return the names of a file; None if it cannot be parsed."""
        ...

    def is_common(self, name: str) -> bool:
        """Whether the language or its standard library has the name."""
        ...
