"""What modules and classes of Python certainly lack, and what they have.

A module lacks a name if the index has all of its text, and the word stands nowhere in it, not even
in a string. Nothing is said of one that may get names otherwise: by star imports from outside the
repository, ``__getattr__``, ``globals()`` and the like. A package also has its submodules, some of
which the index may not have: it lacks only what cannot be a module, and stands nowhere in the
repository. A class lacks what neither its file nor those of its bases have.
"""

from __future__ import annotations

import builtins
import enum
from collections.abc import Iterator
from pathlib import PurePosixPath

from longllama_code.definitions.files import File
from longllama_code.definitions.index import (
    EVERYTHING,
    MAX_REEXPORTS,
    DefinitionIndex,
    Located,
    is_module,
)
from longllama_code.definitions.languages.facts import FileFacts
from longllama_code.definitions.resolving import Resolver, Target

MAX_BASES = 12
DYNAMIC = frozenset(
    (
        *("__getattr__", "__getattribute__", "__dict__", "__import__", "import_module", "modules"),
        *("globals", "locals", "vars", "exec", "eval", "setattr", "metaclass", "__metaclass__"),
        *("LazyLoader", "LazyModule", "_LazyModule", "lazy_import", "lazy_loader"),
    )
)
"""Words of a text that may give its module or classes names that do not stand in it."""
KNOWN_MODULES = frozenset(("abc", "builtins", "enum", "typing", "typing_extensions"))
KNOWN_BASES: dict[str, frozenset[str]] = {
    **{name: frozenset(dir(one)) for name, one in vars(builtins).items() if isinstance(one, type)},
    **{
        name: frozenset((*dir(getattr(enum, name)), "name", "value"))
        for name in ("Enum", "IntEnum", "Flag", "IntFlag")
    },
    "StrEnum": frozenset((*dir(enum.Enum), *dir(str), "name", "value")),
    **dict.fromkeys(("ABC", "Protocol", "Generic"), frozenset[str]()),
}
"""Classes of Python that classes of a repository extend → the names that they have."""


def module_lacks(
    index: DefinitionIndex,
    path: str,
    name: str,
    *,
    may_be_module: bool,
    depth: int = MAX_REEXPORTS,
) -> bool:
    """Whether a module certainly lacks a name.

    Args:
        index: the repository.
        path: file of the module.
        name: the name.
        may_be_module: whether the name may be a submodule's.
        depth: most star imports that are followed.
    """
    file = index.file(path)
    if file is None or not depth or name in file.names or not _is_static(file):
        return False
    if is_package(path) and (may_be_module or not _package_lacks(index, path, name)):
        return False
    stars = (one for one in file.facts.imports if one.alias == EVERYTHING)
    return all(
        found
        and all(
            module_lacks(index, one, name, may_be_module=may_be_module, depth=depth - 1)
            for one in found
        )
        for found in (index.targets(path, star) for star in stars)
    )


def is_package(path: str) -> bool:
    """Whether a file is that of a package."""
    return PurePosixPath(path).stem == "__init__"


def _is_static(file: File) -> bool:
    """Whether all names of a file's module and classes stand in its text, and the index has it."""
    return file.is_whole and not any(name.removeprefix(".") in DYNAMIC for name in file.names)


def _package_lacks(index: DefinitionIndex, path: str, name: str) -> bool:
    folder = path.rpartition("/")[0]
    inner = index.within(f"{folder}/{name}" if folder else name)
    if inner or any(is_module(one, name) for one in index.within(folder)):
        return False
    return not index.has_word(name)


def class_lacks(
    index: DefinitionIndex, located: Located, name: str, depth: int = MAX_REEXPORTS
) -> bool:
    """Whether a class certainly lacks a member."""
    path, one = located
    file = index.file(path)
    if file is None or not depth or one.kind != "class" or one.owner or not _is_static(file):
        return False
    if name in file.names or "." + name in file.names or len(file.named(one.name)) != 1:
        return False
    if "(" in one.shown and not one.bases:
        return False
    return all(_base_lacks(index, path, base, name, depth) for base in one.bases[:MAX_BASES])


def _base_lacks(index: DefinitionIndex, path: str, base: str, name: str, depth: int) -> bool:
    file = index.file(path)
    if file is None:
        return False
    if own := file.named(base):
        return class_lacks(index, (path, own[0]), name, depth - 1)
    imports = file.aliases(base)
    targets = [(found, one) for one in imports if one.name for found in index.targets(path, one)]
    if targets:
        found = [index.definition(target, one.name) for target, one in targets]
        return all(each and class_lacks(index, each, name, depth - 1) for each in found)
    if any(one.module not in KNOWN_MODULES for one in imports):
        return False
    known = KNOWN_BASES.get(base.rpartition(".")[2])
    return known is not None and name not in known


def names_of_module(index: DefinitionIndex, path: str, depth: int = MAX_REEXPORTS) -> Iterator[str]:
    """Yield what a module defines; for a package, submodules and what it hands on as well."""
    file = index.file(path)
    if file is None or not depth:
        return
    yield from (one.name for one in file.facts.definitions if not one.owner)
    for one in file.facts.imports:
        if one.alias == EVERYTHING:
            for target in index.targets(path, one):
                yield from names_of_module(index, target, depth - 1)
        elif is_package(path) and one.is_public and "." not in one.alias:
            yield one.alias
    if is_package(path):
        inside = map(PurePosixPath, index.within(path.rpartition("/")[0]))
        yield from (one.stem for one in inside if one.suffix == ".py" and one.stem != "__init__")


def names_of_class(index: DefinitionIndex, path: str, owner: str) -> Iterator[str]:
    """Yield the members of a class and of its bases."""
    found = index.definition(path, owner)
    if found is None:
        return
    resolver = Resolver(index, "", File(FileFacts(), 0, ""))
    for one in resolver.ancestors(Target(*found)):
        for member in resolver.members(one):
            if member.definition is not None:
                yield member.definition.name
