"""An answer that the engine is working on, shared by all requests that wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

from longllama_code.protocol import CompletionResult, OnProgress
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.pending_request import PendingRequest, RequestEnded
from lsp_server.tasks import retrieve_exception

GRACE_S = 0.25
"""Time that the engine goes on after the client withdrew a request because the user typed on: the
next request may need the rest of the same answer."""


class PendingAnswer:
    """A call of the engine, which goes on as long as its answer may be useful.

    Args:
        request: the request that the engine is asked to answer.
        ask: calls the engine; its argument is to be called with the text of the answer as it grows.
        delay_s: quiet time in seconds before the engine is asked.
    """

    def __init__(
        self,
        request: PendingRequest,
        ask: Callable[[OnProgress], Awaitable[CompletionResult]],
        delay_s: float,
    ) -> None:
        self.request = request
        self._was_asked = False
        self._is_cancelled = False
        """Whether the task was told to end, which it does a moment later."""
        self._n_waiting = 0
        self._text = ""
        """Beginning of the answer that is known so far."""
        self._progress = asyncio.get_running_loop().create_future()
        """Done once the text has grown; replaced each time."""
        self._task = asyncio.create_task(self._run(ask, delay_s))
        self._task.add_done_callback(retrieve_exception)

    @property
    def is_running(self) -> bool:
        """Whether there may still be an answer."""
        return not self._is_cancelled and not self._task.done()

    @property
    def is_being_written(self) -> bool:
        """Whether the engine was asked and has not answered."""
        return self._was_asked and self.is_running

    def is_for(self, cursor: CursorContext) -> bool:
        """Whether this will be the answer at a cursor."""
        return self.is_running and cursor.typed_since(self.request.cursor) == ""

    async def wait(self, request: PendingRequest) -> CompletionResult:
        """Return the answer, however long it takes.

        Raises:
            RequestEnded: the request ended first.
            EngineGone: the engine died before it answered.
            EngineError: it failed over this request.
        """
        answer = await self._wait(request, "", 0.0)
        assert answer is not None  # every text begins with an empty one
        return answer

    async def join(
        self, request: PendingRequest, typed: str, timeout_s: float
    ) -> CompletionResult | None:
        """Return the answer if it begins with what was typed since the engine was asked.

        None if it begins otherwise, or if that is still unknown after `timeout_s` seconds. Raises
        as `wait` does.
        """
        return await self._wait(request, typed, timeout_s)

    def cancel_if_unwanted(self) -> None:
        """Have the engine stop if no request waits for the answer."""
        if not self._n_waiting:
            self._is_cancelled = True
            self._task.cancel()

    async def _wait(
        self, request: PendingRequest, typed: str, timeout_s: float
    ) -> CompletionResult | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        self._n_waiting += 1
        try:
            while (matches := self._matches(typed)) is not False:
                left_s = None if matches else deadline - loop.time()
                if left_s is not None and left_s <= 0:
                    break
                awaited = [request.ended, self._task, self._progress]
                await asyncio.wait(awaited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if self._task.done():
                    return self._task.result()
                if request.ended.done():
                    raise RequestEnded(request.ended.result())
            return None
        finally:
            self._n_waiting -= 1
            self._leave(request, typed)

    def _matches(self, typed: str) -> bool | None:
        """Whether the answer begins with what was typed; None while too little is written."""
        if self._text.startswith(typed):
            return True
        return None if typed.startswith(self._text) else False

    def _leave(self, request: PendingRequest, typed: str) -> None:
        """Cancel an answer that is no longer waited for, at once or after `GRACE_S`."""
        if not self.is_running:
            return
        was_withdrawn = not request.ended.done() and self._matches(typed) is not False
        if was_withdrawn and self.request.was_typed_on():
            asyncio.get_running_loop().call_later(GRACE_S, self.cancel_if_unwanted)
        else:
            self.cancel_if_unwanted()

    async def _run(
        self, ask: Callable[[OnProgress], Awaitable[CompletionResult]], delay_s: float
    ) -> CompletionResult:
        if delay_s:
            await asyncio.sleep(delay_s)
        self._was_asked = True
        return await ask(self._note_progress)

    def _note_progress(self, text: str) -> None:
        self._text = text
        self._progress.set_result(None)
        self._progress = asyncio.get_running_loop().create_future()
