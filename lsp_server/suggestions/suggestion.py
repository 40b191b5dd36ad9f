"""From an answer of the engine to a suggestion, and what is known about past suggestions."""

import itertools
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

from longllama_code.protocol import CompletionResult
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.cursor_context import CursorContext
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
    is_cached: bool = False
    """Whether an earlier answer was reused."""


def to_suggestion(
    result: CompletionResult, cursor: CursorContext, *, is_cached: bool = False
) -> Suggestion:
    """Return the part of an answer that fits at the cursor, as a suggestion."""
    fits = [
        fitted(text, cursor.prefix, cursor.suffix, cursor.language)
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
        if suggestion_id is None and self._suggestions:
            suggestion_id = next(reversed(self._suggestions))
        suggestion = self._suggestions.get(suggestion_id or "")
        return None if suggestion is None else _explanation(suggestion)


def _explanation(suggestion: Suggestion) -> dict[str, Any]:
    result = suggestion.result
    return {
        "id": suggestion.id,
        "reason": suggestion.reason,
        "known": suggestion.is_cached,
        "stopReason": result.stop_reason if result else None,
        "confidence": result.confidence if result else None,
        "meanProbability": result.mean_probability if result else None,
        "ownLines": [result.first_line, result.last_line] if result else None,
        "timings": asdict(result.timings) if result else None,
        "sources": [asdict(source) for source in result.sources] if result else [],
        "definitions": [asdict(each) for each in result.definitions] if result else [],
    }
