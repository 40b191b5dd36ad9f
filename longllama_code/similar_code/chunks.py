"""Chunks of a file, and the terms by which similar ones are found.

A chunk has ten lines, and chunks do not overlap. The query has the last ten lines before the
cursor. Blank lines do not count. These are the sizes of CrossCodeEval (arXiv 2310.11248;
``prompt_builder/augment_with_cfc.py`` of its repository); RepoCoder (arXiv 2303.12570) has windows
of 20 lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from sys import intern

CHUNK_LINES = 10
"""Lines of a chunk and of a query that are not blank."""
MAX_CHUNK_CHARS = 4000
"""Longest chunk that is kept, in code points; a longer one would fill a prompt alone."""
MAX_QUERY_CHARS = 4000
"""Longest query, in code points: its end is used."""
IDENTIFIERS = re.compile(r"[^\W\d]\w*")
BOUNDARIES = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Boundaries between the parts of an identifier, such as ``parse_url`` and ``parseURLPath``."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines of a file."""

    path: str
    line: int
    """First line, from 1."""
    last_line: int
    """Last line, inclusive."""
    text: str
    """The lines that are not blank, without the last one's end."""


def chunks_of(path: str, text: str) -> Iterator[Chunk]:
    """Yield the chunks of a file, in order, without those longer than ``MAX_CHUNK_CHARS``."""
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    for start in range(0, len(lines), CHUNK_LINES):
        part = lines[start : start + CHUNK_LINES]
        shown = "\n".join(line for _, line in part)
        if len(shown) <= MAX_CHUNK_CHARS:
            yield Chunk(path, part[0][0], part[-1][0], shown)


def query_of(prefix: str) -> str:
    """Return the last lines of the text before a cursor, without blank ones."""
    lines = [line for line in prefix[-MAX_QUERY_CHARS:].split("\n") if line.strip()]
    return "\n".join(lines[-CHUNK_LINES:])


def terms_of(text: str) -> list[str]:
    """Return the identifiers of a text and their parts, in lower case, with repetitions.

    Example: ``self.readFile`` gives ``self``, ``readfile``, ``read`` and ``file``.
    """
    return [term for word in IDENTIFIERS.findall(text) for term in _terms_of_word(word)]


@lru_cache(maxsize=100_000)
def _terms_of_word(word: str) -> tuple[str, ...]:
    whole = intern(word.lower())
    parts = [intern(part.lower()) for part in BOUNDARIES.split(word) if part]
    return (whole,) if parts in ([], [whole]) else (whole, *parts)
