"""Supported languages, by the suffixes of their files."""

import importlib
from functools import cache

from longllama_code.definitions.languages.language import Language

MODULES = {
    ".py": ("python.reader", "PYTHON"),
    ".pyi": ("python.reader", "PYTHON"),
    **dict.fromkeys((".ts", ".mts", ".cts"), ("typescript.reader", "TYPESCRIPT")),
    **dict.fromkeys((".tsx", ".js", ".jsx", ".mjs", ".cjs"), ("typescript.reader", "JAVASCRIPT")),
    ".go": ("go", "GO"),
    ".rs": ("rust.reader", "RUST"),
    ".java": ("java", "JAVA"),
    ".c": ("c", "C"),
    **dict.fromkeys((".h", ".hh", ".hpp", ".hxx", ".h++", ".inl", ".ipp"), ("c", "CPP")),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".c++"), ("c", "CPP")),
}
"""Module here, and name in it, of each suffix's language."""


def is_supported(path: str) -> bool:
    """Whether definitions are read from a file of this name."""
    return _suffix(path) in MODULES


def language_of(path: str) -> Language | None:
    """Return the language of a file; None if it is not supported."""
    found = MODULES.get(_suffix(path))
    return None if found is None else _loaded(*found)


def _suffix(path: str) -> str:
    return path[path.rfind(".") :]


@cache
def _loaded(module: str, name: str) -> Language:
    loaded: Language = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return loaded
