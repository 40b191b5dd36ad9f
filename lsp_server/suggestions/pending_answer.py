"""One request to the engine, for whoever waits for its answer."""

import asyncio
from collections.abc import Awaitable, Callable

from longllama_code.protocol import CompletionResult
from lsp_server.suggestions.answer_cache import Place

GRACE_S = 0.25
"""How long a request that its client has withdrawn goes on, where the user typed on: the next
request may ask for the rest of its answer."""


class EngineWork:
    """A request that runs as long as its answer may be of use.

    Args:
        place: where it was asked for.
        work: asks the engine; what it is given is to be told the answer as it grows.
        delay_s: quiet time before the engine is asked.
        typed_on: whether text was added at the cursor since.
    """

    def __init__(
        self,
        place: Place,
        work: Callable[[Callable[[str], None]], Awaitable[CompletionResult]],
        delay_s: float,
        typed_on: Callable[[], bool],
    ) -> None:
        self.place = place
        self.begun = False
        """Whether the engine was asked."""
        self._typed_on = typed_on
        self._n_waiting = 0
        self._so_far = ""
        self._grown = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(work, delay_s))
        self._task.add_done_callback(_look_at)

    @property
    def runs(self) -> bool:
        """Whether there may still be an answer."""
        return not self._task.done()

    async def wait(
        self, ended: "asyncio.Future[str]", typed: str = "", timeout_s: float | None = None
    ) -> CompletionResult | str | None:
        """The answer; if the end comes first, its reason; None where it will not be of use.

        Args:
            ended: gets the reason why nobody waits any more.
            typed: what was typed since: an answer that does not begin so is of no use.
            timeout_s: how long to wait for it to be seen whether it does; absent, for as long as
                it takes.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: it failed over this request.
        """
        loop, self._n_waiting = asyncio.get_running_loop(), self._n_waiting + 1
        until = None if timeout_s is None else loop.time() + timeout_s
        fits = self._fits(typed)
        try:
            while fits is not False:
                left = None if fits or until is None else until - loop.time()
                if left is not None and left <= 0:
                    break
                awaited = [ended, self._task, self._grown]
                await asyncio.wait(awaited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if self._task.done():
                    return self._task.result()
                if ended.done():
                    return ended.result()
                fits = self._fits(typed)
            return None
        finally:
            self._n_waiting -= 1
            if fits is False:
                self.end_if_unwanted()
            elif self.runs:
                self._leave(ended)

    def end_if_unwanted(self) -> None:
        """Have the engine stop, where nobody waits."""
        if not self._n_waiting:
            self._task.cancel()

    def _fits(self, typed: str) -> bool | None:
        """Whether the answer begins with what was typed; None where that is not written yet."""
        if self._so_far.startswith(typed):
            return True
        return None if typed.startswith(self._so_far) else False

    def _tell(self, text: str) -> None:
        self._so_far = text
        self._grown.set_result(None)
        self._grown = asyncio.get_running_loop().create_future()

    def _leave(self, ended: "asyncio.Future[str]") -> None:
        """Nobody may wait any more, though the answer is not there."""
        if not ended.done() and self._typed_on():
            asyncio.get_running_loop().call_later(GRACE_S, self.end_if_unwanted)
        else:
            self.end_if_unwanted()

    async def _run(
        self,
        work: Callable[[Callable[[str], None]], Awaitable[CompletionResult]],
        delay_s: float,
    ) -> CompletionResult:
        if delay_s:
            await asyncio.sleep(delay_s)
        self.begun = True
        return await work(self._tell)


def _look_at(task: "asyncio.Task[CompletionResult]") -> None:
    """Take note of a failure that nobody waits for."""
    if not task.cancelled():
        task.exception()
