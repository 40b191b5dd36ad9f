"""Resolution of TypeScript's and JavaScript's imports, by the compilers' rules.

An import is a relative path, a path that ``tsconfig.json`` maps, or another package of the
repository. Packages name their compiled files; the sources are searched for beside them.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from longllama_code.definitions.languages.facts import Import
from longllama_code.definitions.languages.language import Layout

CONFIGURATION = frozenset(
    {
        "package.json",
        "tsconfig.json",
        "jsconfig.json",
        "tsconfig.base.json",
        "tsconfig.app.json",
        "tsconfig.build.json",
    }
)
ENDINGS = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
SOURCE_OF = {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
"""Suffixes of the sources that an imported file may be compiled from."""
COMPILED = ("dist", "lib", "build", "out", "esm", "cjs", "es")
MAX_EXTENDED = 5
MAX_ENTRIES = 20
"""Maximum number of a package's entry files that are considered."""
COMMENT_OR_COMMA = re.compile(
    r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.*?(?:\*/|\Z)|,(?=\s*[}\]])', re.DOTALL
)


def files_of(imported: Import, path: str, layout: Layout) -> Iterator[str]:
    """Yield the files that an import in the file at a path may mean."""
    module, folder = imported.module, posixpath.dirname(path)
    if not module:
        yield path
    elif module.startswith("."):
        yield from _at(posixpath.join(folder, module), layout)
    else:
        yield from _renamed(module, folder, layout)
        yield from _package(module, folder, layout)


def _at(target: str, layout: Layout) -> Iterator[str]:
    """Yield the files that a path without ending, with the wrong one, or of a folder means."""
    target = posixpath.normpath(target)
    if target.startswith(".."):
        return
    base, ending = posixpath.splitext(target)
    names = [base + source for source in SOURCE_OF.get(ending, ())]
    names += [target, *(target + ending for ending in ENDINGS)]
    names += [posixpath.normpath(f"{target}/index{ending}") for ending in ENDINGS]
    yield from (name for name in names if layout.has(name))


def _renamed(module: str, folder: str, layout: Layout) -> Iterator[str]:
    """Yield the files of a module by the ``paths`` and ``baseUrl`` of the nearest configuration."""
    for config in _configurations(folder, layout):
        for target in _targets(module, config, layout):
            yield from _at(target, layout)


def _configurations(folder: str, layout: Layout) -> Iterator[str]:
    while True:
        for name in ("tsconfig.json", "jsconfig.json"):
            config = posixpath.join(folder, name)
            if layout.has(config):
                yield config
                yield from _references(config, layout)
                return
        if not folder:
            return
        folder = posixpath.dirname(folder)


def _references(config: str, layout: Layout) -> Iterator[str]:
    references = _fields(layout.text(config)).get("references")
    for one in references[:MAX_ENTRIES] if isinstance(references, list) else ():
        path = one.get("path") if isinstance(one, dict) else None
        if isinstance(path, str) and path.endswith(".json"):
            yield _beside(config, path)


def _targets(module: str, config: str, layout: Layout) -> Iterator[str]:
    """Yield the paths of a module by a configuration, and those that it extends."""
    for _ in range(MAX_EXTENDED):
        fields = _fields(layout.text(config))
        options = fields.get("compilerOptions")
        if isinstance(options, dict):
            yield from _by_options(module, posixpath.dirname(config), options)
        extended = fields.get("extends")
        if not isinstance(extended, str) or not extended.startswith("."):
            return
        config = _beside(config, extended)
        if not layout.has(config):
            config += ".json"


def _by_options(module: str, folder: str, options: Mapping[str, object]) -> Iterator[str]:
    base, paths = options.get("baseUrl"), options.get("paths")
    root = posixpath.join(folder, base) if isinstance(base, str) else folder
    for pattern, targets in paths.items() if isinstance(paths, dict) else ():
        head, star, tail = str(pattern).partition("*")
        fits = module.startswith(head) and module.endswith(tail) if star else module == head
        for target in targets if fits and isinstance(targets, list) else ():
            rest = module[len(head) : len(module) - len(tail)]
            yield posixpath.join(root, str(target).replace("*", rest, 1))
    if isinstance(base, str):
        yield posixpath.join(root, module)


def _package(module: str, folder: str, layout: Layout) -> Iterator[str]:
    """Yield the files of a package of the repository, or of a folder in it."""
    parts = module.split("/")
    n_parts = 2 if module.startswith("@") else 1
    name, within = "/".join(parts[:n_parts]), "/".join(parts[n_parts:])
    for config in _manifests(parts[min(n_parts, len(parts)) - 1], folder, layout):
        fields = _fields(layout.text(config))
        if fields.get("name") == name:
            for target in _entries(within, fields):
                yield from _sources(posixpath.dirname(config), target, layout)
            yield from _sources(posixpath.dirname(config), within or "index", layout)


def _manifests(name: str, folder: str, layout: Layout) -> Iterator[str]:
    """Yield the packages that may have a name: those of folders of that name, and those around."""
    yield from layout.ending(f"{name}/package.json")
    while True:
        config = posixpath.join(folder, "package.json")
        if layout.has(config):
            yield config
        if not folder:
            return
        folder = posixpath.dirname(folder)


def _entries(within: str, fields: Mapping[str, object]) -> list[str]:
    """Return the files that a package gives for a path within it."""
    exports = fields.get("exports")
    found: list[str] = []
    if not within:
        found += [
            str(fields[key]) for key in ("source", "types", "module", "main") if key in fields
        ]
    elif not isinstance(exports, dict):
        return []
    key = f"./{within}" if within else "."
    waiting = [exports.get(key, exports) if isinstance(exports, dict) else exports]
    if within and isinstance(exports, dict) and key not in exports:
        return []
    while waiting and len(found) < MAX_ENTRIES:
        one = waiting.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            waiting += [value for name, value in one.items() if not str(name).startswith("./")]
    return found


def _sources(folder: str, target: str, layout: Layout) -> Iterator[str]:
    """Yield the sources of a file of a package that may be compiled."""
    target = posixpath.normpath(target).lstrip("/")
    for ending in (".d.ts", ".d.mts", ".d.cts", *ENDINGS):
        target = target.removesuffix(ending)
    parts = target.split("/")
    inner = "/".join(parts[1:]) if parts[0] in COMPILED and len(parts) > 1 else target
    inner = inner.split("/", 1)[-1] if inner.split("/", 1)[0] in COMPILED else inner
    for name in (f"src/{inner}", target, inner, f"lib/{inner}", f"source/{inner}"):
        yield from _at(posixpath.join(folder, name), layout)


def _beside(config: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(config), path))


@lru_cache(maxsize=512)
def _fields(text: str) -> Mapping[str, object]:
    """Return the content of a JSON file, which may have comments; empty if it is damaged."""
    try:
        fields = json.loads(COMMENT_OR_COMMA.sub(lambda found: found[1] or "", text))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
