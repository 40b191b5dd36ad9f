"""Asks the engine for suggestions: the newest request wins, and every one has an answer.

An answer without a text has a reason. A request that runs can be ended with one, when a newer one
comes or when the user turns suggestions off.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from longllama_code.protocol import CompletionRequest, CompletionResult
from lsp_server.completion import (
    Cursor,
    Suggestion,
    build_request,
    no_suggestion,
    refuse,
    to_suggestion,
)
from lsp_server.engine_client import EngineError, EngineGone, EngineState
from lsp_server.settings import Settings

logger = logging.getLogger(__name__)

MAX_EXPLAINED = 50

T = TypeVar("T")


class Completer(Protocol):
    """What is needed of the engine."""

    state: EngineState

    async def complete(self, request: CompletionRequest) -> CompletionResult:
        """The answer to a request."""
        ...


@dataclass(frozen=True, eq=False)
class _Running:
    """A request that has no answer yet."""

    cursor: Cursor
    ended: "asyncio.Future[str]"
    """Gets the reason why nobody waits for the engine any more."""

    def end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


class Suggester:
    """Owner of the requests that run, and of what the last ones were answered."""

    def __init__(self) -> None:
        self.last_reason: str | None = None
        """Why the last request had no suggestion; None where it had one."""
        self._running: set[_Running] = set()
        self._explained: OrderedDict[str, Suggestion] = OrderedDict()

    async def suggest(
        self, cursor: Cursor, name: str, settings: Settings, engine: Completer | None
    ) -> Suggestion:
        """A suggestion, or the reason for none. It supersedes the automatic requests that run.

        Args:
            cursor: where, and who asks.
            name: the file's path in memory.
            settings: as they are now.
            engine: who is asked; None where it was stopped.
        """
        self.end_running("superseded", lambda running: running.automatic)
        running = _Running(cursor, asyncio.get_running_loop().create_future())
        self._running.add(running)
        try:
            suggestion = await self._suggest(running, name, settings, engine)
        finally:
            self._running.discard(running)
        self.last_reason = suggestion.reason
        self._explained[suggestion.id] = suggestion
        while len(self._explained) > MAX_EXPLAINED:
            self._explained.popitem(last=False)
        return suggestion

    def end_running(self, reason: str, which: Callable[[Cursor], bool] = lambda _: True) -> None:
        """Answer requests that run with a reason, and have the engine stop working for them."""
        for running in self._running:
            if which(running.cursor):
                running.end(reason)

    def explain(self, suggestion_id: str | None) -> dict[str, Any] | None:
        """Sources and timings of a suggestion (the last one by default), or why it was empty."""
        if suggestion_id is None and self._explained:
            suggestion_id = next(reversed(self._explained))
        suggestion = self._explained.get(suggestion_id or "")
        if suggestion is None:
            return None
        result = suggestion.result
        return {
            "id": suggestion.id,
            "reason": suggestion.reason,
            "stopReason": result.stop_reason if result else None,
            "timings": asdict(result.timings) if result else None,
            "sources": [asdict(source) for source in result.sources] if result else [],
        }

    async def _suggest(
        self, running: _Running, name: str, settings: Settings, engine: Completer | None
    ) -> Suggestion:
        cursor = running.cursor
        reason = refuse(cursor, name, settings)
        if reason is not None:
            return no_suggestion(reason)
        if engine is None or engine.state is not EngineState.READY:
            return no_suggestion(f"engine_{engine.state.value if engine else 'stopped'}")
        request = build_request(cursor, name, settings)
        delay_ms = settings.trigger.debounce_ms if cursor.automatic else 0
        try:
            answer = await _until(running.ended, _after(delay_ms, engine.complete(request)))
        except EngineGone:
            return no_suggestion("engine_restarting")
        except EngineError as error:
            logger.error("no suggestion for %s: %s", name, error)
            return no_suggestion("engine_error")
        return no_suggestion(answer) if isinstance(answer, str) else to_suggestion(answer, cursor)


async def _after(delay_ms: int, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, begun after a while."""
    with closing(work):  # it may never begin
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        return await work


async def _until(ended: "asyncio.Future[str]", work: Coroutine[Any, Any, T]) -> T | str:
    """The result of the work; if the end comes first, its reason, and the work is cancelled."""
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait([ended, working], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else ended.result()
    finally:
        working.cancel()
