"""Functions and values of TypeScript and JavaScript, and their texts without bodies."""

from tree_sitter import Node

from longllama_code.definitions.languages.grammars import kinds
from longllama_code.definitions.languages.syntax import Reader

FUNCTIONS = kinds("arrow_function function_expression generator_function function_declaration")
TABLE = "object"
MAX_TABLE_MEMBERS = 60
END = ";"
ARROW_BODY = " => ...;"


def quoted(reader: Reader, node: Node | None) -> str:
    """Return what is written at a node, without the quotes around it."""
    return reader.text(node).strip("\"'`")


def annotation(reader: Reader, node: Node, field: str = "type") -> str:
    """Return the type that is written behind a colon."""
    return reader.field(node, field).lstrip(":").strip()


def type_of(reader: Reader, node: Node) -> str:
    """Return the type that is written at a variable, or what makes its value."""
    value = node.child_by_field_name("value")
    if value is not None and value.type == "as_expression":
        return reader.text(value.named_child(value.named_child_count - 1))
    return annotation(reader, node) or reader.made_by(value)


def skip_decorators(reader: Reader, node: Node) -> None:
    """Have what is shown of a node begin behind its decorators."""
    first = node.child(0) if node.child_count else None
    if first is not None and first.type == "decorator" and node.start_byte not in reader.begins:
        rest = next((one for one in node.children if one.type != "decorator"), node)
        reader.begins[node.start_byte] = rest.start_byte


def define_function(
    reader: Reader, node: Node, name: str, function: Node, owner: str | None = None
) -> None:
    """Define a function or method by its signature; ``node`` is all of it."""
    body = function.child_by_field_name("body")
    shown = reader.shown(node, body)
    if function.type == "arrow_function":
        shown = shown.removesuffix("=>").rstrip() + ARROW_BODY
    else:
        shown = shown.rstrip(END) + END
    type = annotation(reader, function, "return_type")
    kind = "method" if owner or reader.scope.owner else "function"
    is_static = _is_static(shown)
    reader.define(node, name, kind, shown, type=type, owner=owner, is_static=is_static)


def _is_static(shown: str) -> bool:
    return "static" in shown.partition("(")[0].split()


def define_value(
    reader: Reader, node: Node, name: str, value: Node | None, owner: str | None = None
) -> None:
    """Define a name by its value: a function, or a constant with an object literal's members."""
    if value is not None and value.type in FUNCTIONS:
        define_function(reader, node, name, value, owner)
        return
    kind = "attribute" if owner or reader.scope.owner else "constant"
    type = type_of(reader, node)
    shown = first_line(reader, node)
    is_static = _is_static(shown)
    reader.define(node, name, kind, shown, type=type, owner=owner, is_static=is_static)
    if value is not None and value.type == TABLE and not reader.scope.inner:
        _table(reader, value, reader.owner_of(name))


def first_line(reader: Reader, node: Node) -> str:
    """Return the first line of a definition, with a mark where there are more."""
    first, *rest = reader.shown(node).split("\n")
    return first + " ..." if rest else first.rstrip(END) + END


def _table(reader: Reader, table: Node, owner: str) -> None:
    for one in table.named_children[:MAX_TABLE_MEMBERS]:
        if one.type == "method_definition":
            define_function(reader, one, reader.field(one, "name"), one, owner)
        elif one.type == "pair":
            value = one.child_by_field_name("value")
            if value is not None and value.type in FUNCTIONS:
                define_function(reader, one, reader.field(one, "key"), value, owner)
            else:
                shown = first_line(reader, one)
                reader.define(one, reader.field(one, "key"), "attribute", shown, owner=owner)
