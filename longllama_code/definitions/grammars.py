"""Parsers of tree-sitter, one for each grammar that was asked for."""

import importlib
from functools import cache

from tree_sitter import Language, Parser


@cache
def parser(module: str, function: str = "language") -> Parser:
    """Return the parser of a grammar, by its package and the function in it."""
    pointer: object = getattr(importlib.import_module(module), function)()
    return Parser(Language(pointer))
