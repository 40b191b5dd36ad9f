"""What is known of a programming language: how its files are read, and what its imports mean."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from longllama_code.definitions.languages.facts import FileFacts, Import


class Layout(Protocol):
    """Where the files of a repository lie; paths have slashes and are relative to its root."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        ...

    def ending(self, tail: str) -> Sequence[str]:
        """Return the files whose path is ``tail``, or ends with ``/`` and ``tail``, sorted."""
        ...

    def within(self, folder: str) -> Sequence[str]:
        """Return the files that lie directly in a folder, sorted; the root is ``""``."""
        ...

    def text(self, path: str) -> str:
        """Return a small file that configures the language's tools; empty where there is none."""
        ...


@dataclass(frozen=True)
class Language:
    """A programming language, as far as definitions go."""

    name: str
    suffixes: frozenset[str]
    """Of its files, with the dot."""
    comment: str
    """What a comment line begins with."""
    read: Callable[[str], FileFacts]
    """What a text says; broken code still gives what can be parsed, and nothing is raised."""
    resolve: Callable[[Import, str, Layout], Iterable[str]]
    """The files that an import of the file at a path may mean, the likeliest first; a package is
    all of its files where the language has no file for a package."""
    separator: str = ""
    """What stands between the names of a path within code that begins at a module: ``crate::a``;
    empty where all begin with a name that is imported."""
    tests: str = ""
    """How the names of files end, without their suffix, that only tests see."""
    configuration: frozenset[str] = frozenset()
    """Names of the files that ``resolve`` reads by ``Layout.text``, such as ``go.mod``."""
    filler: str = ""
    """What may stand for a line that is being typed, where blocks end with their last line."""
