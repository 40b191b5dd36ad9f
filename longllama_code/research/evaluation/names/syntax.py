"""The names of a file in JavaScript, TypeScript, Go, Rust, Java, C or C++, by its syntax tree.

One reader serves all; ``syntax_languages`` lists where each grammar has names. A definition is
exported if it is outside functions; visibility (``pub``, ``export``) is ignored, as other files
never use a name that they cannot see.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from longllama_code.definitions.languages.grammars import parser
from longllama_code.definitions.languages.syntax import lines_of
from longllama_code.research.evaluation.names.reader import (
    MIN_NAME_CHARS,
    Definition,
    FileNames,
    Use,
)
from longllama_code.research.evaluation.names.syntax_languages import (
    CPP,
    GO,
    JAVA,
    JAVASCRIPT,
    RUST,
    TSX,
    TYPESCRIPT,
    C,
    Language,
)

if TYPE_CHECKING:
    from tree_sitter import Node, Tree, TreeCursor

COMMON_NAMES = Path(__file__).parents[3] / "data" / "common_names"
MAX_BROKEN_SHARE = 0.5
"""Share of unparsable text above which a file is in another language than its suffix says."""
COMMENTS = frozenset(
    {"comment", "line_comment", "block_comment", "html_comment", "hash_bang_line", "shebang"}
)
INNER_FIELDS = frozenset(
    {"body", "parameters", "parameter", "receiver", "result", "return_type", "type_parameters"}
)
"""Parts of a function that are local to it."""
NO_NAMES = frozenset({"blank_identifier", "statement_identifier"})
"""Identifier nodes that are no names: labels, and ``_`` in some grammars."""
PATTERN_LEAF = "shorthand_field_identifier"
OUTER = ("declarator", "pattern", "expression_list")
"""Suffixes of the types of nodes that are only a part of a definition."""
WRAPPERS = frozenset({"export_statement", "template_declaration", "ambient_declaration"})
"""Nodes that begin the lines of the definition within them."""


class SyntaxClassifier:
    """Classifier of a language with one or more grammars."""

    def __init__(self, language: str, *grammars: Language) -> None:
        """Read files with the first grammar that parses all of the text, or most of it.

        Args:
            language: name of the language, which files that share names have in common.
            grammars: at least one.
        """
        self.language = language
        self._grammars = grammars

    def read(self, path: str, text: str) -> FileNames | None:
        """See ``Classifier.read``."""
        readers: list[_Reader] = []
        for grammar in self._grammars:
            readers.append(_Reader(path, text, grammar))
            if not readers[-1].broken:
                break
        reader = min(readers, key=lambda reader: reader.broken)
        n_bytes = len(reader.data)
        return None if reader.broken > MAX_BROKEN_SHARE * n_bytes else reader.names()

    def is_common(self, name: str) -> bool:
        """See ``Classifier.is_common``."""
        return name in _common(self.language)


def _classifiers() -> dict[str, SyntaxClassifier]:
    """Return a classifier for each suffix."""
    of_language = {
        SyntaxClassifier("javascript", JAVASCRIPT): ".js .jsx .cjs .mjs",
        SyntaxClassifier("javascript", TYPESCRIPT): ".ts .cts .mts",
        SyntaxClassifier("javascript", TSX): ".tsx",
        SyntaxClassifier("go", GO): ".go",
        SyntaxClassifier("rust", RUST): ".rs",
        SyntaxClassifier("java", JAVA): ".java",
        SyntaxClassifier("c", C): ".c",
        SyntaxClassifier("c", CPP, C): ".h",  # C++ has nearly all of C; C takes `class` for a type
        SyntaxClassifier("c", CPP): ".cc .cpp .cxx .hh .hpp .hxx",
    }
    return {suffix: one for one, suffixes in of_language.items() for suffix in suffixes.split()}


SYNTAX_CLASSIFIERS = _classifiers()


@dataclass(frozen=True)
class _Spot:
    """A node of the tree with its context."""

    node: Node
    field: str | None
    """Its field in its parent."""
    parent: _Spot | None
    hidden: bool
    """Whether it is inside a function."""
    imported: bool

    @property
    def place(self) -> tuple[str, str | None]:
        """Its place in the sense of ``Language``."""
        return "" if self.parent is None else self.parent.node.type, self.field


class _Reader:
    """Collects the names of a file from its tree."""

    def __init__(self, path: str, text: str, language: Language) -> None:
        self._path, self._text, self._language = path, text, language
        self.data = text.encode("utf-8", "surrogatepass")
        self._points = _code_points(text)
        self._exported: list[Definition] = []
        self._bound: set[str] = set()
        self._uses: list[Use] = []
        self._imports: set[int] = set()
        self._comments: list[tuple[int, int]] = []
        self.broken = 0
        tree = parser(language.module, language.grammar).parse(self.data)
        for spot in _walk(tree, language):
            self._visit(spot)

    def names(self) -> FileNames:
        """Return all that was found."""
        return FileNames(
            exported=tuple(self._exported),
            bound=frozenset(self._bound),
            uses=tuple(self._uses),
            imports=frozenset(self._imports),
            comments=_comment_lines(self._text, self._comments),
        )

    def _visit(self, spot: _Spot) -> None:
        node = spot.node
        self._count_broken(node, None if spot.parent is None else spot.parent.node)
        if node.type in COMMENTS:
            self._comments.append((self._point(node.start_byte), self._point(node.end_byte)))
        elif spot.imported:
            self._imports.update(_lines(node))
        if _is_name(node):
            self._name(spot)

    def _count_broken(self, node: Node, parent: Node | None) -> None:
        """Count the bytes of an error, without the nodes within that make sense by themselves.

        One missing brace can make a single error of a whole file whose lines are in order.
        """
        in_error = parent is not None and parent.is_error
        if node.is_error and not in_error:
            self.broken += node.end_byte - node.start_byte
        elif in_error and not node.is_error and node.child_count:
            self.broken -= node.end_byte - node.start_byte

    def _name(self, spot: _Spot) -> None:
        start, end = self._point(spot.node.start_byte), self._point(spot.node.end_byte)
        name, line = self._text[start:end], spot.node.start_point.row + 1
        if not spot.imported and _binds(spot, self._language):
            self._bound.add(name)
            if not spot.hidden:
                self._export(name, spot)
        elif not spot.imported and _is_member(spot, self._language):
            self._bound.add(name)
            self._export(name, spot)
        else:
            self._uses.append(Use(name, line, start, end))

    def _export(self, name: str, spot: _Spot) -> None:
        if len(name) >= MIN_NAME_CHARS and not name.startswith("#"):  # `#names` are private
            lines = _lines(_definition(spot))
            self._exported.append(Definition(name, self._path, lines[0], lines[-1]))

    def _point(self, byte: int) -> int:
        return byte if self._points is None else self._points[byte]


def _walk(tree: Tree, language: Language) -> Iterator[_Spot]:
    """Yield every node, parents first, without recursion, as trees can be very deep."""
    cursor = tree.walk()
    spot = _spot(cursor, None, language)
    while True:
        yield spot
        if spot.node.type not in language.skips and cursor.goto_first_child():
            spot = _spot(cursor, spot, language)
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent() or spot.parent is None:
                return
            spot = spot.parent
        spot = _spot(cursor, spot.parent, language)


def _spot(cursor: TreeCursor, parent: _Spot | None, language: Language) -> _Spot:
    node, field = cursor.node, cursor.field_name
    assert node is not None  # the cursor is always on a node
    hidden, imported = (False, False) if parent is None else (parent.hidden, parent.imported)
    inner = parent is not None and parent.node.type in language.functions and field in INNER_FIELDS
    condition = language.imports.get(node.type)
    return _Spot(
        node,
        field,
        parent,
        hidden or inner or node.type in language.hides,
        imported or (condition is not None and condition(node)),
    )


def _is_name(node: Node) -> bool:
    """Whether a node is an identifier, by the name of its type."""
    kind = node.type
    return (
        node.child_count == 0
        and node.is_named
        and not node.is_missing
        and kind.endswith(("identifier", "identifier_pattern"))
        and kind not in NO_NAMES
        and node.text != b"_"
    )


def _binds(spot: _Spot, language: Language) -> bool:
    """Whether an identifier is given a value, or is declared, where it stands."""
    if spot.place == ("field_pattern", "name") and spot.node.type == PATTERN_LEAF:
        return True  # Rust's `Berth { depth }`; in `Berth { depth: d }` the field is only used
    leaf = spot
    while spot.parent is not None and spot.place in language.within:
        spot = spot.parent
    if spot.place in language.table_keys:
        return not spot.hidden
    if spot.place in language.variables:
        return not (leaf.node.text or b"")[:1].isupper()
    if spot.parent is None or spot.place not in language.binds:
        return False
    around = spot.parent.node
    return around.type not in language.with_body or around.child_by_field_name("body") is not None


def _is_member(spot: _Spot, language: Language) -> bool:
    """Whether an identifier becomes a member by assignment, as in ``this.depth = 3``."""
    member = spot.parent
    if spot.place != ("member_expression", "property") or member is None:
        return False
    if member.place != ("assignment_expression", "left"):
        return False
    owner = member.node.child_by_field_name("object")
    text = "" if owner is None else (owner.text or b"").decode("utf-8", "replace")
    return text in language.owners or (bool(language.owners) and text.endswith(".prototype"))


def _definition(spot: _Spot) -> Node:
    """Return the node of all that defines a name."""
    around = spot.parent or spot
    while around.parent is not None and (
        around.node.type.endswith(OUTER)
        or around.parent.node.type in WRAPPERS
        or around.node.type in ("qualified_identifier", "member_expression")
    ):
        around = around.parent
    return around.node


def _lines(node: Node) -> range:
    """Return the lines of a node, from 1."""
    first, last = lines_of(node)
    return range(first, last + 1)


def _code_points(text: str) -> Sequence[int] | None:
    """Return the code point that each byte of UTF-8 belongs to; None if both are equal."""
    if text.isascii():
        return None
    widths = (len(char.encode("utf-8", "surrogatepass")) for char in text)
    points = itertools.chain.from_iterable(
        itertools.repeat(number, width) for number, width in enumerate(widths)
    )
    return [*points, len(text)]


def _comment_lines(text: str, comments: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Return the lines that hold nothing but comments."""
    pieces: list[str] = []
    done = 0
    for start, end in comments:
        start = max(start, done)
        blanks = ("\n" if char == "\n" else " " for char in text[start:end])
        pieces += [text[done:start], *blanks]
        done = max(done, end)
    without = "".join([*pieces, text[done:]]).split("\n")
    pairs = zip(text.split("\n"), without, strict=True)
    return frozenset(
        n for n, (line, rest) in enumerate(pairs, 1) if line.strip() and not rest.strip()
    )


@cache
def _common(language: str) -> frozenset[str]:
    """Return names of a language and its library; lines that begin with ``#`` name sources."""
    lines = (COMMON_NAMES / f"{language}.txt").read_text("utf-8").splitlines()
    return frozenset(" ".join(line for line in lines if not line.startswith("#")).split())
