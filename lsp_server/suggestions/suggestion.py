"""From an answer of the engine to a suggestion, and what is known about past suggestions."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from longllama_code.protocol import CompletionResult, ShownDefinition, Source
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.indentation import without_stray_blanks
from lsp_server.suggestions.trimming import fitted

MAX_EXPLAINED = 50
"""Suggestions that can be explained afterwards."""

_ids = itertools.count(1)


@dataclass(frozen=True)
class Suggestion:
    """Text to insert at the cursor, or the reason why there is none."""

    id: str
    text: str
    reason: str | None
    """Reason code; None if there is a text."""
    result: CompletionResult | None
    """The engine's answer; None if the engine gave none."""
    alternatives: tuple[Fit, ...] = ()
    """Other texts, for a client that shows several."""
    n_replaced: int = 0
    """Characters behind the cursor, on its line, that the text stands in place of."""
    insertion: str = ""
    """What to insert where nothing behind the cursor can be replaced; may be empty."""
    is_cached: bool = False
    """Whether an earlier answer was reused."""


def to_suggestion(
    result: CompletionResult, cursor: CursorContext, *, is_cached: bool = False
) -> Suggestion:
    """Return the part of an answer that fits at the cursor, as a suggestion."""
    before, after, language = cursor.prefix, cursor.suffix, cursor.language
    fits = [
        fitted(without_stray_blanks(text, before, language), before, after, language)
        for text in (result.text, *result.alternatives)
    ]
    distinct: dict[str, Fit] = {}
    for fit in fits:  # fitting may leave nothing of any
        distinct.setdefault(fit.text, fit)
    distinct.pop("", None)
    first, *others = distinct.values() or [Fit("")]
    reason = None if first.text else result.empty_reason or "repeats_line"
    return Suggestion(
        f"s{next(_ids)}",
        first.text,
        reason,
        result,
        tuple(others),
        is_cached=is_cached,
        n_replaced=first.n_replaced,
        insertion=first.insertion,
    )


def no_suggestion(reason: str) -> Suggestion:
    """Return a suggestion without a text."""
    return Suggestion(f"s{next(_ids)}", "", reason, None)


class SuggestionHistory:
    """The last suggestions, to be explained on request."""

    def __init__(self) -> None:
        self._suggestions: OrderedDict[str, Suggestion] = OrderedDict()

    def add(self, suggestion: Suggestion) -> None:
        """Keep a suggestion, and drop the oldest beyond `MAX_EXPLAINED`."""
        self._suggestions[suggestion.id] = suggestion
        while len(self._suggestions) > MAX_EXPLAINED:
            self._suggestions.popitem(last=False)

    def explain(self, suggestion_id: str | None) -> dict[str, Any] | None:
        """Return sources and timings of a suggestion, the last one by default, as plain values.

        None if there is no such suggestion.
        """
        last = next(reversed(self._suggestions), "")
        suggestion = self._suggestions.get(last if suggestion_id is None else suggestion_id)
        if suggestion is None:
            return None
        return {**_explanation(suggestion), "stale": suggestion.id != last}


def _explanation(suggestion: Suggestion) -> dict[str, Any]:
    result = suggestion.result
    return {
        "id": suggestion.id,
        "text": suggestion.text or None,
        "reason": suggestion.reason,
        "known": suggestion.is_cached,
        "stopReason": result.stop_reason if result else None,
        "confidence": result.confidence if result else None,
        "meanProbability": result.mean_probability if result else None,
        "ownLines": [result.first_line, result.last_line] if result else None,
        "timings": asdict(result.timings) if result else None,
        **(_drawn_on(result) if result else {"sources": [], "definitions": [], "ownShare": None}),
    }


def _drawn_on(result: CompletionResult) -> dict[str, Any]:
    """Return what a suggestion drew on, with shares of all of it.

    Lines of a definition that the model was shown count as the definition's. What was not drawn
    from memory is divided by attention between definitions that stand in the context, and the rest
    of it: the file, and the model itself.
    """
    memory_share = 1.0 if result.memory_share is None else result.memory_share
    context_share = 1.0 - (result.memory_share or 0.0)
    shares = {
        number: context_share * each.share
        for number, each in enumerate(result.definitions)
        if each.share is not None
    }
    own_share = context_share - sum(shares.values())
    others: list[Source] = []
    for source in result.sources:
        share = source.mass * memory_share
        number = _definition_at(result.definitions, source)
        if number is None:
            others.append(replace(source, mass=share))
        else:
            shares[number] = shares.get(number, 0.0) + share
    is_known = result.memory_share is not None or bool(shares)
    return {
        "sources": [asdict(source) for source in _by_line(others)],
        "definitions": [
            {**asdict(each), "share": shares.get(number)}
            for number, each in enumerate(result.definitions)
        ],
        "ownShare": max(0.0, own_share) if is_known else None,
    }


def _by_line(sources: Sequence[Source]) -> list[Source]:
    """Return sources with those that begin at the same line as one, the strongest first.

    Memory is drawn on in pages of some tokens, which end within lines.
    """
    found: dict[tuple[str, int], Source] = {}
    for each in sources:
        known = found.setdefault((each.path, each.first_line), replace(each, mass=0.0))
        found[each.path, each.first_line] = replace(
            known,
            last_line=max(known.last_line, each.last_line),
            mass=known.mass + each.mass,
        )
    return sorted(found.values(), key=lambda source: source.mass, reverse=True)


def _definition_at(definitions: Sequence[ShownDefinition], source: Source) -> int | None:
    """Return which of the definitions, of those in the same lines the shortest, a source is in."""
    found = [
        (each.last_line - each.first_line, number)
        for number, each in enumerate(definitions)
        if each.path == source.path
        and each.first_line <= source.last_line
        and source.first_line <= each.last_line
    ]
    return min(found)[1] if found else None
