"""Reader of TypeScript and JavaScript; the grammar of TSX also parses all of JavaScript."""

from collections.abc import Iterator

from tree_sitter import Node

from longllama_code.definitions.languages.facts import FileFacts
from longllama_code.definitions.languages.grammars import kinds
from longllama_code.definitions.languages.language import Language
from longllama_code.definitions.languages.syntax import (
    BRACKETS_AND_STRINGS,
    Grammar,
    Handler,
    Reader,
)
from longllama_code.definitions.languages.typescript.files import CONFIGURATION, files_of
from longllama_code.definitions.languages.typescript.imports import (
    read_assignment,
    read_export,
    read_import,
    read_require,
    required,
    with_unknown_exports,
)
from longllama_code.definitions.languages.typescript.values import (
    END,
    annotation,
    define_function,
    define_value,
    quoted,
    skip_decorators,
    type_of,
)

TYPE_BODIES = kinds("object_type interface_body")
PRIVATE = (b"private ", b"#")
"""Beginnings of private members."""


def _function(reader: Reader, node: Node) -> None:
    define_function(reader, node, reader.field(node, "name"), node)
    reader.enter(node)


def _variables(reader: Reader, node: Node) -> None:
    declarators = [one for one in node.named_children if one.type == "variable_declarator"]
    for one in declarators:
        value = one.child_by_field_name("value")
        found = required(reader, value)
        if found is not None:
            read_require(reader, one, *found)
            continue
        name = one.child_by_field_name("name")
        if name is None or name.type != "identifier":
            continue
        reader.bind(one, reader.text(name), type_of(reader, one))
        if not reader.scope.inner:
            start = reader.begins.get(node.start_byte, node.start_byte)
            reader.begins[one.start_byte] = start if one == declarators[0] else one.start_byte
            define_value(reader, one, reader.text(name), value)


def _parameter(reader: Reader, node: Node) -> None:
    pattern = node.child_by_field_name("pattern")
    if pattern is None or pattern.type != "identifier":
        return
    reader.bind(node, reader.text(pattern), type_of(reader, node))


# Classes, and whatever else has members.


def _class(reader: Reader, node: Node) -> None:
    name, body = reader.field(node, "name"), node.child_by_field_name("body")
    if not name and node.start_byte in reader.begins:
        name = "default"
    skip_decorators(reader, node)
    if name:
        bases = tuple(_bases(reader, node))
        reader.define(node, name, "class", reader.shown(node, body, " {"), bases=bases)
    reader.enter(node, reader.owner_of(name) if name else "", inner=False)
    reader.bind(node, "this", name)
    if body is not None:
        _members(reader, body)


def _bases(reader: Reader, node: Node) -> Iterator[str]:
    for part in node.named_children:
        clauses = part.named_children if part.type == "class_heritage" else [part]
        for clause in clauses:
            if clause.type == "extends_clause":
                yield reader.field(clause, "value")
            elif clause.type in ("implements_clause", "extends_type_clause"):
                yield from (reader.text(one) for one in clause.named_children)


def _members(reader: Reader, body: Node) -> None:
    for one in body.named_children:
        skip_decorators(reader, one)
        if one.type in MEMBERS:
            MEMBERS[one.type](reader, one)


def _read_privacy(reader: Reader, member: Node) -> None:
    start = reader.begins.get(member.start_byte, member.start_byte)
    if reader.data.startswith(PRIVATE, start):
        reader.private.add(member.start_byte)


def _method(reader: Reader, node: Node) -> None:
    name = reader.field(node, "name")
    if name == "constructor":
        _parameter_attributes(reader, node)
    _read_privacy(reader, node)
    define_function(reader, node, name, node)


def _parameter_attributes(reader: Reader, constructor: Node) -> None:
    """Read the attributes that a constructor declares among its parameters."""
    parameters = constructor.child_by_field_name("parameters")
    for one in () if parameters is None else parameters.named_children:
        skip_decorators(reader, one)
        pattern, type = one.child_by_field_name("pattern"), annotation(reader, one)
        modifiers = ("accessibility_modifier", "readonly", "override_modifier")
        if pattern is not None and any(child.type in modifiers for child in one.children):
            name = reader.text(pattern)
            reader.bind(one, f"this.{name}", type)
            _read_privacy(reader, one)
            reader.define(one, name, "attribute", reader.shown(one) + END, type=type)


