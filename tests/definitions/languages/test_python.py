"""What a text in Python says: compared with ``ast``, broken code, hostile text."""

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.definitions.languages.facts import Definition, FileFacts
from longllama_code.definitions.languages.python.reader import read
from tests.paths import ROOT

SOURCES = sorted((ROOT / "longllama_code").rglob("*.py"))[::6]
CODE = '''
"""A module."""
from . import sibling
from .store import Store as Kept, open_store
import os.path
import numpy as np
from tools import *

LIMIT: int = 3
TABLE = {
    "a": 1,
}


class Base(Kept, metaclass=Meta):
    """Keeps things.

    And more.
    """

    size: int = 0

    def __init__(self, store: Kept, name="x"):
        self.store = store
        self.items: list[Kept] = []
        self.left, self.right = open_store(name), 3

    @property
    def first(self) -> "Kept":
        return self.items[0]

    @first.setter
    def first(self, value): ...

    @classmethod
    async def made(
        cls,
        name: str,  # of it
    ) -> "Base":
        made = cls(open_store(name))
        return made

    class Inner:
        def deep(self): pass


def function(a, *rest, b: Base = None, **more):
    value = open_store(a).first
    for one in value.items:
        with one.lock() as held:
            pass
    return value


if __name__ == "__main__":
    program = function(1)
'''


def named(facts: FileFacts, name: str) -> Definition:
    return next(one for one in facts.definitions if f"{one.owner}.{one.name}".strip(".") == name)


