"""The names of a Python file, by its syntax tree and its tokens."""

from __future__ import annotations

import ast
import builtins
import importlib
import io
import keyword
import sys
import tokenize
import warnings
from collections.abc import Iterator
from functools import cache

from longllama_code.research.evaluation.names.reader import (
    MIN_NAME_CHARS,
    Definition,
    FileNames,
    Use,
)

CONVENTIONS = frozenset({"self", "cls", "args", "kwargs", "_"})
LIBRARY = (
    "abc",
    "argparse",
    "asyncio",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "os",
    "os.path",
    "pathlib",
    "random",
    "re",
    "shutil",
    "string",
    "subprocess",
    "sys",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "typing",
    "unittest",
    "unittest.mock",
    "urllib.parse",
    "uuid",
    "warnings",
)
"""Modules of the standard library whose names count as common."""
TYPES = (str, bytes, int, float, list, dict, set, tuple, BaseException)
"""Types whose attributes count as common."""


class PythonClassifier:
    """Classifier of Python, parsed by the running interpreter."""

    language = "python"

    def read(self, path: str, text: str) -> FileNames | None:
        """See ``Classifier.read``."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings about the code, such as invalid escapes
                tree = ast.parse(text)
            tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        except (SyntaxError, ValueError, RecursionError, tokenize.TokenError):
            return None
        reader = _Reader(path)
        reader.visit(tree)
        return FileNames(
            exported=tuple(reader.exported),
            bound=frozenset(name for name, _ in reader.bound),
            uses=tuple(_uses(text, tokens, reader.bound)),
            imports=frozenset(reader.imports),
            comments=_comments(tokens),
        )

    def is_common(self, name: str) -> bool:
        """See ``Classifier.is_common``; dunder names belong to the language."""
        return name in _common() or (name.startswith("__") and name.endswith("__"))


class _Reader(ast.NodeVisitor):
    """Collects the names that a tree binds; of those in functions, only attributes are exported."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._functions = 0
        self.exported: list[Definition] = []
        self.bound: set[tuple[str, int]] = set()
        self.imports: set[int] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, node, exported=not self._functions)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self._bind(node.arg, node, exported=False)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, node, exported=not self._functions)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.attr, node, exported=True)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self._import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._import(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind(node.name, node, exported=not self._functions)
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    def _import(self, node: ast.stmt) -> None:
        self.imports.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))

    def _bind(self, name: str, node: ast.expr | ast.stmt | ast.arg, *, exported: bool) -> None:
        self.bound.add((name, node.lineno))
        if exported and len(name) >= MIN_NAME_CHARS:
            last = node.end_lineno or node.lineno
            self.exported.append(Definition(name, self._path, node.lineno, last))


def _uses(
    text: str, tokens: list[tokenize.TokenInfo], bound: set[tuple[str, int]]
) -> Iterator[Use]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for token in tokens:
        name, (line, column) = token.string, token.start
        if token.type != tokenize.NAME or keyword.iskeyword(name) or (name, line) in bound:
            continue
        yield Use(name, line, starts[line - 1] + column, starts[line - 1] + column + len(name))


def _comments(tokens: list[tokenize.TokenInfo]) -> frozenset[int]:
    return frozenset(
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
    )


@cache
def _common() -> frozenset[str]:
    names = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *CONVENTIONS}
    names |= sys.stdlib_module_names
    for module in LIBRARY:
        names |= {name for name in dir(importlib.import_module(module)) if name[0] != "_"}
    for kind in TYPES:
        names |= {name for name in dir(kind) if name[0] != "_"}
    return frozenset(names)
