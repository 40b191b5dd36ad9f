"""Interface of a programming language: how its files are read and its imports resolved."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from longllama_code.definitions.languages.facts import FileFacts, Import


class Layout(Protocol):
    """Files of a repository; paths have slashes and are relative to its root."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        ...

    def ending(self, tail: str) -> Sequence[str]:
        """Return the files whose path is ``tail``, or ends with ``/`` and ``tail``, sorted."""
        ...

    def within(self, folder: str) -> Sequence[str]:
        """Return the files directly in a folder, sorted; the root is ``""``."""
        ...

    def text(self, path: str) -> str:
        """Return the text of a configuration file; empty if there is none."""
        ...


@dataclass(frozen=True)
class Language:
    """A programming language."""

    name: str
    read: Callable[[str], FileFacts]
    """Returns the facts of a text; never raises: broken code gives what can be parsed."""
    resolve: Callable[[Import, str, Layout], Iterable[str]]
    """Yields the files that an import in the file at a path may mean, the likeliest first; for a
    package, all of its files if the language has no file for a package."""
    separator: str = ""
    """Separator of paths in code that begin at a module, such as ``crate::a``; empty if every path
    begins with an imported name."""
    tests: str = ""
    """Ending of the stems of files that only tests see."""
    configuration: frozenset[str] = frozenset()
    """Names of the files that ``resolve`` reads by ``Layout.text``, such as ``go.mod``."""
    filler: str = ""
    """Replacement for the line being typed, in languages whose blocks end by indentation."""
