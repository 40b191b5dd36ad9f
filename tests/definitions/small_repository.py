"""Small repositories that tests write, and what names of their files stand for."""

from collections.abc import Mapping
from textwrap import dedent

from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Definition, FileFacts
from longllama_code.definitions.resolving import Location, Resolver


def read(path: str, text: str) -> FileFacts:
    """Return what a text says, in the language of its path."""
    language = language_of(path)
    assert language is not None
    return language.read(dedent(text))


def shown(path: str, text: str) -> list[str]:
    """Return how the definitions of a text are written, with those around them."""
    return [one.shown for one in read(path, text).definitions]


def named(path: str, text: str) -> dict[str, Definition]:
    """Return the definitions of a text by their names, with their owners' before."""
    definitions = read(path, text).definitions
    return {f"{one.owner}.{one.name}" if one.owner else one.name: one for one in definitions}


def index_of(files: Mapping[str, str]) -> DefinitionIndex:
    """Return an index of files."""
    index = DefinitionIndex()
    for path, text in files.items():
        index.put(path, dedent(text))
    return index


def stands_for(files: Mapping[str, str], path: str, expression: str, line: int = 0) -> list[str]:
    """Return what an expression may stand for in a file, seen from a line or its last one.

    Each as ``path: name``, the name of a member with its owner's; a module as ``path``.
    """
    index = index_of(files)
    file = index.file(path)
    assert file is not None
    place = Location(path, line or dedent(files[path]).count("\n"))
    found = Resolver(index, path, file).resolve(tuple(expression.split(".")), place)
    return [f"{one.path}: {one.full_name}" if one.definition else one.path for one in found]
