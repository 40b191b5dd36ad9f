"""Segmentation of a file at the boundaries of its definitions.

A segment ends as soon as it is large enough, so a boundary depends only on the few blocks before
it. After an edit, the old boundaries recur within a segment or two, and only the segments that the
edit touched change. Blocks are recognized by indentation and blank lines, in any language.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
CLOSERS = frozenset(")]}>")
TAB_WIDTH = 4
MAX_INDENT = 80
"""Columns; deeper lines count as this deep, which bounds the recursion for any text."""


@dataclass(frozen=True)
class Limits:
    """Least and greatest size of a segment, in tokens counted line by line."""

    min_tokens: int
    max_tokens: int


@dataclass(frozen=True)
class Slice:
    """Consecutive lines, or consecutive characters of one long line.

    ``start`` and ``end`` are offsets; ``first_line`` and ``last_line`` count from 0, inclusive.
    """

    start: int
    end: int
    first_line: int
    last_line: int


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    n_tokens: int
    indent: int | None
    closes: bool


def cut(
    text: str, count_tokens: Callable[[list[str]], Sequence[int]], limits: Limits
) -> list[Slice]:
    """Cut a text into slices that cover it in order, none larger than the limit.

    Args:
        text: text of the file.
        count_tokens: counts the tokens of each of some lines.
        limits: sizes of a segment.
    """
    lines = _lines(text, count_tokens)
    slices: list[Slice] = []
    for first, last in _pack(lines, 0, len(lines), limits):
        if first + 1 == last and lines[first].n_tokens > limits.max_tokens:
            slices.extend(_cut_line(text, lines[first], first, limits))
        else:
            slices.append(Slice(lines[first].start, lines[last - 1].end, first, last - 1))
    return slices


def line_at(text: str, offset: int) -> int:
    """Return the line, counted from 0, of the character at an offset."""
    return sum(line.end() <= offset for line in LINE.finditer(text))


def _lines(text: str, count_tokens: Callable[[list[str]], Sequence[int]]) -> list[_Line]:
    matches = list(LINE.finditer(text))
    counts = count_tokens([match.group() for match in matches])
    return [
        _Line(match.start(), match.end(), n_tokens, *_shape(match.group()))
        for match, n_tokens in zip(matches, counts, strict=True)
    ]


def _shape(line: str) -> tuple[int | None, bool]:
    """Return the indentation (None for a blank line), and whether the line closes a block."""
    body = line.strip()
    if not body:
        return None, False
    indent = line[: len(line) - len(line.lstrip())].expandtabs(TAB_WIDTH)
    return min(len(indent), MAX_INDENT), body[0] in CLOSERS


def _pack(lines: list[_Line], first: int, last: int, limits: Limits) -> Iterator[tuple[int, int]]:
    """Yield groups of blocks of lines [first, last) that are large enough; split large blocks."""
    start, size = first, 0
    for block_start, block_end in _blocks(lines, first, last):
        block_size = sum(line.n_tokens for line in lines[block_start:block_end])
        if size and size + block_size > limits.max_tokens:
            yield start, block_start
            start, size = block_start, 0
        if block_size > limits.max_tokens and block_end - block_start > 1:
            yield from _split(lines, block_start, block_end, limits)
            start, size = block_end, 0
            continue
        size += block_size
        if size >= limits.min_tokens:
            yield start, block_end
            start, size = block_end, 0
    if size or start < last:
        yield start, last


def _split(lines: list[_Line], first: int, last: int, limits: Limits) -> Iterator[tuple[int, int]]:
    """Split a block that is too large for one segment at its inner blocks, or else by lines."""
    if len(list(_blocks(lines, first, last))) > 1:
        yield from _pack(lines, first, last, limits)
        return
    start, size = first, 0
    for index in range(first, last):
        if size and size + lines[index].n_tokens > limits.max_tokens:
            yield start, index
            start, size = index, 0
        size += lines[index].n_tokens
    yield start, last


def _blocks(lines: list[_Line], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the outermost blocks; a block begins after a blank line or a deeper one."""
    starts = _starts(lines, first, last)
    level = min((lines[index].indent or 0 for index in starts), default=0)
    outer = [index for index in starts if (lines[index].indent or 0) == level]
    yield from zip([first, *outer], [*outer, last], strict=True)


def _starts(lines: list[_Line], first: int, last: int) -> list[int]:
    starts: list[int] = []
    for index in range(first + 1, last):
        line, before = lines[index], lines[index - 1]
        if line.indent is None or line.closes:
            continue
        if before.indent is None or before.indent > line.indent:
            starts.append(index)
    return starts


def _cut_line(text: str, line: _Line, number: int, limits: Limits) -> Iterator[Slice]:
    """Cut a line that is longer than a segment, by bytes: no token is shorter than one."""
    bytes_per_char = 1 if text.isascii() else 4
    step = max(1, limits.max_tokens // bytes_per_char)
    for start in range(line.start, line.end, step):
        yield Slice(start, min(start + step, line.end), number, number)
