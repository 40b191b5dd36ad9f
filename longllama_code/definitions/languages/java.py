"""Reader of Java, and resolution of its imports: a class has a file of its name."""

import posixpath
import re
from collections.abc import Iterable, Iterator

from tree_sitter import Node

from longllama_code.definitions.languages.facts import FileFacts, Import, Kind
from longllama_code.definitions.languages.language import Language, Layout
from longllama_code.definitions.languages.syntax import Grammar, Handler, Reader
from longllama_code.texts import common_prefix_length

OWN_PACKAGE = "."
END = ";"
STATIC = re.compile(r"^[^(=]*\bstatic\b")
ANNOTATIONS = frozenset({"annotation", "marker_annotation"})
MAIN_OF_TESTS = (("src/test/java/", "src/main/java/"), ("/test/", "/main/"), ("/tests/", "/src/"))
"""Folders of tests, and of the classes in the same package that they test."""


# The package, and imports.


def _package(reader: Reader, node: Node) -> None:
    reader.done = node.end_byte
    reader.package = reader.text(node).removeprefix("package").strip(" ;")


def _import(reader: Reader, node: Node) -> None:
    """Read one; the package ends where a name begins with a capital."""
    reader.done = node.end_byte
    parts = "".join(reader.text(node).removeprefix("import").strip(" ;").split())
    line, names = node.start_point.row + 1, parts.removeprefix("static").split(".")
    if names[-1] == "*":
        reader.add_import(Import("*", ".".join(names[:-1]), "", line))
        return
    n_package = next((at for at, name in enumerate(names) if name[:1].isupper()), len(names) - 1)
    module, name = ".".join(names[:n_package]), ".".join(names[n_package:])
    if module:
        reader.add_import(Import(names[-1], module, name, line))


# Types.


def _type(reader: Reader, node: Node) -> None:
    name, body = reader.field(node, "name"), node.child_by_field_name("body")
    _read_modifiers(reader, node)
    bases = tuple(_bases(reader, node))
    reader.define(node, name, "class", reader.shown(node, body, " {"), bases=bases)
    reader.enter(node, reader.owner_of(name), inner=False)
    reader.bind(node, "this", name)
    parameters = node.child_by_field_name("parameters")  # of a record
    for one in () if parameters is None else parameters.named_children:
        _define(reader, one, reader.field(one, "name"), "attribute", reader.shown(one) + END)


def _bases(reader: Reader, node: Node) -> Iterator[str]:
    for part in node.named_children:
        if part.type in ("superclass", "super_interfaces", "extends_interfaces"):
            for one in part.named_children:
                of_list = one.named_children if one.type == "type_list" else [one]
                yield from (reader.text(base) for base in of_list)


def _read_modifiers(reader: Reader, node: Node) -> None:
    """Read who sees a definition; what is shown of it begins behind its annotations."""
    modifiers = node.child(0) if node.child_count else None
    if modifiers is None or modifiers.type != "modifiers":
        return
    rest = [one for one in modifiers.children if one.type not in ANNOTATIONS]
    behind = rest[0] if rest else modifiers.next_sibling
    if behind is not None:
        reader.begins[node.start_byte] = behind.start_byte
    if any(one.type == "private" for one in rest):
        reader.private.add(node.start_byte)


# Members.


def _define(
    reader: Reader, node: Node, name: str, kind: Kind, shown: str, type: str | None = None
) -> None:
    type = reader.field(node, "type") if type is None else type
    is_static = node.type == "enum_constant" or STATIC.search(shown) is not None
    reader.define(node, name, kind, shown, type=type, is_static=is_static)


def _method(reader: Reader, node: Node) -> None:
    body = node.child_by_field_name("body")
    _read_modifiers(reader, node)
    shown = reader.shown(node, body).rstrip(END) + END
    _define(reader, node, reader.field(node, "name"), "method", shown)
    reader.enter(node)


def _field(reader: Reader, node: Node) -> None:
    _read_modifiers(reader, node)
    type = reader.field(node, "type")
    for one in node.children_by_field_name("declarator"):
        name = reader.field(one, "name")
        reader.bind(node, name, type)
        reader.bind(node, f"this.{name}", type)
        _define(reader, node, name, "attribute", reader.first_line(node), type)


def _enum_constant(reader: Reader, node: Node) -> None:
    shown = reader.shown(node, node.child_by_field_name("body")) + ","
    owner = reader.scope.owner.rpartition(".")[2]
    _define(reader, node, reader.field(node, "name"), "attribute", shown, owner)
    reader.enter(node)


# Variables.


def _object(reader: Reader, node: Node) -> None:
    """See nothing from outside of a class without a name."""
    last = node.named_child(node.named_child_count - 1) if node.named_child_count else None
    if last is not None and last.type == "class_body":
        reader.enter(node, reader.text(node.child_by_field_name("type")))


