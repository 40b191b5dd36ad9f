"""Tokens of the cache that show each definition, so that attention to it can be summed.

The tokens of an excerpt are divided between the definitions that it was chosen for: a definition
has its own text, and what stands between it and the one before it, such as the file's path, the
head of its class, or members that were not chosen. What follows the last one is the last one's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, cast

from longllama_code.definitions.fitting import BODY
from longllama_code.generation.decoding.decoder import PlacedText
from longllama_code.generation.prompting.definition_layout import head_ids, path_ids
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.prepared_prompt import Excerpts
from longllama_code.generation.prompting.prompt import Excerpt, Shown
from longllama_code.protocol import ShownDefinition
from longllama_code.tokenizers.tokenizer import Tokenizer

MAX_TOKENIZED = 4096
"""Most excerpts whose tokens are cached."""

Named = tuple[str, str, int]
"""A definition's path, name and first line."""


class Segments(NamedTuple):
    """Adjacent segments of the cache, and what they show."""

    bounds: tuple[int, ...] = ()
    """First token of each, ascending, then the end of the last one; empty if there is none."""
    shown: tuple[Named | None, ...] = ()
    """What each of them shows; None for what is no definition."""

    def by_definition(self, shares: Sequence[float]) -> dict[Named, float]:
        """Return the sum of the segments' shares for each definition."""
        found = dict[Named, float]()
        for shown, share in zip(self.shown, shares, strict=True):
            if shown is not None:
                found[shown] = found.get(shown, 0.0) + share
        return found


class ShownRows:
    """Finder of the tokens that show definitions.

    Args:
        tokenizer: the model's.
        marks: the model's infill marks; None for a model without, which is shown nothing.
    """

    def __init__(self, tokenizer: Tokenizer, marks: InfillMarks | None) -> None:
        self._tokenizer, self._marks = tokenizer, marks

        @lru_cache(MAX_TOKENIZED)
        def starts_of(text: str) -> tuple[int, ...]:
            return tuple(first for first, _ in tokenizer.offsets(f"{text}\n")[1])

        self._starts_of = starts_of

    def in_prompt(self, repository: str, excerpts: Excerpts, n_ids: int) -> Segments:
        """Return the segments of excerpts that a prompt begins with.

        Args:
            repository: the repository's name.
            excerpts: the prompt's, in order.
            n_ids: number of the prompt's ids.
        """
        if self._marks is None:
            return Segments()
        at, found = len(head_ids(repository, self._tokenizer, self._marks)), list[_Row]()
        for _, group in groupby(excerpts, attrgetter("path")):
            for number, excerpt in enumerate(group):
                rows = list(self._rows(excerpt, at, shows_path=number == 0))
                found += rows
                at = rows[-1].end
        return _joined(found) if at <= n_ids else Segments()

    def in_memory(self, excerpts: Excerpts, placed: PlacedText) -> Segments:
        """Return the segments of excerpts that are placed before a prompt."""
        starts = cast("dict[Excerpt, int]", placed.starts)
        known = [(starts[each], each) for each in dict.fromkeys(excerpts) if each in starts]
        rows = [list(self._rows(each, at, shows_path=True)) for at, each in known]
        return _joined(row for part in rows for row in part)

    def _rows(self, excerpt: Excerpt, at: int, *, shows_path: bool) -> Iterator[_Row]:
        """Yield the tokens of each definition of an excerpt, from token ``at`` on."""
        assert self._marks is not None
        first = at
        if shows_path:
            at += len(path_ids(excerpt.path, self._tokenizer, self._marks))
        starts = self._starts_of(excerpt.text)
        *others, last = [*sorted(_ends(excerpt), key=lambda each: each[0])] or [(0, None)]
        for end, shown in others:
            until = at + bisect_left(starts, end)
            yield _Row(first, until, shown)
            first = until
        yield _Row(first, at + len(starts), last[1])


def with_shares(
    definitions: Iterable[ShownDefinition], shares: Mapping[Named, float]
) -> list[ShownDefinition]:
    """Return definitions with the shares of attention that are known of them."""
    return [
        replace(each, share=shares.get((each.path, each.name, each.first_line)))
        for each in definitions
    ]


class _Row(NamedTuple):
    """Tokens that show one definition, or none."""

    first: int
    end: int
    shown: Named | None


def _ends(excerpt: Excerpt) -> Iterator[tuple[int, Named]]:
    """Yield where each definition ends in the excerpt's text; 0 if it is not found there."""
    for each in excerpt.chosen:
        for one in cast("Sequence[Shown]", getattr(each, "members", (each,))):
            text, end = one.shown, 0
            for part in (text, text.removesuffix(BODY)):
                at = excerpt.text.find(part)
                if at >= 0:
                    end = at + len(part)
                    break
            yield end, (one.path, one.name, one.line)


def _joined(rows: Iterable[_Row]) -> Segments:
    """Return rows as adjacent segments, with segments of no definition between them."""
    bounds, shown = list[int](), list[Named | None]()
    for row in sorted(rows, key=lambda each: (each.first, each.end)):
        if not bounds:
            bounds.append(row.first)
        if row.first > bounds[-1]:
            bounds.append(row.first)
            shown.append(None)
        bounds.append(row.end)
        shown.append(row.shown)
    return Segments(tuple(bounds), tuple(shown))
