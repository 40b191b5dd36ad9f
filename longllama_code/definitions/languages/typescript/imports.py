"""Imports and exports of TypeScript and JavaScript, by ``import`` or ``require``."""

import re
from dataclasses import replace

from tree_sitter import Node

from longllama_code.definitions.languages.facts import FileFacts, Import
from longllama_code.definitions.languages.syntax import Reader
from longllama_code.definitions.languages.typescript.values import (
    FUNCTIONS,
    TABLE,
    define_function,
    define_value,
    first_line,
    quoted,
)

EXPORT_VALUE = re.compile(r"\bexport\s*=[^=]")
EXPORT_ALL = re.compile(r"\bexport\s+(?:type\s+)?\*|\bexport\*")
UNKNOWN = Import("*", "=", "", is_public=True)
"""Everything of a module that is not known: no module has such a name."""
SELF = ""
"""Module of an import from the file itself, which renames an export."""


def read_import(reader: Reader, node: Node) -> None:
    """Add what an import statement gives names to."""
    if node.child_count == 0:  # the keyword
        return
    clause = next((one for one in node.named_children if one.type.endswith("_clause")), None)
    if clause is None:
        return
    source = node.child_by_field_name("source") or clause.child_by_field_name("source")
    module = quoted(reader, source)
    for part in clause.named_children:
        if part.type == "identifier":
            is_whole = clause.type == "import_require_clause"
            _add_import(reader, part, part, module, "" if is_whole else "default")
        elif part.type == "namespace_import":
            _add_import(reader, part, part.named_child(0), module, "")
        elif part.type == "named_imports":
            for one in part.named_children:
                name = one.child_by_field_name("name")
                alias = one.child_by_field_name("alias") or name
                _add_import(reader, one, alias, module, reader.text(name))


def _add_import(reader: Reader, node: Node, alias: Node | None, module: str, name: str) -> None:
    if alias is not None and module:
        reader.add_import(Import(reader.text(alias), module, name, node.start_point.row + 1))


def read_export(reader: Reader, node: Node) -> None:
    """Add what is handed on, and have what is defined here begin with its ``export``."""
    source = node.child_by_field_name("source")
    if source is not None:
        _export_from(reader, node, quoted(reader, source))
        return
    declared = node.child_by_field_name("declaration") or node.child_by_field_name("value")
    is_default = any(one.type == "default" for one in node.children[:8])
    for clause in node.named_children if declared is None else ():
        if clause.type == "export_clause":
            _export_names(reader, clause)
    if declared is None:
        return
    keyword = next(one for one in node.children if one.type != "decorator")
    reader.begins[declared.start_byte] = keyword.start_byte
    if is_default:
        _export_default(reader, declared)


def with_unknown_exports(facts: FileFacts, text: str) -> FileFacts:
    """Return the facts of a text, and whether it exports names that these cannot have.

    Those are the members of a value (``export =``), or names of a module whose ``export *`` could
    not be parsed.
    """
    n_known = sum(one.is_public and not one.name for one in facts.imports)
    n_written = len(EXPORT_ALL.findall(text))
    if n_written <= n_known and EXPORT_VALUE.search(text) is None:
        return facts
    return replace(facts, imports=(*facts.imports, UNKNOWN))


def _export_from(reader: Reader, node: Node, module: str) -> None:
    line = node.start_point.row + 1
    parts = [one for one in node.named_children if one.type != "string"]
    if not parts:
        reader.add_import(Import("*", module, "", line, is_public=True))
    for part in parts:
        if part.type == "namespace_export":
            alias = reader.text(part.named_child(0))
            reader.add_import(Import(alias, module, "", line, is_public=True))
        for one in part.named_children if part.type == "export_clause" else ():
            name = reader.field(one, "name")
            alias = quoted(reader, one.child_by_field_name("alias")) or name
            reader.add_import(Import(alias, module, name, line, is_public=True))


def _export_names(reader: Reader, clause: Node) -> None:
    for one in clause.named_children:
        name = reader.field(one, "name")
        _give(reader, one, quoted(reader, one.child_by_field_name("alias")) or name, name)


def _give(reader: Reader, node: Node, alias: str, name: str) -> None:
    """Let others have a name of this file, which it may have from elsewhere, under another one."""
    imported = reader.imported.get(name)
    if imported is not None:
        reader.add_import(replace(imported, alias=alias, is_public=True))
    elif alias != name and name:
        line = node.start_point.row + 1
        reader.add_import(Import(alias, SELF, name, line, is_public=True))


