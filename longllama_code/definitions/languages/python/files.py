"""Resolution of Python's imports to files."""

import sys
from collections.abc import Iterator

from longllama_code.definitions.languages.facts import Import
from longllama_code.definitions.languages.language import Layout
from longllama_code.definitions.layout import n_shared_folders

MAX_FOUND = 8
SUFFIXES = (".py", "/__init__.py", ".pyi", "/__init__.pyi")


def files_of(imported: Import, path: str, layout: Layout) -> Iterator[str]:
    """Yield the file of the module, then that of the name, which may be a module too.

    Other files that the module and the name may be follow: there are modules of the same name.
    """
    seen = set[str]()
    modules, named = [*_module(imported.module, path, layout)], list[str]()
    if imported.name:
        dot = "" if imported.module.endswith(".") else "."
        named += _module(imported.module + dot + imported.name, path, layout)
    for one in (*modules[:1], *named[:1], *modules[1:], *named[1:]):
        if one not in seen and one != path:
            seen.add(one)
            yield one


def _module(module: str, path: str, layout: Layout) -> Iterator[str]:
    name = module.lstrip(".")
    n_dots = len(module) - len(name)
    tail = name.replace(".", "/")
    if n_dots:
        folder = path.split("/")[:-n_dots] if n_dots <= path.count("/") + 1 else None
        if folder is not None:
            yield from _at("/".join((*folder, tail)) if tail else "/".join(folder), layout)
        return
    if tail:
        yield from _anywhere(tail, path, layout)


def _at(stem: str, layout: Layout) -> Iterator[str]:
    """Yield the files of a module whose path is known."""
    for suffix in SUFFIXES:
        if layout.has((stem + suffix).lstrip("/")):
            yield (stem + suffix).lstrip("/")


def _anywhere(tail: str, path: str, layout: Layout) -> list[str]:
    """Return a module's files below any folder that could be on ``sys.path``, the nearest first.

    Packages are seldom there, only for scripts beside their modules, so they come last.
    """
    found = list[tuple[bool, int, int, str]]()
    is_standard = tail.partition("/")[0] in sys.stdlib_module_names
    for suffix in SUFFIXES:
        for one in layout.ending(tail + suffix):
            root = one[: len(one) - len(tail + suffix)]
            if not is_standard or is_root(root, path, layout):
                n_shared = n_shared_folders(root.split("/")[:-1], path.split("/")[:-1])
                found.append((layout.has(root + "__init__.py"), -n_shared, len(one), one))
    return [one for *_, one in sorted(found)[:MAX_FOUND]]


def is_root(root: str, path: str, layout: Layout) -> bool:
    """Whether files in a folder can shadow modules of the standard library."""
    return path.startswith(root) and not layout.has(root + "__init__.py")
