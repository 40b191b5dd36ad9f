"""Syntactic spans of a source file: the texts that a model is asked to write.

    call        store.put(path, text)           argument    text, of store.put(path, text)
    member      put, of store.put               condition   of if and while
    statement   one statement                   block       the body of a function, loop or branch

Found by tree-sitter, by node types that the grammars share, so one table serves all languages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from tree_sitter import Node, Tree

from longllama_code.definitions.languages.grammars import kinds, parsed

SpanKind = Literal["call", "argument", "member", "condition", "statement", "block"]
SPAN_KINDS: tuple[SpanKind, ...] = get_args(SpanKind)

CALLS = kinds(
    "call call_expression method_invocation new_expression object_creation_expression"
    " macro_invocation"
)
ARGUMENTS = kinds("arguments argument_list")
BLOCKS = kinds("block statement_block compound_statement")
STATEMENTS = kinds(
    "expression_statement return_statement assignment raise_statement assert_statement"
    " delete_statement throw_statement let_declaration lexical_declaration variable_declaration"
    " local_variable_declaration short_var_declaration var_declaration assignment_statement"
    " declaration send_statement defer_statement go_statement"
)
MEMBER_FIELDS = {
    "attribute": "attribute",
    "member_expression": "property",
    "selector_expression": "field",
    "field_expression": "field",
    "field_access": "field",
    "method_invocation": "name",
}
CONDITION = "condition"
"""Field of the condition in all grammars."""
_TYPESCRIPT = "tree_sitter_typescript"
GRAMMARS = {
    **dict.fromkeys((".py", ".pyi"), ("tree_sitter_python", "language")),
    **dict.fromkeys((".ts", ".mts", ".cts"), (_TYPESCRIPT, "language_typescript")),
    ".tsx": (_TYPESCRIPT, "language_tsx"),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), ("tree_sitter_javascript", "language")),
    ".go": ("tree_sitter_go", "language"),
    ".rs": ("tree_sitter_rust", "language"),
    ".java": ("tree_sitter_java", "language"),
    ".c": ("tree_sitter_c", "language"),
    **dict.fromkeys((".h", ".hpp", ".cc", ".cpp", ".cxx"), ("tree_sitter_cpp", "language")),
}
"""Package and function of the grammar of each suffix."""


@dataclass(frozen=True, order=True)
class Span:
    """A span of a text, in code points."""

    start: int
    end: int
    kind: SpanKind


def spans_of(path: str, text: str) -> list[Span]:
    """Return the spans of a file, each once, in order; none for broken or unknown files."""
    grammar = GRAMMARS.get(path[path.rfind(".") :])
    source = text.encode("utf-8", "replace")
    tree = None if grammar is None else parsed(source, *grammar)
    if tree is None or tree.root_node.has_error:
        return []
    offsets = _offsets(source)
    return sorted(
        {
            Span(offsets[start], offsets[end], kind)
            for start, end, kind in _found(tree)
            if start < end
        }
    )


def _offsets(source: bytes) -> list[int]:
    """Return the code point of each byte of UTF-8, and of the end."""
    offsets, at = list[int](), -1
    for byte in source:
        at += byte & 0xC0 != 0x80
        offsets.append(at)
    return [*offsets, at + 1]


def _found(tree: Tree) -> Iterator[tuple[int, int, SpanKind]]:
    """Yield the first byte, the end and the kind of each span."""
    nodes = [tree.root_node]
    while nodes:
        node = nodes.pop()
        nodes += node.named_children
        yield from _of_node(node)


def _of_node(node: Node) -> Iterator[tuple[int, int, SpanKind]]:
    if node.type in CALLS:
        yield node.start_byte, node.end_byte, "call"
    if node.type in ARGUMENTS:
        for argument in node.named_children:
            yield argument.start_byte, argument.end_byte, "argument"
    if node.type in STATEMENTS:
        yield node.start_byte, node.end_byte, "statement"
    if node.type in BLOCKS and node.named_children:
        children = node.named_children
        yield children[0].start_byte, children[-1].end_byte, "block"
    member = node.child_by_field_name(MEMBER_FIELDS.get(node.type, CONDITION))
    if member is not None:
        kind: SpanKind = "member" if node.type in MEMBER_FIELDS else "condition"
        yield member.start_byte, member.end_byte, kind
