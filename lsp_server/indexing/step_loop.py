"""Loop of a task that takes steps of work one after the other, and goes on when one fails.

A step is a coroutine that others may run beside, but no other step. A few failures in a row end the
work, until somebody asks for it again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress

logger = logging.getLogger(__name__)

MAX_FAILURES = 3
"""Steps that may fail one after the other; then the work ends until it is asked for again."""
CHECK_EVERY_S = 1.0
"""Time between two looks for a step while there is work, should nobody have called."""

Step = Callable[[], Coroutine[None, None, None]]


class StepLoop:
    """Owner of the task, of the error of its last step and of the count of failures.

    Args:
        next_step: returns the next step; None while there is none.
        is_busy: returns whether there is work, though perhaps no step now.
        on_change: called after each step, and whenever the work changes.
    """

    def __init__(
        self,
        next_step: Callable[[], Step | None],
        is_busy: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._next_step, self._is_busy, self._on_change = next_step, is_busy, on_change
        self.error: BaseException | None = None
        """Error of the last step that failed, until `solved`."""
        self.in_step = False
        """Whether a step is under way."""
        self._n_failures = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_started(self) -> bool:
        """Whether there is a task, be it one that failed."""
        return self._task is not None

    @property
    def has_given_up(self) -> bool:
        """Whether no step is taken any more, as steps failed; see `error`."""
        return self._n_failures >= MAX_FAILURES

    def start(self) -> None:
        """Take steps from now on."""
        self._task = asyncio.create_task(self._run(), name="indexer")
        self._task.add_done_callback(self._note_end)

    async def stop(self) -> None:
        """Cancel the step that is under way, and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def give_up(self) -> None:
        """Take no step until `try_again`."""
        self._n_failures = MAX_FAILURES

    def try_again(self) -> None:
        """Take steps again after failures; without a task nobody would, and all would wait."""
        if self._task is not None:
            self._n_failures = 0

    def solved(self) -> None:
        """Forget the error, as what failed works again."""
        self.error = None

    def wake_up(self) -> None:
        """Have the task look for its next step; begin again if it failed."""
        if self._task is not None and self._task.done():
            self.start()  # it failed
        self._wake.set()
        self._tell()

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        """Note why the task ended, if nobody stopped it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.error = error
            self.give_up()
            self._tell()

    def _tell(self) -> None:
        """Tell of a change; whoever fails to hear of it does not stop the work."""
        try:
            self._on_change()
        except Exception:
            logger.exception("a change of the index could not be told")

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                step = None if self.has_given_up else self._next_step()
                if step is not None:
                    self.in_step = True
                    await step()
            except Exception as error:  # the next step may succeed
                logger.exception("a step of indexing failed; indexing continues")
                self.error, self._n_failures = error, self._n_failures + 1
            else:
                if step is None:
                    await self._wait()
                    continue
                self._n_failures = 0
            finally:
                self.in_step = False
            self._tell()
            await asyncio.sleep(0)  # a step may not have waited for anything; let others run

    async def _wait(self) -> None:
        """Wait until there may be another step; look by oneself while there is work."""
        self._tell()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), CHECK_EVERY_S if self._is_busy() else None)
