"""Reader of C and C++, and resolution of their includes.

Namespaces are not recorded: uses of their names are within them, qualified, or after ``using``.
"""

import posixpath
import re
from collections.abc import Iterator

from tree_sitter import Node

from longllama_code.definitions.languages.facts import FileFacts, Import
from longllama_code.definitions.languages.grammars import kinds
from longllama_code.definitions.languages.language import Language, Layout
from longllama_code.definitions.languages.syntax import MAX_STEPS, Grammar, Handler, Reader
from longllama_code.texts import common_prefix_length

END = ";"
DECLARATORS = kinds(
    """
    pointer_declarator array_declarator reference_declarator parenthesized_declarator
    init_declarator function_declarator attributed_declarator
    """
)
NAMES = frozenset(
    {"identifier", "field_identifier", "type_identifier", "destructor_name", "operator_name"}
)
NO_TYPE = re.compile(
    r"\b(?:const|volatile|struct|class|union|enum|typename|static|unsigned)\b|[*&]"
)
EXPORT_MACRO = re.compile(
    r"\b(class|struct)([ \t]+)([A-Z][A-Z0-9_]+(?:\([^()\n]*\))?)(?=[ \t]+\w+[^;()=]{0,300}\{)"
)
"""Macro before a class's name, which the grammar would take for the name; the class's body begins
within some lines, as looking further on would take quadratic time."""


def _plain(written: str) -> str:
    return " ".join(NO_TYPE.sub("", written).replace("::", ".").split())


def _declared(node: Node | None) -> tuple[Node | None, Node | None]:
    """Return the declared name, and the declarator that makes it a function, if there is one."""
    function = None
    for _ in range(MAX_STEPS):
        if node is None or node.type not in DECLARATORS:
            break
        if node.type == "function_declarator":
            function = node
        inner = node.child_by_field_name("declarator")
        node = inner or (node.named_child(0) if node.named_child_count else None)
    return node, function


def _qualified(reader: Reader, name: Node) -> tuple[str, str]:
    """Return a name, and the class that is written before it."""
    scope = ""
    for _ in range(MAX_STEPS):
        if name.type != "qualified_identifier":
            break
        scope = reader.field(name, "scope").split("<")[0]
        inner = name.child_by_field_name("name")
        if inner is None:
            break
        name = inner
    return reader.text(name) if name.type in NAMES else "", scope


# Functions and variables.


def _function(reader: Reader, node: Node) -> None:
    declarator = node.child_by_field_name("declarator")
    name, function = _declared(declarator)
    owner = reader.scope.owner
    if name is not None and function is not None and declarator is not None:
        owner = _define_function(reader, node, name, declarator) or owner
    reader.enter(node, owner)
    if owner:
        reader.bind(node, "this", owner)


def _define_function(reader: Reader, node: Node, name: Node, declarator: Node) -> str:
    """Define a function or a method, and return the class that it is of."""
    written, scope = _qualified(reader, name)
    owner = scope or reader.scope.owner
    shown = reader.until(node, declarator.end_byte) + END
    type = _plain(reader.field(node, "type"))
    kind = "method" if owner else "function"
    is_private = kind == "function" and shown.startswith("static ")
    reader.define(
        node,
        written,
        kind,
        shown,
        type=type,
        owner=owner,
        is_private=is_private,
        is_static=kind == "method" and shown.lstrip().startswith("static "),
    )
    return owner


def _declaration(reader: Reader, node: Node) -> None:
    type = _plain(reader.field(node, "type"))
    for one in node.children_by_field_name("declarator"):
        name, function = _declared(one)
        if name is None:
            continue
        is_value = one.type == "init_declarator"
        if function is not None and not is_value:
            _define_function(reader, node, name, one)
            continue
        made_by = reader.made_by(one.child_by_field_name("value")) if type == "auto" else type
        written, scope = _qualified(reader, name)
        reader.bind(node, written, made_by.replace("::", "."))
        if not scope and not reader.scope.inner:
            owner = reader.scope.owner
            kind = "attribute" if owner else "constant"
            reader.define(node, written, kind, reader.first_line(node), type=made_by)


def _parameter(reader: Reader, node: Node) -> None:
    name, function = _declared(node.child_by_field_name("declarator"))
    if name is not None and function is None and reader.scope.inner:
        reader.bind(node, reader.text(name), _plain(reader.field(node, "type")))


# Types.


def _type(reader: Reader, node: Node) -> None:
    body = node.child_by_field_name("body")
    if body is None:
        return
    name = reader.field(node, "name").split("<")[0] or reader.names.get(node.start_byte, "")
    is_enum = node.type == "enum_specifier"
    if name:
        shown = reader.shown(node) + END if is_enum else reader.shown(node, body, " {")
        reader.define(node, name, "class", shown, bases=tuple(_bases(reader, node)))
    if is_enum:
        _enumerators(reader, node, name, body)
        return
    reader.enter(node, reader.owner_of(name) if name else None, inner=False)
    _note_private(reader, node, body)


def _bases(reader: Reader, node: Node) -> Iterator[str]:
    for part in node.named_children:
        if part.type == "base_class_clause":
            for one in part.named_children:
                if one.type != "access_specifier":
                    yield _plain(reader.text(one))