def _field(reader: Reader, node: Node) -> None:
    name, value = reader.field(node, "name"), node.child_by_field_name("value")
    reader.bind(node, f"this.{name}", type_of(reader, node))
    _read_privacy(reader, node)
    define_value(reader, node, name, value)


def _signature(reader: Reader, node: Node) -> None:
    define_function(reader, node, reader.field(node, "name"), node)


def _property(reader: Reader, node: Node) -> None:
    name, type = reader.field(node, "name"), annotation(reader, node)
    reader.define(node, name, "attribute", reader.shown(node) + END, type=type)


def _variant(reader: Reader, node: Node) -> None:
    name = reader.field(node, "name") or quoted(reader, node)
    reader.define(node, name, "attribute", reader.shown(node) + ",", is_static=True)


MEMBERS: dict[str, Handler] = {
    "method_definition": _method,
    "method_signature": _signature,
    "abstract_method_signature": _signature,
    "public_field_definition": _field,
    "property_signature": _property,
    "enum_assignment": _variant,
    "property_identifier": _variant,
}


def _type_alias(reader: Reader, node: Node) -> None:
    name, value = reader.field(node, "name"), node.child_by_field_name("value")
    parts = [] if value is None else [value]
    if value is not None and value.type in ("intersection_type", "union_type"):
        parts = value.named_children
    bodies = [part for part in parts if part.type in TYPE_BODIES]
    bases = tuple(reader.text(part) for part in parts if part.type not in TYPE_BODIES)
    is_table = value is not None and value.type in TYPE_BODIES
    shown = reader.shown(node, value, " {") if is_table else reader.shown(node)
    reader.define(node, name, "class", shown, bases=bases)
    reader.enter(node, reader.owner_of(name), inner=False)
    for body in bodies:
        _members(reader, body)


def _namespace(reader: Reader, node: Node) -> None:
    name = node.child_by_field_name("name")
    if name is None or name.type == "string":
        return
    body = node.child_by_field_name("body")
    reader.define(node, reader.text(name), "class", reader.shown(node, body, " {"))
    reader.enter(node, reader.owner_of(reader.text(name)), inner=False)


HANDLERS: dict[str, Handler] = {
    "import_statement": read_import,
    "export_statement": read_export,
    "assignment_expression": read_assignment,
    "function_declaration": _function,
    "generator_function_declaration": _function,
    "function_signature": _function,
    "arrow_function": Reader.enter,
    "function_expression": Reader.enter,
    "generator_function": Reader.enter,
    "method_definition": Reader.enter,
    "lexical_declaration": _variables,
    "variable_declaration": _variables,
    "required_parameter": _parameter,
    "optional_parameter": _parameter,
    "class_declaration": _class,
    "abstract_class_declaration": _class,
    "class": _class,
    "interface_declaration": _class,
    "enum_declaration": _class,
    "type_alias_declaration": _type_alias,
    "internal_module": _namespace,
    "module": _namespace,
}

_MEMBERS = {"member_expression": ("object", "property")}
_OPERANDS = {
    "call_expression": "function",
    "new_expression": "constructor",
    "subscript_expression": "object",
    "await_expression": "",
    "non_null_expression": "",
    "parenthesized_expression": "",
    "as_expression": "",
    "satisfies_expression": "",
}
_LEAVES = frozenset({"identifier", "this"})


def _grammar(function: str) -> Grammar:
    return Grammar(
        "tree_sitter_typescript",
        function,
        HANDLERS,
        _MEMBERS,
        _OPERANDS,
        _LEAVES,
        brackets=BRACKETS_AND_STRINGS,
    )


_TYPESCRIPT, _TSX = _grammar("language_typescript"), _grammar("language_tsx")


def _read(text: str) -> FileFacts:
    return with_unknown_exports(_TYPESCRIPT.read(text), text)


def _read_tsx(text: str) -> FileFacts:
    return with_unknown_exports(_TSX.read(text), text)


TYPESCRIPT = Language(
    name="typescript",
    read=_read,
    resolve=files_of,
    configuration=CONFIGURATION,
)
JAVASCRIPT = Language(
    name="javascript",
    read=_read_tsx,
    resolve=files_of,
    configuration=CONFIGURATION,
)
