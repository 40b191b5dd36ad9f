"""Reads the facts of a file from its syntax tree, for all languages but Python.

A language registers a handler for each type of node; a query finds those nodes in order, so neither
the tree's depth nor the number of brackets matters. The result depends on the text alone.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from tree_sitter import Node, Query, QueryCursor

from longllama_code.definitions.languages.facts import Binding, Definition, FileFacts, Import, Kind
from longllama_code.definitions.languages.grammars import can_be_parsed, parsed_in_time, parser

MAX_SHOWN_BYTES = 600
"""Maximum size of a definition's text; signatures written by hand are shorter."""
MAX_TYPE_BYTES = 200
MAX_BROKEN_BYTES = 20_000
"""Size above which a source with errors is walked instead of queried: a query can be slow on it."""
MAX_OWNERS = 8
"""Maximum number of nested classes that an owner names."""
MAX_DOCUMENTATION_LINES = 60
MAX_INDENT_BYTES = 40
MAX_STEPS = 20
"""Maximum number of members in the expression that makes a value."""
CLOSING = {b"(": b")", b"[": b"]", b"{": b"}"}
_STRING = rb'"(?:[^"\\\n]|\\.)*"'
_COMMENT = rb"//[^\n]*|/\*.*?\*/"
BRACKETS = re.compile(
    _STRING + rb"|'(?:[^'\\\n]|\\[^'\n]{1,10}|\\')'|`[^`]*`|" + _COMMENT + rb"|[()\[\]{}]",
    re.DOTALL,
)
"""Brackets, strings and comments of languages with character literals between apostrophes."""
BRACKETS_AND_STRINGS = re.compile(
    _STRING + rb"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|" + _COMMENT + rb"|[()\[\]{}]", re.DOTALL
)
"""Brackets, strings and comments of languages with strings between apostrophes."""
COMMENT_MARKS = "/*!# \t"

Handler = Callable[["Reader", Node], None]


@dataclass(frozen=True)
class Scope:
    """Scope of a node."""

    end: int
    """Offset of the byte behind it."""
    first_line: int
    last_line: int
    owner: str = ""
    """Class around it, as in ``Definition.owner``."""
    inner: bool = False
    """Whether it is within a function, where nobody sees it from outside."""
    n_modules: int = 0
    """Number of inline modules around it."""


@dataclass(frozen=True)
class Grammar:
    """A grammar, and the handlers of its node types."""

    module: str
    function: str
    handlers: Mapping[str, Handler]
    members: Mapping[str, tuple[str, str]]
    """Member expressions: the fields of the object and of the member."""
    operands: Mapping[str, str]
    """Expressions with the type of one of their parts: its field; empty for the first part."""
    leaves: frozenset[str]
    """Names and types, which end the search for what makes a value."""
    passes: frozenset[str] = frozenset()
    """Members that return, roughly, their object's type, such as ``unwrap``."""
    brackets: re.Pattern[bytes] = BRACKETS
    """Pattern of brackets, and of strings and comments, whose brackets do not count."""

    def read(self, text: str, other: "Grammar | None" = None) -> FileFacts:
        """Return the facts of a text, by another grammar if that parses more of it."""
        source = text.encode("utf-8", "replace")
        if not can_be_parsed(source):
            return FileFacts()
        reader = Reader(source, self)
        if other is not None and reader.n_errors:
            second = Reader(source, other)
            reader = second if second.n_errors < reader.n_errors else reader
        if missing := _missing(source, self.brackets):
            # Closed, it is no deeper: it need not be asked again whether it can be parsed.
            return _joined(reader.facts(), Reader(source + missing, reader.grammar).facts())
        return reader.facts()


