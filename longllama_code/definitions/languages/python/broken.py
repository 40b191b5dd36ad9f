"""Functions and classes in Python code that cannot be parsed, found by their lines."""

import re
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import replace

from longllama_code.definitions.languages.facts import Definition, Kind
from longllama_code.definitions.languages.python.values import MAX_LINE_CHARS

MAX_OWNERS = 4
"""Maximum number of nested classes that an owner names."""
MAX_BROKEN_HEADS = 300
HEAD = re.compile(rb"^([ \t]*)(?:async[ \t]+)?(def|class)[ \t]+([^\W\d]\w*)([^\n]*)", re.MULTILINE)
BODY = " ..."


class Lines:
    """A text by its lines.

    Attributes:
        source: the text.
        starts: offset in bytes of each line.
    """

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.starts = [0, *(found.end() for found in re.finditer(b"\n", source))]

    def last_line(self, first: int, column: int) -> int:
        """Return the last line of a block whose head is on line ``first`` at ``column``."""
        last = first
        for line in range(first, len(self.starts)):
            start = self.starts[line]
            content = self.source[start : start + MAX_LINE_CHARS].partition(b"\n")[0]
            stripped = content.lstrip()
            if stripped and not stripped.startswith((b"#", b")", b"]", b"}")):
                if len(content) - len(stripped) <= column:
                    break
                last = line + 1
        return last


def with_broken_heads(
    definitions: list[Definition], heads: Collection[int], lines: Lines
) -> list[Definition]:
    """Return the definitions, and those with a head in the text that the tree lacks.

    Args:
        definitions: those of the tree.
        heads: offsets of their heads, in bytes.
        lines: the text.
    """
    found = list(definitions)
    classes = [one for one in definitions if one.kind == "class"]
    n_broken = 0
    for match in HEAD.finditer(lines.source):
        if match.start() + len(match[1]) in heads or n_broken >= MAX_BROKEN_HEADS:
            continue
        n_broken += 1
        one = _broken_head(match, classes, lines)
        if one is not None:
            found.append(one)
            classes += [one] if one.kind == "class" else []
    if not n_broken:
        return found
    owned = [_owned(one, classes) for one in found]
    return sorted(owned, key=lambda one: (one.first_line, one.owner, one.name))


def _broken_head(
    match: re.Match[bytes], classes: list[Definition], lines: Lines
) -> Definition | None:
    line = bisect_right(lines.starts, match.start())
    column = len(match[1])
    around = [one for one in classes if one.first_line < line <= one.last_line]
    if column and not around:
        return None  # within a function
    owner = ".".join(one.name for one in around[-MAX_OWNERS:])
    name = match[3].decode("utf-8", "replace")
    shown = match[0][:MAX_LINE_CHARS].decode("utf-8", "replace").rstrip()
    kind: Kind = "class" if match[2] == b"class" else "method" if owner else "function"
    if kind != "class" and not shown.endswith(BODY):
        shown += BODY
    return Definition(name, kind, shown, line, lines.last_line(line, column), owner=owner)


def _owned(one: Definition, classes: list[Definition]) -> Definition:
    """Return a function as a method if it is in a class that could not be parsed."""
    if one.kind != "function" or not one.shown[:1].isspace():
        return one
    around = [each for each in classes if each.first_line < one.first_line <= each.last_line]
    if not around:
        return one
    owner = ".".join(each.name for each in around[-MAX_OWNERS:])
    return replace(one, kind="method", owner=owner)
