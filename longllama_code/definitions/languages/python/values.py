"""Short texts for heads, lines and types of Python."""

import re

from tree_sitter import Node

MAX_LINE_CHARS = 120
MAX_HEAD_BYTES = 4000
LONG_HEAD_CHARS = 300
"""Length above which a head is shown with names only."""
LONG_CLASS_CHARS = 600
MAX_PARAMETERS = 50
MAX_TYPE_CHARS = 200
MAX_STEPS = 20
_BREAKS = re.compile(r"\s*\n\s*")
_LITERALS = {
    "string": "str",
    "concatenated_string": "str",
    "integer": "int",
    "float": "float",
    "true": "bool",
    "false": "bool",
    "dictionary": "dict",
    "comparison_operator": "bool",
    "not_operator": "bool",
}
_OPERANDS = {
    "await": 0,
    "parenthesized_expression": 0,
    "subscript": 0,
    "conditional_expression": 0,
    "boolean_operator": -1,
    "list": 0,
    "tuple": 0,
    "set": 0,
    "expression_list": 0,
    "list_comprehension": 0,
    "set_comprehension": 0,
    "generator_expression": 0,
    "as_pattern": 0,
    "list_splat": 0,
    "yield": 0,
    "binary_operator": 0,
    "named_expression": -1,
}
"""Index of the part that gives an expression's type, roughly: a list has that of its items."""
_TRANSPARENT = frozenset(
    ("list", "sorted", "reversed", "tuple", "set", "iter", "next", "enumerate")
)
"""Functions whose result has, roughly, the type of their argument."""


def written(source: bytes, node: Node | None) -> str:
    """Return the text of a node; empty if it is long or there is no node."""
    if node is None or node.end_byte - node.start_byte > MAX_TYPE_CHARS:
        return ""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def annotation(source: bytes, node: Node | None) -> str:
    """Return the text of a type on one line, without quotes around it."""
    return _BREAKS.sub(" ", written(source, node)).strip("\"' ")


def head_of(source: bytes, node: Node) -> str:
    """Return the text before the body of a function or class, on one line if possible."""
    body = node.child_by_field_name("body")
    end = node.end_byte if body is None else body.start_byte
    head = source[node.start_byte : min(end, node.start_byte + MAX_HEAD_BYTES)]
    text = _on_one_line(head.decode("utf-8", "replace").rstrip())
    if len(text) > LONG_HEAD_CHARS and node.type == "function_definition":
        return _short_head(source, node)
    return text[:LONG_CLASS_CHARS]


def _on_one_line(text: str) -> str:
    if "\n" not in text:
        return text
    if "#" in text:
        text = "\n".join(line.partition("  #")[0] for line in text.split("\n"))
    if "#" in text:
        return text
    joined = _BREAKS.sub(" ", text)
    return joined.replace("( ", "(").replace(", )", ")").replace(" )", ")")


def _short_head(source: bytes, node: Node) -> str:
    """Return a function's head without types and default values."""
    name = written(source, node.child_by_field_name("name"))
    parameters = node.child_by_field_name("parameters")
    names = list[str]()
    for one in [] if parameters is None else parameters.named_children[:MAX_PARAMETERS]:
        if one.type == "comment":
            continue
        named = one.child_by_field_name("name")
        names.append(written(source, named or next(iter(one.named_children), one)) or "*")
    returned = written(source, node.child_by_field_name("return_type"))
    start = "async def" if source.startswith(b"async", node.start_byte) else "def"
    return f"{start} {name}({', '.join(names)}){' -> ' + returned if returned else ''}:"


def line_of(source: bytes, node: Node) -> str:
    """Return the line of an assignment, cut if it is long."""
    text = source[node.start_byte : node.end_byte][: 4 * MAX_LINE_CHARS].decode("utf-8", "replace")
    line, _, more = text.partition("\n")
    if more or len(line) > MAX_LINE_CHARS:
        return line[: MAX_LINE_CHARS - 4].rstrip() + " ..."
    return line


def first_line(source: bytes, body: Node | None) -> str:
    """Return the first line of the documentation that a body begins with."""
    statement = None if body is None else body.named_child(0) if body.named_child_count else None
    string = statement.named_child(0) if statement and statement.named_child_count else None
    if string is None or string.type != "string":
        return ""
    text = source[string.start_byte : string.end_byte][:400].decode("utf-8", "replace")
    return (
        text.strip("rRbBuUfF").strip("\"' \n\t").partition("\n")[0].rstrip("\"' ")[:MAX_LINE_CHARS]
    )


def type_of(source: bytes, node: Node | None) -> str:
    """Return the dotted name that makes a value, without calls and subscripts."""
    names = list[str]()
    for _ in range(MAX_STEPS):
        if node is None:
            return ""
        kind = node.type
        if kind == "identifier":
            return ".".join((written(source, node), *reversed(names)))
        if kind in _LITERALS:
            return _LITERALS[kind] if not names else ""
        if kind == "attribute":
            names.append(written(source, node.child_by_field_name("attribute")))
            node = node.child_by_field_name("object")
        elif kind == "call":
            node = _called(source, node)
        elif kind in _OPERANDS and node.named_child_count:
            node = node.named_children[_OPERANDS[kind]]
        else:
            return ""
    return ""


def _called(source: bytes, node: Node) -> Node | None:
    """Return the node that gives a call's type: its function, or an argument that it returns."""
    function = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    name = written(source, function)
    if arguments is not None and arguments.named_child_count:
        if name in _TRANSPARENT:
            return arguments.named_children[0]
        if name in ("cast", "typing.cast"):
            return arguments.named_children[0]
    return function
