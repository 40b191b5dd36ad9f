"""Names that a text of Python takes from elsewhere: imported, or behind a dot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from longllama_code.definitions.cursor_text import IMPORTED_FROM
from longllama_code.definitions.languages.grammars import parsed

NEAR_CHARS = 4000
"""Characters before the cursor in which the statement at the cursor begins."""
FROM = re.compile(
    r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]*(?:\(([^()]*)|([^()\n;#]*))", re.MULTILINE
)
ITEM = re.compile(r"([^\W\d]\w*)(?:\s+as\s+[^\W\d]\w*)?\s*(?:,|$)")
CHAIN = re.compile(r"(?<![\w.)\]\"'])([^\W\d]\w*(?:\.[^\W\d]\w*)+)")
COMMENT = re.compile(r"#[^\n]*")


@dataclass(frozen=True)
class NameUse:
    """A name and what it is taken from, with its place in the text that was searched."""

    names: tuple[str, ...]
    """A module's or class's name in the file, and what follows it, dot by dot; for an import the
    imported name alone."""
    module: str
    """Module of an import; empty for other uses."""
    start: int
    end: int
    is_called: bool = False
    """Whether a bracket follows."""

    @property
    def may_be_module(self) -> bool:
        """Whether the name may be that of a module, by its letters."""
        return self.names[-1].islower() and not self.is_called


def begun(prefix: str) -> int:
    """Return how many characters before the cursor belong to its statement or line."""
    near = prefix[-NEAR_CHARS:]
    imported = IMPORTED_FROM.search(near)
    start = near.rfind("\n") + 1
    return len(near) - (start if imported is None else min(start, imported.start()))


def uses(text: str) -> Iterator[NameUse]:
    """Yield the names that a text imports or takes behind a dot."""
    yield from _imported(text)
    for found in CHAIN.finditer(text):
        parts = tuple(found[1].split("."))
        end = found.start() + len(parts[0])
        for number, part in enumerate(parts[1:], 2):
            start, end = end + 1, end + 1 + len(part)
            yield NameUse(parts[:number], "", start, end, text[end : end + 1] == "(")


def _imported(text: str) -> Iterator[NameUse]:
    for found in FROM.finditer(text):
        group = 3 if found[2] is None else 2
        listed = COMMENT.sub(lambda comment: " " * len(comment[0]), found[group])
        for item in ITEM.finditer(listed):
            start = found.start(group) + item.start(1)
            yield NameUse((item[1],), found[1], start, start + len(item[1]))


def is_identifier(text: str, offset: int) -> bool:
    """Whether an identifier stands at an offset of a text, not a part of a string or comment."""
    return offset in identifiers(text, (offset,))


def identifiers(text: str, offsets: Iterable[int]) -> Iterator[int]:
    """Yield those offsets of a text where an identifier stands; it is parsed once."""
    tree = None
    for offset in offsets:
        if text.count('"""', 0, offset) % 2 or text.count("'''", 0, offset) % 2:
            continue  # the grammar reads what follows an open quote as code
        tree = tree or parsed(text.encode("utf-8", "replace"), "tree_sitter_python")
        if tree is None:
            return
        at = len(text[:offset].encode("utf-8", "replace"))
        node = tree.root_node.descendant_for_byte_range(at, at + 1)
        if node is not None and node.type == "identifier":
            yield offset