def defined_by_ast(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, str, int, int]]:
    """Classes and functions of a body, with what is in conditions, and of classes in it."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield owner, node.name, node.lineno, node.end_lineno or 0
            yield from defined_by_ast(node.body, f"{owner}.{node.name}".strip("."))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not any("setter" in ast.unparse(one) for one in node.decorator_list):
                yield owner, node.name, node.lineno, node.end_lineno or 0
        elif isinstance(node, ast.If | ast.Try | ast.With) and "__name__" not in ast.unparse(node):
            yield from defined_by_ast(node.body, owner)
            yield from defined_by_ast(getattr(node, "orelse", []), owner)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_functions_and_classes_are_those_that_ast_finds(path: Path) -> None:
    text = path.read_text("utf-8")
    kinds = ("function", "method", "class")
    found = [
        (one.owner, one.name, one.first_line, one.last_line)
        for one in read(text).definitions
        if one.kind in kinds
    ]
    assert sorted(found) == sorted(defined_by_ast(ast.parse(text).body))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_what_is_shown_of_functions_is_their_signature(path: Path) -> None:
    """It parses, and has the same parameters, but for long ones' types and default values."""
    text = path.read_text("utf-8")
    nodes = {
        (node.name, node.lineno): node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for one in read(text).definitions:
        if one.kind in ("function", "method"):
            shown = re.sub(r"^\s*", "", one.shown, flags=re.MULTILINE)
            found = ast.parse(shown).body[0]
            assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
            arguments = nodes[one.name, one.first_line].args
            assert [each.arg for each in found.args.args] == [each.arg for each in arguments.args]
            if len(ast.unparse(arguments)) < 200:
                assert ast.dump(found.args) == ast.dump(arguments)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_imports_are_those_that_ast_finds(path: Path) -> None:
    text = path.read_text("utf-8")
    wanted = set[tuple[str, str, str]]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            wanted |= {(one.asname or one.name, one.name, "") for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            module = "." * node.level + (node.module or "")
            wanted |= {(one.asname or one.name, module, one.name) for one in node.names}
    assert {(one.alias, one.module, one.name) for one in read(text).imports} == wanted


def test_a_class_says_what_it_is() -> None:
    facts = read(CODE)
    base = named(facts, "Base")
    assert base.shown == "class Base(Kept, metaclass=Meta):"
    assert base.bases == ("Kept",)
    assert base.documentation == "Keeps things."
    assert named(facts, "Base.Inner").kind == "class"
    assert named(facts, "Base.Inner.deep").owner == "Base.Inner"


def test_attributes_have_the_types_that_are_seen() -> None:
    facts = read(CODE)
    types = {one.name: one.type for one in facts.definitions if one.owner == "Base"}
    assert types["size"] == "int"
    assert types["store"] == "store"  # the parameter
    assert types["items"] == "list[Kept]"
    assert types["left"] == "open_store"
    assert types["right"] == "int"
    assert types["first"] == "Kept"
    assert named(facts, "Base.items").shown == "        self.items: list[Kept] = []"


def test_a_signature_over_lines_is_shown_on_one() -> None:
    made = named(read(CODE), "Base.made")
    assert made.shown == (
        '    @classmethod\n    async def made(cls, name: str) -> "Base": ...'  # no comment
    )
    assert made.is_static


def test_a_setter_is_no_second_definition() -> None:
    assert len([one for one in read(CODE).definitions if one.name == "first"]) == 1


def test_a_long_signature_is_shown_by_its_names() -> None:
    parameters = ", ".join(f"parameter_{number}: dict[str, int] = None" for number in range(12))
    shown = read(f"def f({parameters}, *, last=1) -> int: pass").definitions[0].shown
    assert "dict" not in shown
    assert "parameter_11, *, last) -> int: ..." in shown


def test_a_long_value_is_cut() -> None:
    assert named(read(CODE), "TABLE").shown == "TABLE = { ..."
    shown = read("X = " + "1 + " * 100 + "1").definitions[0].shown
    assert len(shown) <= 120
    assert shown.endswith(" ...")


def test_variables_are_bound_within_their_function() -> None:
    bound = {one.name: one for one in read(CODE).bindings if one.owner == ""}
    assert bound["value"].type == "open_store.first"
    assert bound["one"].type == "value.items"
    assert bound["held"].type == "one.lock"
    assert bound["b"].type == "Base"
    function = named(read(CODE), "function")
    assert (bound["value"].first_line, bound["value"].last_line) == (
        function.first_line,
        function.last_line,
    )


def test_a_function_without_annotation_returns_what_it_returns() -> None:
    assert named(read(CODE), "function").type == "value"


def test_what_only_the_program_has_is_no_definition() -> None:
    facts = read(CODE)
    assert not [one for one in facts.definitions if one.name == "program"]
    assert [one.type for one in facts.bindings if one.name == "program"] == ["function"]


def test_imports_are_read_with_their_aliases() -> None:
    found = {(one.alias, one.module, one.name) for one in read(CODE).imports}
    assert found == {
        ("sibling", ".", "sibling"),
        ("Kept", ".store", "Store"),
        ("open_store", ".store", "open_store"),
        ("os.path", "os.path", ""),
        ("np", "numpy", ""),
        ("*", "tools", ""),
    }


def test_a_value_is_of_the_class_that_a_condition_says() -> None:
    (bound,) = read("def f(x):\n    if isinstance(x, Store):\n        x.put\n    return 1").bindings
    assert (bound.name, bound.type, bound.first_line, bound.last_line) == ("x", "Store", 2, 3)


@pytest.mark.parametrize(
    "broken",
    [
        "class A:\n    def f(self):\n        x = self.store.\n\n    def g(self): pass\n",
        "class A:\n    def f(self, a, b\n        y = 1\n\n    def g(self): pass\n",
        "class A:\n    def f(self):\n        foo(a, b.\n\n    def g(self): pass\n",
        "class A:\n    def f(self):\n        x = [1, (2,\n\n    def g(self): pass\n",
        "class A:\n    def f(self):\n        if x ==\n            y\n    def g(self): pass\n",
        'class A:\n    def f(self):\n        x = "unclosed\n\n    def g(self): pass\n',
        "class A(\n    def f(self): pass\n    def g(self): pass\n",
    ],
)
def test_broken_code_gives_what_can_be_parsed(broken: str) -> None:
    methods = {(one.owner, one.name) for one in read(broken).definitions if one.kind == "method"}
    assert {("A", "f"), ("A", "g")} <= methods


@pytest.mark.parametrize("stop", range(40, len(CODE), 97))
def test_while_a_file_is_written_what_stands_before_is_found(stop: int) -> None:
    """Definitions that ended some lines before are found whatever comes then."""
    text = CODE[:stop]
    whole = {(one.owner, one.name) for one in read(CODE).definitions if one.kind != "attribute"}
    last = text.count("\n") - 3
    ended = {
        (one.owner, one.name)
        for one in read(CODE).definitions
        if one.last_line < last and one.kind != "attribute"
    }
    found = {(one.owner, one.name) for one in read(text).definitions}
    assert ended <= found
    assert ended <= whole


HOSTILE = {
    "brackets": "(" * 100_000,
    "closed brackets": "[" * 100_000 + "]" * 100_000,
    "mixed brackets": "([)" * 50_000,
    "within a class": "class A:\n    def f(self): pass\n" + "x = (" * 50_000,
    "lambdas": "lambda:" * 50_000,
    "statements on a line": "x=1;" * 100_000,
    "nested classes": "".join(" " * depth + "class A:\n" for depth in range(1000)),
    "unclosed heads": "class A(\n" * 20_000,
    "heads": "def f\n" * 50_000,
    "one word": "a" * 900_000,
    "dots": "a." * 300_000,
    "nothing": "\0" * 100_000,
    "conditions": "if isinstance(a, b" * 20_000,
    "large": "x = 1\n" * 2_000_000,
    "returns": "class A:\n def f(self):\n"
    + "".join(map("  self.a{}=1\n  return a()\n".format, range(30_000))),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    start = time.process_time()
    facts = read(text)
    assert time.process_time() - start < 20
    assert sum(len(one.shown) for one in facts.definitions) < 4 * len(text) + 1_000_000


def test_what_is_too_deep_still_has_its_heads() -> None:
    found = {one.name for one in read(HOSTILE["within a class"]).definitions}
    assert {"A", "f"} <= found


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("abdef clas:()[],.=\n\t \"'#@\\\ud800é\0*"), max_size=300))
def test_any_text_is_read(text: str) -> None:
    facts = read(text)
    assert facts == read(text)
    lines = text.count("\n") + 1
    assert all(1 <= one.first_line <= one.last_line <= lines for one in facts.definitions)