def _parameter(reader: Reader, node: Node) -> None:
    reader.bind(node, reader.field(node, "name"), _type_of(reader, node, node))


def _many(reader: Reader, node: Node) -> None:
    """Bind ``Store... stores``."""
    parts = [one for one in node.named_children if one.type != "modifiers"]
    if len(parts) > 1:
        reader.bind(node, reader.field(parts[1], "name"), reader.text(parts[0]))


def _caught(reader: Reader, node: Node) -> None:
    types = [reader.text(one) for one in node.named_children if one.type == "catch_type"]
    reader.bind(node, reader.field(node, "name"), types[0] if types else "")


def _local(reader: Reader, node: Node) -> None:
    for one in node.children_by_field_name("declarator"):
        reader.bind(node, reader.field(one, "name"), _type_of(reader, node, one))


def _type_of(reader: Reader, node: Node, declarator: Node) -> str:
    written = reader.field(node, "type")
    return reader.made_by(declarator.child_by_field_name("value")) if written == "var" else written


def _pattern(reader: Reader, node: Node) -> None:
    """Bind the name in ``value instanceof Store store``."""
    reader.bind(node, reader.field(node, "name"), reader.field(node, "right"))


HANDLERS: dict[str, Handler] = {
    "package_declaration": _package,
    "import_declaration": _import,
    "class_declaration": _type,
    "interface_declaration": _type,
    "enum_declaration": _type,
    "record_declaration": _type,
    "annotation_type_declaration": _type,
    "method_declaration": _method,
    "constructor_declaration": _method,
    "annotation_type_element_declaration": _method,
    "field_declaration": _field,
    "constant_declaration": _field,
    "enum_constant": _enum_constant,
    "lambda_expression": Reader.enter,
    "object_creation_expression": _object,
    "formal_parameter": _parameter,
    "enhanced_for_statement": _parameter,
    "resource": _parameter,
    "spread_parameter": _many,
    "catch_formal_parameter": _caught,
    "local_variable_declaration": _local,
    "instanceof_expression": _pattern,
}

_GRAMMAR = Grammar(
    "tree_sitter_java",
    "language",
    HANDLERS,
    members={"field_access": ("object", "field"), "method_invocation": ("object", "name")},
    operands={
        "object_creation_expression": "type",
        "cast_expression": "type",
        "array_access": "array",
        "parenthesized_expression": "",
    },
    leaves=frozenset(
        {"identifier", "type_identifier", "generic_type", "scoped_type_identifier", "this"}
    ),
)


def _read(text: str) -> FileFacts:
    facts = _GRAMMAR.read(text)
    own = Import("*", OWN_PACKAGE)
    return FileFacts(facts.definitions, (*facts.imports, own), facts.bindings, facts.package)


def _files_of(imported: Import, path: str, layout: Layout) -> Iterator[str]:
    """Yield the file of a class, or those of a package, which need not import each other."""
    if imported.module == OWN_PACKAGE:
        yield from (one for folder in _own_folders(path) for one in _java_in(folder, path, layout))
        return
    names = [*imported.module.split("."), *imported.name.split(".")[:1]]
    names = [name for name in names if name]
    n_package = next((at for at, name in enumerate(names) if name[:1].isupper()), None)
    if n_package is not None:
        tail = "/".join(names[: n_package + 1]) + ".java"
        yield from _nearest_first(layout.ending(tail), path)
    else:
        infos = layout.ending("/".join(names) + "/package-info.java")
        folders = {*_folders_of(names, path), *map(posixpath.dirname, infos)}
        for folder in _nearest_first(folders, path):
            yield from _java_in(folder, path, layout)


def _nearest_first(paths: Iterable[str], path: str) -> list[str]:
    return sorted(paths, key=lambda one: (-common_prefix_length(one, path), one))


def _folders_of(names: list[str], path: str) -> Iterator[str]:
    """Yield the folders that a package may be in below those around a file."""
    for around in _own_folders(path):
        while around:
            yield posixpath.join(around, *names)
            around = posixpath.dirname(around)
    yield posixpath.join(*names)


def _own_folders(path: str) -> Iterator[str]:
    folder = posixpath.dirname(path)
    yield folder
    for tests, main in MAIN_OF_TESTS:
        if tests in f"{folder}/":
            yield f"{folder}/".replace(tests, main, 1).rstrip("/")


def _java_in(folder: str, path: str, layout: Layout) -> Iterator[str]:
    yield from (one for one in layout.within(folder) if one.endswith(".java") and one != path)


JAVA = Language(
    name="java",
    read=_read,
    resolve=_files_of,
)