class Reader:
    """Visits a text that can be parsed once; handlers add facts to its lists."""

    def __init__(self, source: bytes, grammar: Grammar) -> None:
        self.data = source
        self.done = 0
        """Offset before which nodes have been read."""
        self.definitions: list[Definition] = []
        self.imports: list[Import] = []
        self.bindings: list[Binding] = []
        self.imported: dict[str, Import] = {}
        """Imports by name; the first one of a name."""
        self.members: set[tuple[str, str]] = set()
        """Owner and name of each definition so far."""
        self.names: dict[int, str] = {}
        """Names of anonymous nodes, by the offset of their first byte."""
        self.private: set[int] = set()
        """Offsets of private definitions."""
        self.package = ""
        self.lines = self.data.split(b"\n")
        self.begins: dict[int, int] = {}
        """Offset at which a node's shown text begins, by the node's own: the ``export`` before a
        class."""
        self._scopes = [Scope(len(self.data) + 1, 1, len(self.lines))]
        self.grammar = grammar
        tree = parsed_in_time(self.data, grammar.module, grammar.function)
        nodes, self.n_errors = ([], 0) if tree is None else _nodes_of(tree.root_node, grammar)
        for node in nodes:
            if node.start_byte < self.done:
                continue
            while self.scope.end <= node.start_byte and len(self._scopes) > 1:
                self._scopes.pop()
            grammar.handlers[node.type](self, node)

    def facts(self) -> FileFacts:
        """Return all that was found."""
        return FileFacts(
            tuple(self.definitions), tuple(self.imports), tuple(self.bindings), self.package
        )

    @property
    def scope(self) -> Scope:
        """Innermost scope around the current node."""
        return self._scopes[-1]

    def enter(
        self, node: Node, owner: str | None = None, *, inner: bool = True, is_module: bool = False
    ) -> None:
        """Say that the nodes within this one are in a scope of their own.

        Args:
            node: a function, a class, or whatever else has members or local variables.
            owner: the class that it is; None, the one around it.
            inner: whether it is a function.
            is_module: whether it is a module within the file.
        """
        around = self.scope
        first, last = lines_of(node)
        owner = around.owner if owner is None else owner
        inner, n_modules = inner or around.inner, around.n_modules + is_module
        self._scopes.append(Scope(node.end_byte, first, last, owner, inner, n_modules))

    def owner_of(self, name: str) -> str:
        """Return the owner that members of a class of this name have here."""
        around = self.scope.owner
        return f"{around}.{name}" if around and around.count(".") < MAX_OWNERS else name

    def text(self, node: Node | None, limit: int = MAX_TYPE_BYTES) -> str:
        """Return what is written at a node, on one line; of a long one its beginning."""
        if node is None:
            return ""
        end = min(node.end_byte, node.start_byte + limit)
        return " ".join(self.data[node.start_byte : end].decode("utf-8", "replace").split())

    def field(self, node: Node, name: str) -> str:
        """Return what is written at a field of a node; empty where it has none."""
        return self.text(node.child_by_field_name(name))

    def made_by(self, value: Node | None) -> str:
        """Return what a value is made by: names with dots between, calls left out."""
        grammar, names = self.grammar, list[str]()
        for _ in range(MAX_STEPS):
            if value is None:
                return ""
            if value.type in grammar.leaves:
                return ".".join((self.text(value), *reversed(names)))
            if value.type in grammar.members:
                of, member = grammar.members[value.type]
                name, value = self.field(value, member), value.child_by_field_name(of)
                names += [] if name in grammar.passes else [name]
                if value is None:  # a method of the class around
                    return ".".join(reversed(names))
            elif value.type in grammar.operands:
                field = grammar.operands[value.type]
                first = value.named_child(0) if value.named_child_count else None
                value = value.child_by_field_name(field) if field else first
            else:
                return ""
        return ""

    def shown(self, node: Node, body: Node | None = None, mark: str = "") -> str:
        """Return a definition as it is written, up to its body, with a mark instead of that."""
        return self.until(node, node.end_byte if body is None else body.start_byte) + mark

    def first_line(self, node: Node) -> str:
        """Return the first line of a definition, with a mark where there are more."""
        first, *rest = self.shown(node).split("\n")
        return first + " ..." if rest else first

    def until(self, node: Node, end: int) -> str:
        """Return what is written from a node's beginning up to a byte, indented as in the file."""
        start = self.begins.get(node.start_byte, node.start_byte)
        indent = self.data[self.data.rfind(b"\n", 0, start) + 1 : start]
        indent = b"" if indent.strip() else indent[:MAX_INDENT_BYTES]
        written = self.data[start : min(end, start + MAX_SHOWN_BYTES)].decode("utf-8", "replace")
        if end > start + MAX_SHOWN_BYTES:
            written = written.rpartition("\n")[0] or written
        return indent.decode() + written.rstrip()

    def documentation(self, line: int) -> str:
        """Return the first line of the comment that ends right above a line."""
        first = ""
        for row in range(line - 2, max(-1, line - 2 - MAX_DOCUMENTATION_LINES), -1):
            written = self.lines[row][:MAX_TYPE_BYTES].decode("utf-8", "replace").strip()
            if written.startswith(("@", "#[")):
                continue
            if not written.startswith(("//", "/*", "*")):
                break
            first = written.strip(COMMENT_MARKS) or first
            if written.startswith("/*"):
                break
        return first

    def add_import(self, one: Import) -> None:
        """Add an import."""
        self.imports.append(one)
        self.imported.setdefault(one.alias, one)

    def define(
        self,
        node: Node,
        name: str,
        kind: Kind,
        shown: str,
        *,
        type: str = "",
        bases: tuple[str, ...] = (),
        owner: str | None = None,
        seen: bool = False,
        is_private: bool = False,
        is_static: bool = False,
    ) -> None:
        """Add a definition, unless it is within a function or has no name.

        Args:
            node: all of it.
            name: its name.
            kind: what it is.
            shown: how it is written.
            type: as in ``Definition``.
            bases: as in ``Definition``.
            owner: the class that it is a member of; None, the one around it.
            seen: whether others see it even from within a function, as with ``this.name = 1``.
            is_private: as in ``Definition``; ``private`` can set it too.
            is_static: as in ``Definition``.
        """
        if not name or (self.scope.inner and not seen):
            return
        first, last = lines_of(node)
        owner = self.scope.owner if owner is None else owner
        self.members.add((owner, name))
        self.definitions.append(
            Definition(
                name,
                kind,
                shown,
                first,
                last,
                owner=owner,
                type=type,
                bases=bases,
                documentation=self.documentation(first),
                is_private=is_private or node.start_byte in self.private,
                is_static=is_static,
            )
        )

    def bind(self, node: Node, name: str, type: str) -> None:
        """Add a variable of the scope at hand, if its type is known."""
        if name and type:
            at = self.scope
            line = node.start_point.row + 1
            self.bindings.append(Binding(name, type, line, at.first_line, at.last_line, at.owner))


