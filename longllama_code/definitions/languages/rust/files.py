"""Resolution of Rust's paths to files of the crate, or of another one in the workspace."""

import posixpath
from collections.abc import Iterator, Mapping
from functools import lru_cache

import tomli

from longllama_code.definitions.languages.facts import Import
from longllama_code.definitions.languages.language import Layout

ROOTS = ("lib.rs", "main.rs")
MODULE_FILES = frozenset({*ROOTS, "mod.rs"})
"""Files whose modules are in the same folder, not in a folder of their name."""
OWN_CRATES = frozenset({"tests", "examples", "benches", "bin"})
"""Folders in which each file is the root of a crate."""


def files_of(imported: Import, path: str, layout: Layout) -> Iterator[str]:
    """Yield the file of a module, then that of the name, where it may be a module itself."""
    parts = imported.module.split("::")
    for folder, rest in _starts(parts, path, layout):
        found = list(_walk(folder, rest, imported.name, layout))
        if found:
            yield from dict.fromkeys(found)
            return


def _starts(parts: list[str], path: str, layout: Layout) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders of modules that a path may begin at, with what is left of it."""
    own, first = _folder_of(path, layout), parts[0]
    if first == "crate":
        yield _crate_of(path, layout), parts[1:]
    elif first in ("self", "super"):
        rest = parts[1:] if first == "self" else parts
        while rest and rest[0] == "super":
            own, rest = posixpath.dirname(own), rest[1:]
        yield own, rest
    else:
        if _file(posixpath.join(own, first), layout):
            yield own, parts
        for folder in _crates(first, layout):
            yield folder, parts[1:]
        crate = _crate_of(path, layout)
        if _file(posixpath.join(crate, first), layout):
            yield crate, parts


def _walk(folder: str, parts: list[str], name: str, layout: Layout) -> Iterator[str]:
    """Follow modules into their files as far as there are any; what is left are names in one."""
    last = _own_file(folder, layout)
    for part in parts:
        inner = posixpath.join(folder, part)
        found = _file(inner, layout)
        if found is None:  # a type, a module within the file, or one from elsewhere
            name = ""
            break
        folder, last = inner, found
    if last is not None:
        yield last
    of_name = _file(posixpath.join(folder, name), layout) if name else None
    if of_name is not None:
        yield of_name


def _file(module: str, layout: Layout) -> str | None:
    """Return the file of a module, by its folder."""
    names = (f"{module}.rs", f"{module}/mod.rs")
    return next((name for name in names if layout.has(name)), None)


def _own_file(folder: str, layout: Layout) -> str | None:
    """Return the file of the module whose modules lie in a folder."""
    names = [posixpath.join(folder, name) for name in (*ROOTS, "mod.rs")]
    return next((name for name in [*names, f"{folder}.rs"] if layout.has(name)), None)


def _folder_of(path: str, layout: Layout) -> str:
    """Return the folder that the modules of a file lie in."""
    folder, name = posixpath.split(path)
    is_root = name in MODULE_FILES or folder == _crate_of(path, layout) != _source(path, layout)
    return folder if is_root else path.removesuffix(".rs")


def _source(path: str, layout: Layout) -> str:
    """Return the folder of the sources of the package around a file."""
    folder = posixpath.dirname(path)
    while folder and not layout.has(posixpath.join(folder, "Cargo.toml")):
        folder = posixpath.dirname(folder)
    return posixpath.join(folder, "src")


def _crate_of(path: str, layout: Layout) -> str:
    """Return the folder of the modules of the crate that a file is of."""
    source = _source(path, layout)
    package = posixpath.dirname(source)
    inside = posixpath.relpath(path, source if path.startswith(source + "/") else package or ".")
    first, _, rest = inside.partition("/")
    if first in OWN_CRATES and rest:
        root = source if path.startswith(source + "/") else package
        within = rest.split("/")[0]
        folder = posixpath.join(root, first)
        return posixpath.join(folder, within) if "/" in rest else folder
    return source


def _crates(name: str, layout: Layout) -> Iterator[str]:
    """Yield the folders of the sources of crates of a name in the repository."""
    for config in layout.ending("Cargo.toml"):
        package = _package(layout.text(config))
        if name in (package.get("name"), package.get("library")):
            folder = posixpath.dirname(config)
            root = package.get("path", "src/lib.rs")
            yield posixpath.normpath(posixpath.join(folder, posixpath.dirname(root)))


@lru_cache(maxsize=512)
def _package(text: str) -> Mapping[str, str]:
    """Return the names of a package and of its library, and where that begins."""
    try:
        fields = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError):
        return {}
    package, library = fields.get("package"), fields.get("lib")
    found: dict[str, str] = {}
    if isinstance(package, dict):
        found["name"] = str(package.get("name", "")).replace("-", "_")
    if isinstance(library, dict):
        found["library"] = str(library.get("name", found.get("name", ""))).replace("-", "_")
        if "path" in library:
            found["path"] = str(library["path"])
    return found