def _export_default(reader: Reader, declared: Node) -> None:
    if declared.type == "identifier":
        _give(reader, declared, "default", reader.text(declared))
    elif name := reader.field(declared, "name"):
        _give(reader, declared, "default", name)
    elif declared.type in FUNCTIONS:
        define_function(reader, declared, "default", declared)
    elif not declared.type.startswith(("class", "abstract_class")):
        define_value(reader, declared, "default", declared)


def required(reader: Reader, value: Node | None) -> tuple[str, str] | None:
    """Return the module that ``require`` is called with, and the member that is taken from it."""
    name = ""
    if value is not None and value.type == "await_expression":
        value = value.named_child(0)
    if value is not None and value.type == "member_expression":
        name = reader.field(value, "property")
        value = value.child_by_field_name("object")
    if value is None or value.type != "call_expression":
        return None
    arguments = value.child_by_field_name("arguments")
    if reader.field(value, "function") not in ("require", "import") or arguments is None:
        return None
    first = arguments.named_child(0) if arguments.named_child_count else None
    if first is None or first.type != "string":
        return None
    return quoted(reader, first), name


def read_require(reader: Reader, declarator: Node, module: str, member: str) -> None:
    """Add what a variable stands for whose value is ``require(module)``, or a member of that."""
    target = declarator.child_by_field_name("name")
    if target is None:
        return
    if target.type != "object_pattern":
        for name in [member] if member else ["default", ""]:  # the one thing, or a table of many
            _add_import(reader, declarator, target, module, name)
        return
    for one in target.named_children:
        if one.type == "shorthand_property_identifier_pattern":
            _add_import(reader, one, one, module, reader.text(one))
        elif one.type == "pair_pattern":
            alias = one.child_by_field_name("value")
            _add_import(reader, one, alias, module, reader.field(one, "key"))


def read_assignment(reader: Reader, node: Node) -> None:
    """Read what JavaScript defines by assignment: exports, members of ``this``, of prototypes."""
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None or left.type != "member_expression":
        return
    owner, name = reader.field(left, "object"), reader.field(left, "property")
    if (owner, name) == ("module", "exports"):
        _module_exports(reader, right)
    elif owner in ("exports", "module.exports"):
        if right.type == "identifier":
            _give(reader, node, name, reader.text(right))
        else:
            define_value(reader, node, name, right)
    elif owner == "this":
        _own_attribute(reader, node, name, right)
    elif owner.endswith(".prototype"):
        reader.begins[right.start_byte] = node.start_byte
        define_value(reader, right, name, right, owner.removesuffix(".prototype"))


def _module_exports(reader: Reader, right: Node) -> None:
    line = right.start_point.row + 1
    found = required(reader, right)
    if found is not None:
        reader.add_import(Import("*", found[0], "", line, is_public=True))
    elif right.type == TABLE:
        for one in right.named_children:
            if one.type == "pair":
                value = one.child_by_field_name("value")
                _export_pair(reader, one, reader.field(one, "key"), value)
            elif one.type == "shorthand_property_identifier":
                _give(reader, one, reader.text(one), reader.text(one))
            elif one.type == "method_definition":
                define_function(reader, one, reader.field(one, "name"), one)
    else:
        _export_default(reader, right)


def _export_pair(reader: Reader, pair: Node, key: str, value: Node | None) -> None:
    found = required(reader, value)
    if found is not None:
        for name in [found[1]] if found[1] else ["default", ""]:
            line = pair.start_point.row + 1
            reader.add_import(Import(key, found[0], name, line, is_public=True))
    elif value is not None and value.type == "identifier":
        _give(reader, pair, key, reader.text(value))
    elif value is not None:
        reader.begins[value.start_byte] = pair.start_byte
        define_value(reader, value, key, value)


def _own_attribute(reader: Reader, node: Node, name: str, value: Node) -> None:
    type = reader.made_by(value)
    reader.bind(node, f"this.{name}", type)
    owner = reader.scope.owner
    if owner and not name.startswith("#") and (owner, name) not in reader.members:
        shown = first_line(reader, node)
        reader.define(node, name, "attribute", shown, type=type, seen=True)
