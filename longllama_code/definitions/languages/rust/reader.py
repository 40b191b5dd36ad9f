"""Reader of Rust. Members belong to the type that their ``impl`` is for."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from longllama_code.definitions.languages.facts import FileFacts, Import
from longllama_code.definitions.languages.grammars import kinds
from longllama_code.definitions.languages.language import Language
from longllama_code.definitions.languages.rust.files import files_of
from longllama_code.definitions.languages.syntax import Grammar, Handler, Reader

TESTS = frozenset({"tests", "test"})
"""Names of inline modules that other files never use."""
END = ";"
SUPER = "super::"
OF_CRATE = ("crate::", "super::", "self::")
NO_TYPE = re.compile(r"&|\b(?:mut|dyn|impl|ref|const)\b|'\w+[ ,]*|<>")
SELF_TYPE = re.compile(r"\bSelf\b")


def _type(reader: Reader, node: Node, field: str = "type") -> str:
    """Return a type with dots, without references and smart pointers."""
    written = NO_TYPE.sub("", reader.field(node, field)).replace("::", ".").strip(" *")
    owner = reader.scope.owner
    return SELF_TYPE.sub(owner, written) if owner else written


def _bare(written: str) -> str:
    return NO_TYPE.sub("", written).split("<")[0].split("::")[-1].strip()


def _value(reader: Reader, node: Node | None) -> str:
    made_by = reader.made_by(node).replace("::", ".")
    owner = reader.scope.owner
    return SELF_TYPE.sub(owner, made_by) if owner else made_by


def _is_public(node: Node) -> bool:
    first = node.child(0) if node.child_count else None
    return first is not None and first.type == "visibility_modifier"


# Imports.


def _use(reader: Reader, node: Node) -> None:
    reader.done = node.end_byte
    argument = node.child_by_field_name("argument")
    waiting = [] if argument is None else [(argument, "")]
    while waiting:
        one, prefix = waiting.pop()
        if one.type in ("use_list", "scoped_use_list"):
            path = reader.field(one, "path")
            inner = one.child_by_field_name("list") or one
            around = f"{prefix}::{path}" if prefix and path else prefix or path
            waiting += [(part, around) for part in reversed(inner.named_children)]
        else:
            _use_one(reader, node, one, prefix)


def _use_one(reader: Reader, use: Node, one: Node, prefix: str) -> None:
    path, alias = reader.text(one), ""
    if one.type == "use_as_clause":
        path, alias = reader.field(one, "path"), reader.field(one, "alias")
    elif one.type == "use_wildcard":
        path, alias = path.removesuffix("*").removesuffix("::"), "*"
    whole = f"{prefix}::{path}" if prefix and path else prefix or path
    _add(reader, use, whole.removesuffix("::self"), alias, is_public=_is_public(use))


def _add(reader: Reader, node: Node, path: str, alias: str, *, is_public: bool) -> None:
    """Add what a path stands for; modules within the file are no modules of their own here."""
    for _ in range(reader.scope.n_modules):
        path = "self::" + path.removeprefix(SUPER) if path.startswith(SUPER) else path
        path = "self" if path == "super" else path
        path = path.removeprefix("self::") if path.startswith("self::super") else path
    module, _, name = path.rpartition("::")
    line = node.start_point.row + 1
    if alias == "*":
        reader.add_import(Import("*", path, "", line, is_public=is_public))
    elif alias != "_" and (alias or name):
        reader.add_import(
            Import(alias or name, module or path, name if module else "", line, is_public=is_public)
        )


def _crate(reader: Reader, node: Node) -> None:
    name = reader.field(node, "name")
    reader.add_import(
        Import(reader.field(node, "alias") or name, name, "", node.start_point.row + 1)
    )


def _path(reader: Reader, node: Node) -> None:
    """Read a path within code, which uses a name of another module without importing it."""
    path = reader.text(node)
    if path.startswith(OF_CRATE) and path.count("::") > 1 - path.startswith(SUPER):
        _add(reader, node, path.split("<")[0], "", is_public=False)


def _module(reader: Reader, node: Node) -> None:
    name = reader.field(node, "name")
    if node.child_by_field_name("body") is None:
        line = node.start_point.row + 1
        is_public = _is_public(node)
        reader.add_import(Import(name, f"self::{name}", "", line, is_public=is_public))
    else:
        reader.enter(node, inner=name in TESTS, is_module=True)


# Types and their members.


def _struct(reader: Reader, node: Node) -> None:
    name, body = reader.field(node, "name"), node.child_by_field_name("body")
    members = [] if body is None or body.type.startswith("ordered") else body.named_children
    shown = reader.shown(node, body, "{") if members else reader.shown(node)
    shown = shown.removesuffix("{").rstrip() + " {" if members else shown
    bases = tuple(_bounds(reader, node.child_by_field_name("bounds")))
    is_private = not _is_public(node)
    reader.define(node, name, "class", shown, bases=bases, is_private=is_private)
    for one in members:
        if one.type in ("field_declaration", "enum_variant"):
            _member(reader, one, reader.owner_of(name))


def _bounds(reader: Reader, bounds: Node | None) -> Iterator[str]:
    for one in () if bounds is None else bounds.named_children:
        if one.type != "lifetime":
            yield reader.text(one).replace("::", ".")


def _member(reader: Reader, node: Node, owner: str) -> None:
    shown, name = reader.shown(node) + ",", reader.field(node, "name")
    is_variant = node.type == "enum_variant"
    type = owner if is_variant else _type(reader, node)
    is_private = not is_variant and not _is_public(node)
    reader.define(
        node,
        name,
        "attribute",
        shown,
        owner=owner,
        type=type,
        is_private=is_private,
        is_static=is_variant,
    )


def _trait(reader: Reader, node: Node) -> None:
    name, body = reader.field(node, "name"), node.child_by_field_name("body")
    bases = tuple(_bounds(reader, node.child_by_field_name("bounds")))
    reader.define(node, name, "class", reader.shown(node, body, " {"), bases=bases)
    reader.enter(node, reader.owner_of(name), inner=False)
    reader.bind(node, "self", name)


def _implementation(reader: Reader, node: Node) -> None:
    name = _bare(reader.field(node, "type"))
    reader.enter(node, name, inner=False)
    reader.bind(node, "self", name)
    reader.bind(node, "Self", name)
    body = node.child_by_field_name("body")
    if node.child_by_field_name("trait") is None and body is not None:
        for one in body.named_children:
            if not _is_public(one):
                reader.private.add(one.start_byte)


def _function(reader: Reader, node: Node) -> None:
    name, body = reader.field(node, "name"), node.child_by_field_name("body")
    type = _type(reader, node, "return_type")
    shown = reader.shown(node, body).rstrip(END) + END
    kind = "method" if reader.scope.owner else "function"
    is_private = not reader.scope.owner and not _is_public(node)
    parameters = node.child_by_field_name("parameters")
    takes_self = parameters is not None and any(
        one.type == "self_parameter" for one in parameters.named_children[:1]
    )
    is_static = kind == "method" and not takes_self
    reader.define(node, name, kind, shown, type=type, is_private=is_private, is_static=is_static)
    reader.enter(node)


def _constant(reader: Reader, node: Node) -> None:
    kind = "attribute" if reader.scope.owner else "constant"
    shown, type = reader.first_line(node), _type(reader, node)
    is_private = not reader.scope.owner and not _is_public(node)
    name = reader.field(node, "name")
    is_static = kind == "attribute"
    reader.define(node, name, kind, shown, type=type, is_private=is_private, is_static=is_static)


def _alias(reader: Reader, node: Node) -> None:
    if not reader.scope.owner:
        shown, bases = reader.shown(node), (_type(reader, node),)
        reader.define(node, reader.field(node, "name"), "class", shown, bases=bases)


def _macro(reader: Reader, node: Node) -> None:
    first = reader.shown(node).split("=>")[0].rstrip()
    reader.define(node, reader.field(node, "name"), "function", first + " => ...")


# Values.


def _variable(reader: Reader, node: Node) -> None:
    pattern = node.child_by_field_name("pattern")
    while pattern is not None and pattern.type in ("mut_pattern", "ref_pattern"):
        pattern = pattern.named_child(pattern.named_child_count - 1)
    if pattern is not None and pattern.type == "identifier":
        type = _type(reader, node) or _value(reader, node.child_by_field_name("value"))
        reader.bind(node, reader.text(pattern), type)


HANDLERS: dict[str, Handler] = {
    "use_declaration": _use,
    "extern_crate_declaration": _crate,
    "scoped_identifier": _path,
    "scoped_type_identifier": _path,
    "mod_item": _module,
    "struct_item": _struct,
    "union_item": _struct,
    "enum_item": _struct,
    "trait_item": _trait,
    "impl_item": _implementation,
    "function_item": _function,
    "function_signature_item": _function,
    "const_item": _constant,
    "static_item": _constant,
    "type_item": _alias,
    "macro_definition": _macro,
    "closure_expression": Reader.enter,
    "parameter": _variable,
    "let_declaration": _variable,
}

_GRAMMAR = Grammar(
    "tree_sitter_rust",
    "language",
    HANDLERS,
    members={
        "field_expression": ("value", "field"),
        "scoped_identifier": ("path", "name"),
        "scoped_type_identifier": ("path", "name"),
    },
    operands={
        "call_expression": "function",
        "generic_function": "function",
        "struct_expression": "name",
        "reference_expression": "value",
        "generic_type_with_turbofish": "type",
        "generic_type": "type",
        "await_expression": "",
        "try_expression": "",
        "index_expression": "",
        "parenthesized_expression": "",
    },
    leaves=frozenset({"identifier", "type_identifier", "self", "crate", "super"}),
    passes=kinds(
        """
        unwrap expect clone to_owned as_ref as_mut borrow borrow_mut lock read write iter iter_mut
        into_iter unwrap_or_default unwrap_or_else unwrap_or map_err ok_or ok_or_else context await
        """
    ),
)


def _read(text: str) -> FileFacts:
    return _GRAMMAR.read(text)


RUST = Language(
    name="rust",
    read=_read,
    resolve=files_of,
    separator="::",
    configuration=frozenset({"Cargo.toml"}),
)
