"""Reader of Python, also of code that is being written.

The tree is walked by statements, never through expressions, and without recursion. Where the text
cannot be parsed, heads of functions and classes are found by their lines, and classes end where
the indentation does.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from tree_sitter import Node

from longllama_code.definitions.languages.facts import Binding, Definition, FileFacts, Import, Kind
from longllama_code.definitions.languages.grammars import MAX_SOURCE_BYTES, parsed
from longllama_code.definitions.languages.language import Language
from longllama_code.definitions.languages.python.broken import (
    BODY,
    MAX_OWNERS,
    Lines,
    with_broken_heads,
)
from longllama_code.definitions.languages.python.files import files_of
from longllama_code.definitions.languages.python.scopes import Scope
from longllama_code.definitions.languages.python.values import (
    MAX_LINE_CHARS,
    annotation,
    first_line,
    head_of,
    line_of,
    type_of,
    written,
)

DECORATORS = re.compile(
    r"@(?:\w+\.)*(?:property|cached_property|staticmethod|classmethod|contextmanager"
    r"|asynccontextmanager|dataclass|define|frozen|fixture)\b"
)
"""Decorators that change how a definition is used."""
SETTER = re.compile(r"@[\w.]+\.(?:setter|deleter)\b")
STATIC = re.compile(r"@(?:staticmethod|classmethod)\b")
NARROWED = re.compile(rb"\bisinstance\(\s*([\w.]+)\s*,\s*\(?\s*([\w.]+)")
MAX_CONDITION_BYTES = 300
COMPOUND = frozenset(
    (
        "module",
        "block",
        "if_statement",
        "elif_clause",
        "else_clause",
        "for_statement",
        "while_statement",
        "try_statement",
        "except_clause",
        "except_group_clause",
        "finally_clause",
        "with_statement",
        "with_clause",
        "match_statement",
        "case_clause",
        "expression_statement",
        "ERROR",
    )
)
"""Nodes that contain statements."""


def read(text: str) -> FileFacts:
    """Return the facts of a text."""
    if len(text) > MAX_SOURCE_BYTES:
        return FileFacts()
    return _Reader(text.encode("utf-8", "replace")).facts()


class _Reader:
    """Walks through the statements of a text, and collects facts in its lists."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.definitions: list[Definition] = []
        self.imports: list[Import] = []
        self.bindings: list[Binding] = []
        self._lines = Lines(source)
        self._scopes = [Scope(len(source) + 1, 1, len(self._lines.starts))]
        self._broken = True
        self._handlers: dict[str, Callable[[Node], None]] = {
            "class_definition": self._class,
            "function_definition": self._function,
            "import_statement": self._import,
            "import_from_statement": self._import_from,
            "assignment": self._assignment,
            "for_statement": self._for,
            "with_item": self._with,
            "return_statement": self._return,
        }
        self._decorators: dict[int, str] = {}
        self._setters: set[int] = set()
        self._heads: set[int] = set()
        tree = parsed(source, "tree_sitter_python")
        if tree is not None:
            self._broken = tree.root_node.has_error
            self._walk(tree.root_node)
        while len(self._scopes) > 1:
            self._leave()
        if self._broken:
            self.definitions = with_broken_heads(self.definitions, self._heads, self._lines)

    def facts(self) -> FileFacts:
        """Return the facts found."""
        return FileFacts(tuple(self.definitions), tuple(self.imports), tuple(self.bindings))

    def _walk(self, root: Node) -> None:
        """Visit the statements in order."""
        waiting = [root]
        while waiting:
            node = waiting.pop()
            while node.start_byte >= self._scopes[-1].end and len(self._scopes) > 1:
                self._leave()
            kind = node.type
            if (handler := self._handlers.get(kind)) is not None:
                handler(node)
            if kind in ("class_definition", "function_definition"):
                body = node.child_by_field_name("body")
                if body is not None:
                    waiting.append(body)
            elif kind == "decorated_definition":
                waiting.extend(self._decorated(node))
            elif kind in COMPOUND:
                waiting.extend(reversed(self._children(node)))

    def _children(self, node: Node) -> list[Node]:
        if node.type == "if_statement" and self._guards_main(node):
            self._enter(node, self._scopes[-1].owner, is_hidden=True)
        elif node.type in ("if_statement", "elif_clause", "while_statement"):
            self._narrow(node)
        return node.named_children

    def _guards_main(self, node: Node) -> bool:
        """Whether an ``if`` guards the code of a script (``__name__ == "__main__"``)."""
        return b"__name__" in self.source[node.start_byte : node.start_byte + 40]

    def _narrow(self, node: Node) -> None:
        """Bind the values that an ``isinstance`` condition narrows to a class."""
        head = self.source[node.start_byte : node.start_byte + MAX_CONDITION_BYTES]
        for found in NARROWED.finditer(head.partition(b":")[0]):
            name, kind = (part.decode("utf-8", "replace") for part in found.groups())
            scope = Scope(
                0, node.start_point.row + 1, node.end_point.row + 1, self._scopes[-1].owner
            )
            self._bind(name, kind, scope.first, scope)

    def _decorated(self, node: Node) -> Iterator[Node]:
        definition = node.child_by_field_name("definition")
        if definition is None:
            return
        shown = [written(self.source, one) for one in node.named_children[:-1]]
        marks = [one for one in shown if len(one) <= MAX_LINE_CHARS and DECORATORS.match(one)]
        if any(SETTER.match(one) for one in shown):
            self._setters.add(definition.start_byte)
        if marks:
            indent = self._indent(definition)
            self._decorators[definition.start_byte] = "".join(f"{indent}{one}\n" for one in marks)
        yield definition

    # Scopes.

    def _enter(
        self, node: Node, owner: str, function: str = "", *, is_hidden: bool = False
    ) -> Scope:
        around = self._scopes[-1]
        end = node.end_byte
        first, last = node.start_point.row + 1, node.end_point.row + 1
        if self._broken and node.type == "class_definition":
            last = max(last, self._lines.last_line(first, node.start_point.column))
            starts = self._lines.starts
            end = starts[last] if last < len(starts) else len(self.source) + 1
        scope = Scope(end, first, last, owner, function)
        scope.class_scope = around if around.owner and not around.function else around.class_scope
        scope.is_hidden = is_hidden or bool(function) or around.is_hidden
        if is_hidden:
            scope.seen, scope.class_scope = around.seen, around.class_scope
        self._scopes.append(scope)
        return scope

    def _leave(self) -> None:
        self._scopes.pop()

    def _indent(self, node: Node) -> str:
        start = node.start_byte - node.start_point.column
        indent = self.source[start : node.start_byte]
        return "" if indent.strip() else indent.decode("utf-8", "replace")

    # Definitions.

    def _class(self, node: Node) -> None:
        name = written(self.source, node.child_by_field_name("name"))
        around = self._scopes[-1]
        superclasses = node.child_by_field_name("superclasses")
        bases = () if superclasses is None else tuple(self._bases(superclasses))
        self._heads.add(node.start_byte)
        if not around.function:
            self._define(node, name, "class", self._head(node), bases=bases)
        nested = around.owner and not around.function and around.owner.count(".") < MAX_OWNERS
        self._enter(node, f"{around.owner}.{name}" if nested else name)

    def _bases(self, superclasses: Node) -> Iterator[str]:
        for base in superclasses.named_children[:20]:
            if base.type in ("identifier", "attribute"):
                yield written(self.source, base)
            elif base.type in ("subscript", "call"):
                yield type_of(self.source, base)

    def _function(self, node: Node) -> None:
        name = written(self.source, node.child_by_field_name("name"))
        around = self._scopes[-1]
        self._heads.add(node.start_byte)
        kind: Kind = "method" if around.owner and not around.function else "function"
        is_seen = not around.function and not (around.is_hidden and around.owner)
        n_before = len(self.definitions)
        if is_seen and node.start_byte not in self._setters:
            returned = annotation(self.source, node.child_by_field_name("return_type"))
            self._define(node, name, kind, self._head(node) + BODY, type=returned)
        scope = self._enter(node, around.owner, name)
        scope.definition = n_before if len(self.definitions) > n_before else None
        for parameter in self._parameters(node):
            self._bind(*parameter, node.start_point.row + 1, scope)

    def _parameters(self, node: Node) -> Iterator[tuple[str, str]]:
        parameters = node.child_by_field_name("parameters")
        for one in [] if parameters is None else parameters.named_children[:100]:
            name = one.child_by_field_name("name") or next(iter(one.named_children), None)
            kind = annotation(self.source, one.child_by_field_name("type"))
            value = one.child_by_field_name("value")
            yield written(self.source, name).lstrip("*"), kind or type_of(self.source, value)

    def _head(self, node: Node) -> str:
        marks = self._decorators.get(node.start_byte, "")
        return marks + self._indent(node) + head_of(self.source, node)

    def _define(
        self,
        node: Node,
        name: str,
        kind: Kind,
        shown: str,
        *,
        type: str = "",
        bases: tuple[str, ...] = (),
    ) -> None:
        around = self._scopes[-1]
        if not name or (around.is_hidden and not around.owner):
            return
        body = node.child_by_field_name("body") if kind in ("class", "function", "method") else None
        documentation = first_line(self.source, body)
        first, last = node.start_point.row + 1, node.end_point.row + 1
        self.definitions.append(
            Definition(
                name,
                kind,
                shown,
                first,
                last,
                owner=around.owner,
                bases=bases,
                type=type,
                documentation=documentation,
                is_static=kind == "method" and STATIC.match(shown.lstrip()) is not None,
            )
        )

    # Variables.

    def _assignment(self, node: Node) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None:
            return
        while right is not None and right.type == "assignment":  # a = b = Store()
            right = right.child_by_field_name("right")
        kind = annotation(self.source, node.child_by_field_name("type"))
        targets = self._targets(left)
        if right is not None and right.type == "expression_list" and len(targets) > 1:
            values = right.named_children[: len(targets)]
            for target, value in zip(targets, values, strict=False):
                self._assign(node, target, type_of(self.source, value))
            return
        kind = kind or type_of(self.source, right)
        for target in targets:
            self._assign(node, target, kind)

    def _targets(self, left: Node) -> list[Node]:
        if left.type in ("pattern_list", "tuple_pattern", "list_pattern"):
            return [
                one for one in left.named_children[:20] if one.type in ("identifier", "attribute")
            ]
        return [left]

    def _assign(self, node: Node, target: Node, kind: str) -> None:
        around = self._scopes[-1]
        name = written(self.source, target)
        if target.type == "attribute":
            self._attribute(node, name, kind)
        elif target.type == "identifier":
            outside = not around.function and not around.is_hidden
            if outside and name not in around.seen:
                around.seen.add(name)
                what: Kind = "attribute" if around.owner else "constant"
                shown = self._indent(node) + line_of(self.source, node)
                self._define(node, name, what, shown, type=kind)
            if not (outside and around.owner):
                self._bind(name, kind, node.start_point.row + 1, around)

    def _attribute(self, node: Node, name: str, kind: str) -> None:
        """Define an attribute that a method sets; the first assignment counts."""
        scope = self._scopes[-1]
        target, _, attribute = name.partition(".")
        of = scope.class_scope
        if target not in ("self", "cls") or of is None or not attribute.isidentifier():
            return
        line = node.start_point.row + 1
        if attribute in of.seen:
            self._bind(name, kind, line, of)
            return
        of.seen.add(attribute)
        if not of.is_hidden:
            shown = self._indent(node) + line_of(self.source, node)
            self.definitions.append(
                Definition(attribute, "attribute", shown, line, line, owner=of.owner, type=kind)
            )

    def _for(self, node: Node) -> None:
        left = node.child_by_field_name("left")
        if left is not None:
            kind = type_of(self.source, node.child_by_field_name("right"))
            for target in self._targets(left):
                name = written(self.source, target)
                self._bind(name, kind, node.start_point.row + 1, self._scopes[-1])

    def _with(self, node: Node) -> None:
        value = node.child_by_field_name("value")
        if value is not None and value.type == "as_pattern" and value.named_child_count > 1:
            name = written(self.source, value.named_children[-1])
            kind = type_of(self.source, value.named_children[0])
            self._bind(name, kind, node.start_point.row + 1, self._scopes[-1])

    def _bind(self, name: str, kind: str, line: int, scope: Scope) -> None:
        if kind and name and kind != name:
            self.bindings.append(
                Binding(name, kind, line, scope.first, scope.last, owner=scope.owner)
            )

    def _return(self, node: Node) -> None:
        """Take the type of a function without an annotation from its last ``return``."""
        scope = self._scopes[-1]
        if scope.definition is None or not node.named_child_count:
            return
        kind = type_of(self.source, node.named_children[0])
        one = self.definitions[scope.definition]
        if kind and (not one.type or one.type == scope.returned):
            scope.returned = kind
            self.definitions[scope.definition] = replace(one, type=kind)

    # Imports.

    def _import(self, node: Node) -> None:
        for one in node.named_children:
            module = one.child_by_field_name("name") or one
            name = written(self.source, module)
            alias = one.child_by_field_name("alias")
            self._add_import(node, written(self.source, alias) or name, name)

    def _import_from(self, node: Node) -> None:
        module = written(self.source, node.child_by_field_name("module_name")).replace(" ", "")
        for one in node.children_by_field_name("name"):
            name = written(self.source, one.child_by_field_name("name") or one)
            alias = written(self.source, one.child_by_field_name("alias"))
            self._add_import(node, alias or name, module, name)
        if any(one.type == "wildcard_import" for one in node.named_children):
            self._add_import(node, "*", module)

    def _add_import(self, node: Node, alias: str, module: str, name: str = "") -> None:
        if alias and module:
            outside = not self._scopes[-1].function
            line = node.start_point.row + 1
            self.imports.append(Import(alias, module, name, line=line, is_public=outside))


PYTHON = Language("Python", read, files_of, filler="_")
