"""Reader of Go, and resolution of its imports: packages are folders."""

import posixpath
import re
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from longllama_code.definitions.languages.facts import FileFacts, Import, Kind
from longllama_code.definitions.languages.grammars import kinds
from longllama_code.definitions.languages.language import Language, Layout
from longllama_code.definitions.languages.syntax import Grammar, Handler, Reader

OWN_PACKAGE = "."
TESTS = "_test"
MODULE_LINE = re.compile(r"^module[ \t]+\"?([^\s\"]+)", re.MULTILINE)
VERSION = re.compile(r"v\d+")
MAKERS = frozenset({"new", "make"})
"""Built-in functions whose first argument is a type."""


def _package(reader: Reader, node: Node) -> None:
    reader.package = reader.text(node).removeprefix("package").strip()
    reader.add_import(Import("*", OWN_PACKAGE, "", node.start_point.row + 1))


def _import(reader: Reader, node: Node) -> None:
    module = reader.field(node, "path").strip('"`')
    alias = reader.field(node, "name") or _called(module)
    if module and alias != "_":
        alias = "*" if alias == "." else alias
        reader.add_import(Import(alias, module, "", node.start_point.row + 1))


def _called(module: str) -> str:
    """Return what a package is most likely called, by its path."""
    parts = module.split("/")
    name = parts[-2] if len(parts) > 1 and VERSION.fullmatch(parts[-1]) else parts[-1]
    name = name.split(".")[0].removeprefix("go-").removesuffix("-go")
    return name.replace("-", "")


def _define(
    reader: Reader,
    node: Node,
    name: str,
    kind: Kind,
    shown: str,
    *,
    type: str = "",
    bases: tuple[str, ...] = (),
    owner: str = "",
) -> None:
    """Define a name, which other packages see if it begins with a capital."""
    if name == "_":
        return
    reader.define(
        node,
        name,
        kind,
        shown,
        type=type,
        bases=bases,
        owner=owner,
        is_private=not name[:1].isupper(),
    )


def _function(reader: Reader, node: Node) -> None:
    body = node.child_by_field_name("body")
    name, type = reader.field(node, "name"), _result(reader, node)
    _define(reader, node, name, "function", reader.shown(node, body), type=type)
    reader.enter(node)


def _method(reader: Reader, node: Node) -> None:
    receiver, body = node.child_by_field_name("receiver"), node.child_by_field_name("body")
    declared = [] if receiver is None else receiver.named_children
    owner = _bare(reader.field(declared[0], "type")) if declared else ""
    name, type = reader.field(node, "name"), _result(reader, node)
    _define(reader, node, name, "method", reader.shown(node, body), type=type, owner=owner)
    reader.enter(node, owner)


def _bare(type: str) -> str:
    return type.lstrip("*( ").split("[")[0].rstrip(") ")


def _result(reader: Reader, function: Node) -> str:
    """Return the first type that a function gives back: the others are errors, as a rule."""
    result = function.child_by_field_name("result")
    if result is not None and result.type == "parameter_list":
        return reader.field(result.named_children[0], "type") if result.named_child_count else ""
    return reader.text(result)


def _parameter(reader: Reader, node: Node) -> None:
    type = reader.field(node, "type")
    for name in node.children_by_field_name("name"):
        reader.bind(node, reader.text(name), type)


def _type(reader: Reader, node: Node) -> None:
    name, type = reader.field(node, "name"), node.child_by_field_name("type")
    if type is None:
        return
    body = None
    if type.type == "struct_type" and type.named_child_count:
        body = type.named_child(0)
    elif type.type == "interface_type":
        body = type
    members = [] if body is None else body.named_children
    bases = [base for one in members if (base := _embedded(reader, one))]
    if body is None:
        bases.append(reader.text(type))
    _define(reader, node, name, "class", _type_head(reader, node, type, body), bases=tuple(bases))
    for one in members:
        _member(reader, one, name)


def _type_head(reader: Reader, node: Node, type: Node, body: Node | None) -> str:
    written = "type " + reader.shown(node, body).strip()
    if type.type == "interface_type":
        return written + " interface {"
    return written if body is None else written + " {"


def _embedded(reader: Reader, member: Node) -> str:
    if member.type == "field_declaration" and member.child_by_field_name("name") is None:
        return _bare(reader.field(member, "type"))
    return _bare(reader.text(member)) if member.type == "type_elem" else ""