def _note_private(reader: Reader, node: Node, body: Node) -> None:
    is_private = node.type == "class_specifier"
    for one in body.named_children:
        if one.type == "access_specifier":
            is_private = reader.text(one) == "private"
        elif is_private:
            reader.private.add(one.start_byte)


def _enumerators(reader: Reader, node: Node, enum: str, body: Node) -> None:
    """Define the values of an enumeration; except in ``enum class``, they need no qualifier."""
    is_class = any(one.type in ("class", "struct") for one in node.children[:3])
    for one in body.named_children:
        if one.type != "enumerator":
            continue
        name = reader.field(one, "name")
        if is_class:
            owner = reader.owner_of(enum)
            reader.define(one, name, "attribute", reader.shown(one) + ",", owner=owner, type=enum)
        else:
            kind = "attribute" if reader.scope.owner else "constant"
            shown = " ".join(f"enum {enum} {{ {reader.text(one)}, ... }};".split())
            reader.define(one, name, kind, shown, type=enum)


def _type_definition(reader: Reader, node: Node) -> None:
    type = node.child_by_field_name("type")
    if type is None:
        return
    has_body = type.child_by_field_name("body") is not None
    base = reader.field(type, "name") if has_body else _plain(reader.text(type))
    for one in node.children_by_field_name("declarator"):
        found, _ = _declared(one)
        name = "" if found is None else reader.text(found)
        if has_body and not base:
            reader.names[type.start_byte] = base = name
            reader.begins[type.start_byte] = node.start_byte
        elif name != base:
            shown = f"typedef {base} {name};" if has_body else reader.shown(node)
            reader.define(node, name, "class", shown, bases=(base,))


def _alias(reader: Reader, node: Node) -> None:
    bases = (_plain(reader.field(node, "type")),)
    reader.define(node, reader.field(node, "name"), "class", reader.shown(node), bases=bases)


def _template(reader: Reader, node: Node) -> None:
    inner = node.named_child(node.named_child_count - 1) if node.named_child_count else None
    if inner is not None:
        reader.begins[inner.start_byte] = reader.begins.get(node.start_byte, node.start_byte)
        if node.start_byte in reader.private:
            reader.private.add(inner.start_byte)


def _namespace(reader: Reader, node: Node) -> None:
    reader.enter(node, "", inner=False, is_module=True)


# The preprocessor.


def _include(reader: Reader, node: Node) -> None:
    module = reader.field(node, "path").strip('<>"')
    if module:
        reader.add_import(Import("*", module, "", node.start_point.row + 1, is_public=True))


def _macro(reader: Reader, node: Node) -> None:
    kind = "constant" if node.type == "preproc_def" else "function"
    if node.child_by_field_name("value") is not None:
        first, *rest = reader.shown(node).rstrip().split("\n")
        shown = first.rstrip("\\ ") + " ..." if rest else first
        reader.define(node, reader.field(node, "name"), kind, shown, owner="", seen=True)


C_HANDLERS: dict[str, Handler] = {
    "function_definition": _function,
    "declaration": _declaration,
    "field_declaration": _declaration,
    "parameter_declaration": _parameter,
    "struct_specifier": _type,
    "union_specifier": _type,
    "enum_specifier": _type,
    "type_definition": _type_definition,
    "preproc_include": _include,
    "preproc_def": _macro,
    "preproc_function_def": _macro,
}
CPP_HANDLERS: dict[str, Handler] = {
    **C_HANDLERS,
    "class_specifier": _type,
    "alias_declaration": _alias,
    "template_declaration": _template,
    "namespace_definition": _namespace,
    "lambda_expression": Reader.enter,
    "optional_parameter_declaration": _parameter,
}

_MEMBERS = {
    "field_expression": ("argument", "field"),
    "qualified_identifier": ("scope", "name"),
}
_OPERANDS = {
    "call_expression": "function",
    "new_expression": "type",
    "pointer_expression": "argument",
    "compound_literal_expression": "type",
    "cast_expression": "type",
    "parenthesized_expression": "",
    "subscript_expression": "argument",
}
_LEAVES = kinds(
    """
    identifier type_identifier namespace_identifier template_type template_function this
    type_descriptor field_identifier
    """
)
_C = Grammar("tree_sitter_c", "language", C_HANDLERS, _MEMBERS, _OPERANDS, _LEAVES)
_CPP = Grammar("tree_sitter_cpp", "language", CPP_HANDLERS, _MEMBERS, _OPERANDS, _LEAVES)


def _read_c(text: str) -> FileFacts:
    return _C.read(text)


def _read_cpp(text: str) -> FileFacts:
    """Read C++, or C where that makes more sense of a header."""
    text = EXPORT_MACRO.sub(lambda found: found[1] + found[2] + " " * len(found[3]), text)
    return _CPP.read(text, _C)


def _files_of(imported: Import, path: str, layout: Layout) -> Iterator[str]:
    """Yield the header beside the file, then those whose path ends so, the nearest first."""
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), imported.module))
    if layout.has(beside):
        yield beside
    tail = posixpath.normpath(imported.module).lstrip("./")
    others = [one for one in layout.ending(tail) if one not in (beside, path)]
    yield from sorted(others, key=lambda one: (-common_prefix_length(one, path), one))


C = Language("c", _read_c, _files_of)
CPP = Language("c++", _read_cpp, _files_of)
