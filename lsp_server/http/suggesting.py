"""From a request over HTTP to the session's suggestion, and to what of it the client gets."""

import asyncio
import time
from dataclasses import dataclass, replace

from longllama_code.protocol import Timings
from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.http.asked import Asked, Cut, cut
from lsp_server.http.errors import Refused, unavailable
from lsp_server.http.files import Files
from lsp_server.http.text_match import extended
from lsp_server.session import Session
from lsp_server.statistics.offer import Offer
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.suggestion import Suggestion

TRY_AGAIN = frozenset({"superseded", "shutting_down", "engine_restarting", "engine_stopped"})
"""Reason codes of requests that may have another answer later; clients keep empty answers."""
MAX_READ_S = 120.0
"""Time that a text is read at most before an empty answer is given."""
NO_WORK = Timings()


@dataclass(frozen=True)
class Answered:
    """What a client gets for a request."""

    asked: Asked
    model: str
    texts: tuple[Cut, ...]
    """Suggestions, the best first; one with an empty text if there are none."""
    reason: str | None = None
    """Reason code for no suggestion; None if there is one."""
    stop_reason: str | None = None
    """Why the engine ended the text; None if it was not asked."""
    timings: Timings = NO_WORK
    is_known: bool = False
    """Whether an earlier answer was reused: the engine did no work."""

    @property
    def was_cut_off(self) -> bool:
        """Whether the text ends at a limit, not where it is complete."""
        return self.stop_reason in ("max_tokens", "deadline") and not self.texts[0].stopped_by


class Suggesting:
    """The door of HTTP requests to a session. Lives on the event loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = Files(session)
        self._model: tuple[object, str] | None = None
        """An engine, and the name of its model."""

    async def answer(self, asked: Asked) -> Answered:
        """Return the suggestion at a cursor. Cancelling the call ends the engine's work for it.

        Raises:
            Refused: nothing can be suggested now.
        """
        self.require_engine()
        started = time.monotonic()
        cursor, model = await self._cursor(asked), await self.model()
        self._session.statistics.requests.requested(cursor.uri, cursor.prefix)
        suggestion = await self._suggestion(cursor)
        if suggestion.reason in TRY_AGAIN:
            raise unavailable(f"there is no answer now ({suggestion.reason}); ask again.")
        if suggestion.reason == "engine_error":
            raise Refused(500, "server_error", "the model failed; the server's log has the reason.")
        answered = _answered(asked, model, suggestion)
        if answered.texts[0].text:
            self._count(cursor, answered, suggestion, time.monotonic() - started)
        return answered

    async def read_ahead(self, asked: Asked) -> Answered:
        """Have the engine read the text around a cursor, before anything is asked there."""
        self.require_engine()
        session = self._session
        if asked.before.strip():
            cursor = replace(await self._cursor(asked), is_automatic=True)
            session.suggester.cursor_moved(cursor, session.settings, session.engine)
        return Answered(asked, await self.model(), (Cut(""),))

    def require_engine(self) -> None:
        """Refuse a request while no suggestion can be made, unless the settings say so.

        Raises:
            Refused: the engine is not ready, or has failed.
        """
        session = self._session
        if session.folders.roots is None:
            raise unavailable("no language client has opened a folder yet; ask again then.")
        if not session.settings.enable:
            return
        engine = session.engine
        failure = session.problems.failure or (
            engine.message if engine is not None and engine.state is EngineState.FAILED else ""
        )
        if failure:
            raise Refused(500, "server_error", f"the model cannot be run: {failure}")
        if engine is None or engine.state is not EngineState.READY:
            raise unavailable("Loading model")

    async def model(self) -> str:
        """Return the name of the model; what the settings name until it is loaded."""
        engine, name = self._session.engine, self._session.settings.model.path
        if engine is None or engine.state is not EngineState.READY:
            return name
        if self._model is None or self._model[0] is not engine:
            try:
                self._model = (engine, (await engine.status()).model)
            except (EngineGone, EngineError):
                return name
        return self._model[1]

    async def _suggestion(self, cursor: CursorContext) -> Suggestion:
        """Return the session's suggestion, once the text is read.

        That may take longer than ``completion.timeoutMs`` where a file is new. An editor over LSP
        asks again at the next key; these clients wait, and some keep an empty answer.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + MAX_READ_S
        while True:
            suggestion = await self._session.suggest(cursor)
            if suggestion.reason != "deadline" or loop.time() > ends:
                return suggestion

    def _count(
        self, cursor: CursorContext, answered: Answered, suggestion: Suggestion, seconds: float
    ) -> None:
        """Have it counted what becomes of a suggestion, as far as later requests show it."""
        indentation, result = answered.asked.indentation, suggestion.result
        texts = [each.text.removeprefix(indentation) for each in answered.texts]
        self._session.statistics.requests.answered(
            Offer(
                id=suggestion.id,
                uri=cursor.uri,
                language=cursor.language,
                before=cursor.prefix,
                after=cursor.suffix,
                fits=tuple(Fit(text) for text in texts[: answered.asked.limits.n_candidates]),
                latency_ms=round(1000 * seconds),
                is_automatic=cursor.is_automatic,
                probability=result.probability if result is not None else 0.0,
                model=self._session.settings.model.path,
            )
        )

    async def _cursor(self, asked: Asked) -> CursorContext:
        place = await self._files.place(asked)
        before, after = asked.before, asked.after
        if place.text is not None:
            before, after = await asyncio.to_thread(extended, before, after, place.text)
        cursor = self._session.cursor(
            place.document, before, after, is_automatic=asked.is_automatic
        )
        return replace(cursor, limits=asked.limits)


def _answered(asked: Asked, model: str, suggestion: Suggestion) -> Answered:
    """Return a suggestion as a client gets it, which can insert, but replace nothing."""
    texts = (suggestion.insertion, *(fit.insertion for fit in suggestion.alternatives))
    cuts = [found for text in texts if (found := cut(text, asked)).text]
    result = suggestion.result
    return Answered(
        asked,
        model,
        tuple(dict.fromkeys(cuts)) or (Cut(""),),
        reason=suggestion.reason or (None if cuts else "cut_off"),
        stop_reason=None if result is None else result.stop_reason,
        timings=NO_WORK if result is None else result.timings,
        is_known=suggestion.is_cached,
    )