def _member(reader: Reader, node: Node, owner: str) -> None:
    shown = reader.shown(node, node.child_by_field_name("tag"))
    if node.type == "field_declaration":
        type = reader.field(node, "type")
        for name in node.children_by_field_name("name"):
            _define(reader, node, reader.text(name), "attribute", shown, type=type, owner=owner)
    elif node.type == "method_elem":
        type = _result(reader, node)
        _define(reader, node, reader.field(node, "name"), "method", shown, type=type, owner=owner)


def _constants(reader: Reader, node: Node) -> None:
    """Define constants; in a list, one without a type has that of the one before."""
    type = ""
    for one in node.named_children:
        if one.type == "const_spec":
            type = reader.field(one, "type") or type
            shown = "const " + reader.first_line(one).strip()
            for name in one.children_by_field_name("name"):
                _define(reader, one, reader.text(name), "constant", shown, type=type)


def _variable(reader: Reader, node: Node) -> None:
    names = node.children_by_field_name("name")
    types = _types(reader, node, "value", len(names))
    written = reader.field(node, "type")
    for name, made_by in zip(names, types, strict=True):
        type = written or made_by
        reader.bind(node, reader.text(name), type)
        shown = "var " + reader.first_line(node).strip()
        _define(reader, node, reader.text(name), "constant", shown, type=type)


def _assigned(reader: Reader, node: Node) -> None:
    left = node.child_by_field_name("left")
    names = [] if left is None else left.named_children
    for name, type in zip(names, _types(reader, node, "right", len(names)), strict=True):
        reader.bind(node, reader.text(name), type)


def _types(reader: Reader, node: Node, field: str, n_names: int) -> list[str]:
    """Return the type of each value at a field; of a function's many, that of the first."""
    values = node.child_by_field_name(field)
    types = [] if values is None else [_made_by(reader, one) for one in values.named_children]
    return (types + [""] * n_names)[:n_names]


def _made_by(reader: Reader, value: Node) -> str:
    """Return the type of a value, or what is called to make it."""
    arguments = value.child_by_field_name("arguments")
    if reader.field(value, "function") in MAKERS and arguments is not None:
        return reader.text(arguments.named_child(0)) if arguments.named_child_count else ""
    return reader.made_by(value)


HANDLERS: dict[str, Handler] = {
    "package_clause": _package,
    "import_spec": _import,
    "function_declaration": _function,
    "method_declaration": _method,
    "func_literal": Reader.enter,
    "function_type": Reader.enter,
    "parameter_declaration": _parameter,
    "variadic_parameter_declaration": _parameter,
    "type_spec": _type,
    "type_alias": _type,
    "const_declaration": _constants,
    "var_spec": _variable,
    "short_var_declaration": _assigned,
}

_GRAMMAR = Grammar(
    "tree_sitter_go",
    "language",
    HANDLERS,
    members={"selector_expression": ("operand", "field")},
    operands={
        "call_expression": "function",
        "unary_expression": "operand",
        "composite_literal": "type",
        "type_assertion_expression": "type",
        "type_conversion_expression": "type",
        "index_expression": "operand",
        "parenthesized_expression": "",
    },
    leaves=kinds(
        """
        identifier type_identifier qualified_type generic_type pointer_type slice_type map_type
        """
    ),
)


def _read(text: str) -> FileFacts:
    return _GRAMMAR.read(text)


def _files_of(imported: Import, path: str, layout: Layout) -> Iterator[str]:
    """Yield the files of a package; its tests are seen by its tests alone."""
    folder = posixpath.dirname(path)
    if imported.module != OWN_PACKAGE:
        found = _folder(imported.module, layout)
        if found is None:
            return
        folder = found
    in_tests = imported.module == OWN_PACKAGE and path.endswith(TESTS + ".go")
    for other in layout.within(folder):
        is_seen = in_tests or not other.endswith(TESTS + ".go")
        if other.endswith(".go") and is_seen and other != path:
            yield other


def _folder(module: str, layout: Layout) -> str | None:
    """Return the folder of a package, by the modules of the repository."""
    best: tuple[int, str] | None = None
    for config in layout.ending("go.mod"):
        name = _module_of(layout.text(config))
        if name and (module == name or module.startswith(name + "/")):
            folder = posixpath.join(posixpath.dirname(config), module[len(name) + 1 :])
            best = max(best or (0, ""), (len(name), folder.rstrip("/")))
    return None if best is None else best[1]


@lru_cache(maxsize=512)
def _module_of(text: str) -> str:
    found = MODULE_LINE.search(text)
    return found[1] if found else ""


GO = Language(
    name="go",
    read=_read,
    resolve=_files_of,
    tests=TESTS,
    configuration=frozenset({"go.mod"}),
)
