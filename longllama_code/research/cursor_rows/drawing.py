"""Cursors of a repository, drawn at random: where they stand, and what is to be written there."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from longllama_code.definitions.cursor_text import NAMES
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.research.cursor_rows.spans import Span, SpanKind, spans_of

MAX_MIDDLE_CHARS = 400
WHOLE_LINES: frozenset[SpanKind] = frozenset(("statement", "block"))
"""Kinds that may be asked for without the text after them, to the end of their last line."""


@dataclass(frozen=True)
class Shares:
    """Settings for drawing cursors.

    Attributes:
        seed: seed of every draw.
        chars_per_row: characters of a repository for each cursor in it.
        rows_per_repository: most cursors of one repository.
        needs_repository: share of cursors whose answer has a name that another file defines.
        without_suffix: share of cursors that see no text after them, where whole lines follow.
    """

    seed: int = 7
    chars_per_row: int = 1200
    rows_per_repository: int = 400
    needs_repository: float = 0.75
    without_suffix: float = 0.25


@dataclass(frozen=True)
class Cursor:
    """A cursor in a file.

    Attributes:
        path: the file.
        kind: kind of what is to be written.
        prefix: all text before the cursor.
        middle: what is to be written.
        suffix: all text after it, or nothing where it is not shown.
        ends: whether the text to write ends here; it goes on where no suffix is shown.
    """

    path: str
    kind: SpanKind
    prefix: str
    middle: str
    suffix: str
    ends: bool


def draw_cursors(
    name: str, texts: Mapping[str, str], index: DefinitionIndex, shares: Shares
) -> Iterator[Cursor]:
    """Yield cursors of a repository, those of one file together; equal seeds give equal ones.

    Args:
        name: the repository.
        texts: its files.
        index: the definitions of these files.
        shares: how cursors are drawn.
    """
    rng = random.Random(f"{shares.seed} {name}")
    for path, n_rows in _rows_of_files(texts, shares, rng):
        spans = [each for each in spans_of(path, texts[path]) if _is_asked(texts[path], each)]
        needing = [each for each in spans if _needs(index, path, texts[path], each)]
        for _ in range(n_rows if spans else 0):
            wanted = needing if needing and rng.random() < shares.needs_repository else spans
            span = _of_any_kind(wanted, rng)
            yield _cursor(path, texts[path], span, rng.random() < shares.without_suffix)


def _rows_of_files(
    texts: Mapping[str, str], shares: Shares, rng: random.Random
) -> list[tuple[str, int]]:
    """Return how many cursors each file has, drawn by the square root of its length."""
    paths = sorted(texts)
    n_chars = [len(texts[path]) for path in paths]
    n_rows = min(shares.rows_per_repository, sum(n_chars) // shares.chars_per_row)
    weights = [math.sqrt(n) for n in n_chars]
    drawn = Counter(rng.choices(paths, weights, k=n_rows)) if n_rows else Counter[str]()
    return sorted(drawn.items())


def _is_asked(text: str, span: Span) -> bool:
    return span.end - span.start <= MAX_MIDDLE_CHARS and bool(text[span.start : span.end].strip())


def _needs(index: DefinitionIndex, path: str, text: str, span: Span) -> bool:
    """Whether a span has a name that another file defines."""
    names = set(NAMES.findall(text, span.start, span.end))
    return any(other != path for name in names for other in index.defining(name))


def _of_any_kind(spans: Sequence[Span], rng: random.Random) -> Span:
    """Draw a span; each kind is as likely as any other, however many there are of it."""
    kind = rng.choice(sorted({each.kind for each in spans}))
    return rng.choice([each for each in spans if each.kind == kind])


def _cursor(path: str, text: str, span: Span, is_blind: bool) -> Cursor:
    prefix, middle = text[: span.start], text[span.start : span.end]
    if not (is_blind and span.kind in WHOLE_LINES):
        return Cursor(path, span.kind, prefix, middle, text[span.end :], True)
    line_end = text.find("\n", span.end) + 1 or len(text)
    return Cursor(path, span.kind, prefix, text[span.start : line_end], "", False)
