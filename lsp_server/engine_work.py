"""One request to the engine, for whoever waits for its answer."""

import asyncio
from collections.abc import Awaitable, Callable

from longllama_code.protocol import CompletionResult
from lsp_server.known_answers import Place

GRACE_S = 0.25
"""How long a request that its client has withdrawn goes on, where the user typed on: the next
request may ask for the rest of its answer."""


class EngineWork:
    """A request that runs as long as its answer may be of use.

    Args:
        place: where it was asked for.
        work: asks the engine.
        delay_s: quiet time before the engine is asked.
        typed_on: whether text was added at the cursor since.
    """

    def __init__(
        self,
        place: Place,
        work: Callable[[], Awaitable[CompletionResult]],
        delay_s: float,
        typed_on: Callable[[], bool],
    ) -> None:
        self.place = place
        self.begun = False
        """Whether the engine was asked."""
        self._typed_on = typed_on
        self._n_waiting = 0
        self._task = asyncio.create_task(self._run(work, delay_s))
        self._task.add_done_callback(_look_at)

    @property
    def runs(self) -> bool:
        """Whether there may still be an answer."""
        return not self._task.done()

    async def wait(
        self, ended: "asyncio.Future[str]", timeout_s: float | None = None
    ) -> CompletionResult | str | None:
        """The answer; if the end comes first, its reason; None where time is up before.

        Args:
            ended: gets the reason why nobody waits any more.
            timeout_s: how long to wait; absent, for as long as it takes.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: it failed over this request.
        """
        self._n_waiting += 1
        try:
            await asyncio.wait(
                [ended, self._task], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if self._task.done():
                return self._task.result()
            return ended.result() if ended.done() else None
        finally:
            self._n_waiting -= 1
            if self.runs:
                self._leave(ended)

    def end_if_unwanted(self) -> None:
        """Have the engine stop, where nobody waits."""
        if not self._n_waiting:
            self._task.cancel()

    def _leave(self, ended: "asyncio.Future[str]") -> None:
        """Nobody may wait any more, though the answer is not there."""
        if not ended.done() and self._typed_on():
            asyncio.get_running_loop().call_later(GRACE_S, self.end_if_unwanted)
        else:
            self.end_if_unwanted()

    async def _run(
        self, work: Callable[[], Awaitable[CompletionResult]], delay_s: float
    ) -> CompletionResult:
        if delay_s:
            await asyncio.sleep(delay_s)
        self.begun = True
        return await work()


def _look_at(task: "asyncio.Task[CompletionResult]") -> None:
    """Take note of a failure that nobody waits for."""
    if not task.cancelled():
        task.exception()
