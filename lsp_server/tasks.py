"""Tasks that run in the background, and futures that nobody may wait for."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class BackgroundTasks:
    """Owner of running tasks: the event loop itself keeps no reference, so they could vanish."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine while everything else goes on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def retrieve_exception(future: "asyncio.Future[Any] | Any") -> None:
    """Mark the exception of a finished future as retrieved.

    A done callback for futures that may have no waiter: asyncio logs an error for an exception that
    nobody retrieved. Accepts futures of `concurrent.futures` as well.
    """
    if not future.cancelled():
        future.exception()
