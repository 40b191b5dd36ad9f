"""Answers requests for suggestions: the newest request wins, and every request has an answer.

An answer is a text, or the reason code for none. A request takes the first of these steps that
answers it:

1. Nothing is suggested there (`refuse`), or the engine cannot be asked.
2. The user typed what an earlier answer says: the rest of it is the answer (`AnswerCache`).
3. The engine is writing an answer that begins with what the user typed: wait for it.
4. Wait until the user pauses (`DebouncePolicy`), then ask the engine.

While a suggestion is shown, the one that would follow it is computed ahead.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from longllama_code.protocol import CompletionResult, OnProgress
from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.models.larger_model import AnswerTimes
from lsp_server.settings.declarations import Completion, Settings
from lsp_server.suggestions.answer_cache import AnswerCache, remainder
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.debounce import DebouncePolicy
from lsp_server.suggestions.pending_answer import PendingAnswer
from lsp_server.suggestions.pending_request import CompletionEngine, PendingRequest, RequestEnded
from lsp_server.suggestions.request import build_request, refuse
from lsp_server.suggestions.suggestion import (
    Suggestion,
    SuggestionHistory,
    no_suggestion,
    to_suggestion,
)

logger = logging.getLogger(__name__)

JOIN_S = 0.06
"""Longest wait for a running answer to show whether it begins with what was typed. A request that
gives up then is sent no later than its usual quiet time."""
AHEAD_AFTER_S = 0.15
"""Quiet time after a suggestion before the one that would follow it is requested."""
REST_S = 0.3
"""Time that a cursor rests before the engine reads the text around it."""


class Suggester:
    """Owner of the pending requests, the answers being written, and recent answers.

    Args:
        floor: returns the least confidence of what typing requests, in percent, beside that of the
            settings.
    """

    def __init__(self, floor: Callable[[], int] = lambda: 0) -> None:
        self._floor = floor
        self.last_reason: str | None = None
        """Reason code of the last request; None if it had a text."""
        self.times = AnswerTimes()
        """Times that the engine took while the user typed."""
        self._history = SuggestionHistory()
        self._pending: set[PendingRequest] = set()
        self._last_typed: PendingRequest | None = None
        """The last automatic request, unless it was refused."""
        self._answers: list[PendingAnswer] = []
        self._cache = AnswerCache()
        self._cached_for = Completion()
        """Settings that the cached answers were written with."""
        self._debounce = DebouncePolicy()
        self._reading = asyncio.Lock()
        """Held while a text is read, so that requests go on in the order in which they came."""

    async def suggest(
        self,
        cursor: CursorContext,
        settings: Settings,
        engine: CompletionEngine | None,
        was_typed_on: Callable[[], bool] = lambda: False,
    ) -> Suggestion:
        """Return a suggestion, and end the automatic requests that are pending.

        Args:
            cursor: where to suggest, and whether typing caused the request.
            settings: the settings now.
            engine: the engine; None if it was stopped.
            was_typed_on: whether text was added at the cursor since the request.
        """
        if settings.completion.disable_in_comments:
            async with self._reading:
                await asyncio.to_thread(getattr, cursor, "is_in_comment")
        self._begin(cursor, settings)
        reason = refuse(cursor, settings)
        if reason is None and engine is not None:
            request = PendingRequest(cursor, settings, engine, was_typed_on)
            suggestion = await self._suggest(request)
        else:
            suggestion = no_suggestion(reason or "engine_stopped")
        self.last_reason = suggestion.reason
        self._history.add(suggestion)
        return suggestion

    def refuse(self, reason: str) -> Suggestion:
        """Return no suggestion, and note why the engine was not even asked."""
        suggestion = no_suggestion(reason)
        self.last_reason = reason
        self._history.add(suggestion)
        return suggestion

    def explain(self, suggestion_id: str | None) -> dict[str, Any] | None:
        """Return sources and timings of a suggestion, the last one by default, as plain values.

        None if there is no such suggestion.
        """
        return self._history.explain(suggestion_id)

    def end_requests(
        self, reason: str, which: Callable[[CursorContext], bool] = lambda _: True
    ) -> None:
        """Answer pending requests with a reason code, and have the engine stop working for them."""
        for request in self._pending:
            if which(request.cursor):
                request.end(reason)
        if reason != "superseded":
            self._cache.clear()
            self._cancel_unwanted()

    def memory_changed(self) -> None:
        """Repeat the last automatic request ahead of the next key, unless one is pending.

        The engine read its text together with the former memory; without this, the next request
        would wait until all of the text is read again.
        """
        last = self._last_typed
        if last is None or self._pending or last.engine.state is not EngineState.READY:
            return
        if last.settings.completion.ahead:
            self._cache.clear()
            self._ask(replace(last, is_ahead=True), AHEAD_AFTER_S)

    def cursor_moved(
        self, cursor: CursorContext, settings: Settings, engine: CompletionEngine | None
    ) -> None:
        """Have the engine read the text around a cursor that rests, ahead of the next key.

        Args:
            cursor: where the user put it, without typing.
            settings: the settings now.
            engine: the engine; None if it was stopped.
        """
        if engine is None or engine.state is not EngineState.READY or self._pending:
            return
        is_known = any(answer.is_for(cursor) for answer in self._answers)
        if is_known or self._cache.find(cursor) is not None or not settings.completion.ahead:
            return
        if refuse(cursor, settings, is_ahead=True) is None:
            request = PendingRequest(cursor, settings, engine, lambda: False, is_ahead=True)
            self._ask(request, REST_S)

    def _begin(self, cursor: CursorContext, settings: Settings) -> None:
        """End what a new request supersedes, and forget answers written with other settings."""
        if cursor.is_automatic:
            self._debounce.note_key(asyncio.get_running_loop().time())
            self._last_typed = None
        if settings.completion != self._cached_for:
            self._cached_for = settings.completion
            self._cache.clear()
        self.end_requests("superseded", lambda pending: pending.is_automatic)

    async def _suggest(self, request: PendingRequest) -> Suggestion:
        """Return the answer to a request that is not refused, as a suggestion."""
        cursor = request.cursor
        if cursor.is_automatic:
            self._last_typed = request
        if request.engine.state is not EngineState.READY:
            return no_suggestion(f"engine_{request.engine.state.value}")
        cached = self._cache.find(cursor) if cursor.is_automatic else None
        self._pending.add(request)
        try:
            answer = cached or await self._wait_for_answer(request)
        except RequestEnded as ended:
            return no_suggestion(ended.reason)
        except EngineGone:
            return no_suggestion("engine_restarting")
        except EngineError as error:
            logger.error("no suggestion in %s: %s", cursor.path, error)
            return no_suggestion("engine_error")
        finally:
            self._pending.discard(request)
        suggestion = to_suggestion(answer, cursor, is_cached=cached is not None)
        if answer.is_short:
            self._ask(replace(request, is_ahead=True))  # what the answer was too short for
        elif suggestion.text and request.settings.completion.ahead:
            self._ask_ahead(request, suggestion)
        return suggestion

    async def _wait_for_answer(self, request: PendingRequest) -> CompletionResult:
        """Return the rest of an answer that is being written, or a new answer."""
        if not request.cursor.is_automatic:
            return await self._ask(request).wait(request)
        delay_s = self._debounce.delay_s(request.settings.trigger.debounce_ms / 1000)
        for running in self._answers:
            typed = request.cursor.typed_since(running.request.cursor)
            if typed is None or not running.is_being_written:
                continue
            answer = await running.join(request, typed, max(delay_s, JOIN_S))
            rest = None if answer is None else remainder(answer, typed)
            if rest is not None:
                return rest
            delay_s = 0.0  # the wait was quiet time as well
        return await self._ask(request, delay_s).wait(request)

    def _ask_ahead(self, request: PendingRequest, shown: Suggestion) -> None:
        """Ask for what would follow a suggestion once the user accepts it."""
        cursor = request.cursor.after_accepting(shown.text, shown.n_replaced)
        reason = refuse(cursor, request.settings, is_ahead=True)
        if self._cache.find(cursor) is None and reason is None:
            self._ask(replace(request, cursor=cursor, is_ahead=True), AHEAD_AFTER_S)

    def _ask(self, request: PendingRequest, delay_s: float = 0.0) -> PendingAnswer:
        """Ask the engine after a quiet time, in place of answers that nobody waits for."""
        self._cancel_unwanted()
        answer = PendingAnswer(request, partial(self._complete, request), delay_s)
        self._answers = [*(other for other in self._answers if other.is_running), answer]
        return answer

    async def _complete(self, request: PendingRequest, on_progress: OnProgress) -> CompletionResult:
        """Call the engine; keep its answer, and how long it took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        completion = build_request(
            request.cursor, request.settings, is_ahead=request.is_ahead, floor=self._floor()
        )
        try:
            result = await request.engine.complete(completion, on_progress)
        except asyncio.CancelledError:
            if request.is_typing:
                self.times.add_cancelled(loop.time() - started)
            raise
        seconds = loop.time() - started
        self._debounce.note_answer(seconds)
        if request.is_typing and result.text:
            self.times.add(seconds)
        self._cache.add(request.cursor, result, is_ahead=request.is_ahead)
        return result

    def _cancel_unwanted(self) -> None:
        for answer in self._answers:
            answer.cancel_if_unwanted()