def _missing(source: bytes, brackets: re.Pattern[bytes]) -> bytes:
    """Return what closes the brackets that are open at the end, as in code being written."""
    opened = bytearray()
    for found in brackets.finditer(_without_open_comments(source)):
        mark = found[0]
        if mark in CLOSING:
            opened += CLOSING[mark]
        elif len(mark) == 1 and (at := opened.rfind(mark)) >= 0:
            del opened[at:]
    return bytes(reversed(opened))


def _without_open_comments(source: bytes) -> bytes:
    """Return a source without the marks of comments that never end.

    For each of them, the pattern of comments would search the rest of the source for the end.
    """
    last = source.rfind(b"*/") + 1
    return source[:last] + source[last:].replace(b"/*", b"/ ")


def _joined(as_written: FileFacts, closed: FileFacts) -> FileFacts:
    """Return what a text says whose last blocks are open; they go on to its end.

    A block that is open further up has what follows within it, where nobody sees that.
    """
    fewer = len(closed.definitions) < len(as_written.definitions)
    return replace(closed, definitions=as_written.definitions) if fewer else closed


def _nodes_of(root: Node, grammar: Grammar) -> tuple[list[Node], int]:
    """Return the nodes that there are handlers for, the outer first, and how many are broken."""
    if root.has_error and root.end_byte > MAX_BROKEN_BYTES:
        found = _walked(root, grammar)
    else:
        query = _query(grammar.module, grammar.function, tuple(grammar.handlers))
        found = QueryCursor(query).captures(root)
    nodes = sorted(found.get("node", []), key=lambda node: (node.start_byte, -node.end_byte))
    return nodes, len(found.get("error", []))


def _walked(root: Node, grammar: Grammar) -> dict[str, list[Node]]:
    """Find nodes as the query does, which takes quadratic time where an error has many parts."""
    found: dict[str, list[Node]] = {"node": [], "error": []}
    cursor = root.walk()
    while True:
        node = cursor.node
        if node is not None and node.is_named and node.type in grammar.handlers:
            found["node"].append(node)
        elif node is not None and node.is_error:
            found["error"].append(node)
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return found


@cache
def _query(module: str, function: str, types: tuple[str, ...]) -> Query:
    language = parser(module, function).language
    assert language is not None  # a parser is made of one
    return Query(language, "[" + " ".join(f"({type})" for type in types) + "] @node (ERROR) @error")


def lines_of(node: Node) -> tuple[int, int]:
    """Return the first and the last line of a node; some grammars count the line break to it."""
    first, last = node.start_point.row, node.end_point.row
    if node.end_point.column == 0:
        last = max(first, last - 1)
    return first + 1, last + 1
