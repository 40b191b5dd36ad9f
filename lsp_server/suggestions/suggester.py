"""Asks the engine for suggestions: the newest request wins, and every one has an answer.

An answer without a text has a reason. A request that runs can be ended with one, when a newer one
comes or when the user turns suggestions off. What an answer, given, running or foreseen, says
already is not asked for again.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Protocol

from longllama_code.protocol import CompletionRequest, CompletionResult, Tell
from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.models.larger_model import AnswerTimes
from lsp_server.settings.declarations import Completion, Settings
from lsp_server.suggestions.answer_cache import KnownAnswers, Place, rest_of
from lsp_server.suggestions.debounce import Rhythm
from lsp_server.suggestions.pending_answer import EngineWork
from lsp_server.suggestions.request import (
    Cursor,
    Suggestion,
    build_request,
    no_suggestion,
    refuse,
    to_suggestion,
)

logger = logging.getLogger(__name__)

MAX_EXPLAINED = 50
JOIN_S = 0.06
"""How long to wait for an answer of which it cannot be seen yet whether the user types towards it:
it may well be another one, and what is asked anew begins no later than after the quiet time."""
AHEAD_AFTER_S = 0.15
"""Quiet time after a suggestion before the one that would follow it is asked for."""


class Completer(Protocol):
    """What is needed of the engine."""

    @property
    def state(self) -> EngineState:
        """Whether it can be asked."""
        ...

    async def complete(self, request: CompletionRequest, tell: Tell) -> CompletionResult:
        """The answer to a request; ``tell`` is told what is written so far."""
        ...

    async def prepare(self, request: CompletionRequest) -> int:
        """Read what prompts of a file begin with."""
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
        self.times = AnswerTimes()
        """How long those that typing asked for took."""
        self._running: set[_Running] = set()
        self._last: tuple[Cursor, _Asked] | None = None
        """The last automatic request."""
        self._works: list[EngineWork] = []
        self._known, self._known_with = KnownAnswers(), Completion()
        self._rhythm = Rhythm()
        self._explained: OrderedDict[str, Suggestion] = OrderedDict()

    async def suggest(
        self,
        cursor: Cursor,
        name: str,
        settings: Settings,
        engine: Completer | None,
        typed_on: Callable[[], bool] = lambda: False,
    ) -> Suggestion:
        """A suggestion, or the reason for none. It supersedes the automatic requests that run.

        Args:
            cursor: where, and who asks.
            name: the file's path in memory.
            settings: as they are now.
            engine: who is asked; None where it was stopped.
            typed_on: whether text was added at the cursor since.
        """
        if cursor.automatic:
            self._rhythm.note_key(asyncio.get_running_loop().time())
        if settings.completion != self._known_with:
            self._known_with = settings.completion
            self._known.clear()
        self.end_running("superseded", lambda running: running.automatic)
        running = _Running(cursor, asyncio.get_running_loop().create_future())
        self._running.add(running)
        asked = _Asked(name, settings, engine, typed_on)
        if cursor.automatic:
            self._last = cursor, asked
        try:
            suggestion = await self._suggest(running, asked)
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
        if reason != "superseded":
            self._known.clear()
            self._drop_unwanted()

    def memory_changed(self) -> None:
        """Have the last automatic request answered anew, if nothing else is asked for.

        What the engine took in of its text counts for the memory as it was; so the next key would
        have to wait until all of it is read again.
        """
        if self._last is None or self._running:
            return
        cursor, asked = self._last
        engine = asked.engine
        if engine is None or engine.state is not EngineState.READY:
            return
        if asked.settings.completion.ahead and refuse(cursor, asked.name, asked.settings) is None:
            self._known.clear()
            self._ask(cursor, asked, engine, AHEAD_AFTER_S, foreseen=True)

    async def prepare(
        self, cursor: Cursor, name: str, settings: Settings, engine: Completer | None
    ) -> None:
        """Have the engine read what the prompts of a file that was opened begin with.

        Args:
            cursor: the file, its end where nobody knows better; nobody asked.
            name: the file's path in memory.
            settings: as they are now.
            engine: who is asked; None where it was stopped.
        """
        if engine is None or engine.state is not EngineState.READY or not settings.completion.ahead:
            return
        if refuse(cursor, name, settings) is None:
            try:
                await engine.prepare(build_request(cursor, name, settings, is_ahead=True))
            except (EngineGone, EngineError) as error:
                logger.info("%s was not read before it is asked about: %s", name, error)

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
            "known": suggestion.known,
            "stopReason": result.stop_reason if result else None,
            "confidence": result.confidence if result else None,
            "meanProbability": result.mean_probability if result else None,
            "ownLines": [result.first_line, result.last_line] if result else None,
            "timings": asdict(result.timings) if result else None,
            "sources": [asdict(source) for source in result.sources] if result else [],
            "definitions": [asdict(each) for each in result.definitions] if result else [],
        }

    async def _suggest(self, running: _Running, asked: "_Asked") -> Suggestion:
        cursor, engine = running.cursor, asked.engine
        reason = refuse(cursor, asked.name, asked.settings)
        if reason is not None:
            return no_suggestion(reason)
        if engine is None or engine.state is not EngineState.READY:
            return no_suggestion(f"engine_{engine.state.value if engine else 'stopped'}")
        try:
            known = self._known.find(cursor.place) if cursor.automatic else None
            is_known = known is not None
            answer = known or await self._answer(running, asked, engine)
        except EngineGone:
            return no_suggestion("engine_restarting")
        except EngineError as error:
            logger.error("no suggestion for %s: %s", asked.name, error)
            return no_suggestion("engine_error")
        if isinstance(answer, str):
            return no_suggestion(answer)
        suggestion = replace(to_suggestion(answer, cursor), known=is_known)
        if suggestion.text and asked.settings.completion.ahead:
            self._look_ahead(cursor, suggestion.text, asked, engine)
        return suggestion

    async def _answer(
        self, running: _Running, asked: "_Asked", engine: Completer
    ) -> CompletionResult | str:
        """What is left of an answer that is being written, or a new one; or why there is none."""
        cursor, place = running.cursor, running.cursor.place
        if not cursor.automatic:
            return await self._new_answer(running, asked, engine, 0.0)
        delay_s = self._rhythm.delay_s(asked.settings.trigger.debounce_ms / 1000)
        for work in self._works:
            typed = place.typed_since(work.place)
            if not (work.begun and work.runs) or typed is None:
                continue
            answer = await work.wait(running.ended, typed, max(delay_s, JOIN_S))
            if isinstance(answer, str):
                return answer
            rest = None if answer is None else rest_of(answer, typed)
            if rest is not None:
                return rest
            delay_s = 0.0
        return await self._new_answer(running, asked, engine, delay_s)

    async def _new_answer(
        self, running: _Running, asked: "_Asked", engine: Completer, delay_s: float
    ) -> CompletionResult | str:
        work = self._ask(running.cursor, asked, engine, delay_s, foreseen=False)
        answer = await work.wait(running.ended)
        assert answer is not None  # there is no limit
        return answer

    def _look_ahead(self, cursor: Cursor, text: str, asked: "_Asked", engine: Completer) -> None:
        """Ask for what would follow once the text is accepted, if nothing else is asked for."""
        snapshot, offset = cursor.snapshot, cursor.offset
        accepted = snapshot.text[:offset] + text + snapshot.text[offset:]
        then = replace(
            cursor,
            snapshot=replace(snapshot, text=accepted),
            offset=offset + len(text),
            automatic=True,
        )
        if (
            self._known.find(then.place) is None
            and refuse(then, asked.name, asked.settings) is None
        ):
            self._ask(then, asked, engine, AHEAD_AFTER_S, foreseen=True)

    def _ask(
        self, cursor: Cursor, asked: "_Asked", engine: Completer, delay_s: float, *, foreseen: bool
    ) -> EngineWork:
        """Begin to ask the engine, in place of everything that nobody waits for any more."""
        self._drop_unwanted()
        place, typed_on = cursor.place, asked.typed_on
        request = build_request(cursor, asked.name, asked.settings, is_ahead=foreseen)
        is_timed = cursor.automatic and not foreseen
        noted = partial(self._noted, place, request, engine, foreseen, is_timed)
        work = EngineWork(place, noted, delay_s, typed_on)
        self._works = [*(other for other in self._works if other.runs), work]
        return work

    async def _noted(
        self,
        place: Place,
        request: CompletionRequest,
        engine: Completer,
        foreseen: bool,
        is_timed: bool,
        tell: Tell,
    ) -> CompletionResult:
        """Return the engine's answer, which is known from then on.

        Where ``is_timed``, somebody who types waits for it, and how long it takes counts.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            result = await engine.complete(request, tell)
        except asyncio.CancelledError:
            if is_timed:
                self.times.note_given_up(loop.time() - began)
            raise
        seconds = loop.time() - began
        self._rhythm.note_answer(seconds)
        if is_timed and result.text:
            self.times.note(seconds)
        self._known.add(place, result, foreseen=foreseen)
        return result

    def _drop_unwanted(self) -> None:
        for work in self._works:
            work.end_if_unwanted()


@dataclass(frozen=True)
class _Asked:
    """With what a suggestion is asked for."""

    name: str
    settings: Settings
    engine: Completer | None
    typed_on: Callable[[], bool]
