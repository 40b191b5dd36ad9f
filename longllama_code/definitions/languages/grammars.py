"""Parsers of tree-sitter, one for each grammar, with limits on their input."""

import importlib
import re
import time
from functools import cache

from tree_sitter import Language, Parser, Point, Tree

MAX_SOURCE_BYTES = 1 << 20
"""Size above which a file counts as generated and is not read."""
MAX_DEPTH = 200
"""Maximum nesting of brackets, and of assignments within a statement; code has 30. Deeper, error
recovery takes quadratic time and memory in one step, which nothing interrupts: 24 GB for 50 KB."""
MAX_PARSE_S = 2.0
"""Processor time for one file; a megabyte of code takes 0.4 s on a slow core. By the clock, a busy
machine would lose files."""
_CHUNK = 1 << 16
_STEPS = {**dict.fromkeys(b"([{", 1), **dict.fromkeys(b")]}", -1)}
_ENDS = re.compile(rb"[;{},]|(?:(?<=[\w\"'`)\]])|(?<=[\"'/]>))[ \t]*\r?\n")
"""Ends of statements and of parts of them, and of lines that end with a value or a tag."""
_ASSIGNMENT = re.compile(rb"(?<![=!<>])=(?!=)")
"""Signs of assignment, and beginnings of arrows."""


@cache
def parser(module: str, function: str = "language") -> Parser:
    """Return the parser of a grammar, by its package and the function in it."""
    pointer: object = getattr(importlib.import_module(module), function)()
    return Parser(Language(pointer))


def kinds(text: str) -> frozenset[str]:
    """Return the node types in a text that separates them by blanks."""
    return frozenset(text.split())


def parsed(source: bytes, module: str, function: str = "language") -> Tree | None:
    """Parse a source; None if it is too large or too deep, or takes too long."""
    return parsed_in_time(source, module, function) if can_be_parsed(source) else None


def can_be_parsed(source: bytes) -> bool:
    """Whether a source is neither too large nor too deep: 0.15 s for a megabyte."""
    return len(source) <= MAX_SOURCE_BYTES and not is_too_deep(source)


def parsed_in_time(source: bytes, module: str, function: str = "language") -> Tree | None:
    """Parse a source that ``can_be_parsed``; None if it takes too long."""
    end = time.thread_time() + MAX_PARSE_S

    def chunk(offset: int, _: Point) -> bytes:
        return source[offset : offset + _CHUNK]

    def is_late(_offset: int, _has_error: bool) -> bool:
        return time.thread_time() > end

    parse = parser(module, function)
    try:
        return parse.parse(chunk, progress_callback=is_late)
    except ValueError:  # raised by a parser that was stopped
        parse.reset()
        return None


def is_too_deep(source: bytes) -> bool:
    """Whether brackets or assignments are nested deeper than ``MAX_DEPTH``."""
    return _has_deep_brackets(source) or _has_deep_assignments(source)


def _has_deep_assignments(source: bytes) -> bool:
    if source.count(b"=") <= MAX_DEPTH:
        return False
    return any(
        part.count(b"=") > MAX_DEPTH and len(_ASSIGNMENT.findall(part)) > MAX_DEPTH
        for part in _ENDS.split(source)
    )


def _has_deep_brackets(source: bytes) -> bool:
    if sum(map(source.count, (b"(", b"[", b"{"))) <= MAX_DEPTH:
        return False
    depth = 0
    for byte in source.translate(None, _NO_BRACKETS):
        depth = max(0, depth + _STEPS[byte])
        if depth > MAX_DEPTH:
            return True
    return False


_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)
