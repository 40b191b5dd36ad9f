"""Writes records to the file of statistics, on a thread, a moment after they changed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from longllama_code.errors import LongLlamaError
from lsp_server.reasons import reason_of
from lsp_server.statistics.database import KEPT_S, StatisticsFile
from lsp_server.statistics.record import Record
from lsp_server.tasks import BackgroundTasks, retrieve_exception

WRITE_AFTER_S = 0.3
"""Time in which changes of records are collected before they are written."""
BEGIN_S = 10.0
"""Longest wait of a request for `RecordWriter.begin`: clients ask while the session begins."""

T = TypeVar("T")


class RecordWriter:
    """Owner of the connection to the file. Lives on the event loop, and blocks nothing there.

    Args:
        on_problem: called with a reason where the file cannot be used; nothing is kept then, until
            `begin`.
        on_message: called with a message for the user, where a damaged file was set aside.
    """

    def __init__(
        self, on_problem: Callable[[str], None], on_message: Callable[[str], None]
    ) -> None:
        self._on_problem, self._on_message = on_problem, on_message
        self._cache: Path | None = None
        self._file: StatisticsFile | None = None
        self._new: dict[int, Record] = {}
        self._changed: dict[int, Record] = {}
        self._written: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[Any]] = set()
        self._lock = asyncio.Lock()
        self._has_begun = asyncio.Event()
        self._background = BackgroundTasks()

    async def begin(self, cache: Path) -> None:
        """Use the file in a cache folder from now on; it is opened when it is needed."""
        await self.flush()
        async with self._lock:
            if cache != self._cache:
                await self._close()
            self._cache = cache
        self._has_begun.set()

    def keep(self, record: Record) -> None:
        """Write a record soon, or what changed of it."""
        if self._cache is None:
            return
        target = self._changed if record.id in self._written else self._new
        target[record.id] = record
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER_S, self._on_timer)

    async def flush(self) -> None:
        """Write what has not been written yet."""
        self._cancel_timer()
        if self._new or self._changed:
            await self.run(lambda _: None)

    async def run(self, work: Callable[[StatisticsFile], T]) -> T | None:
        """Do something with the file on a thread, after all that waits is written.

        Waits for `begin`. It is done even if the caller is cancelled. None if the file cannot be
        used.
        """
        task = asyncio.ensure_future(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(retrieve_exception)
        return await asyncio.shield(task)

    async def _run(self, work: Callable[[StatisticsFile], T]) -> T | None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._has_begun.wait(), BEGIN_S)
        async with self._lock:
            new, self._new = self._new, {}
            changed, self._changed = self._changed, {}
            if self._cache is None:
                return None
            self._written.update(new)
            try:
                found = await asyncio.to_thread(
                    self._write_and, _copies(new), _copies(changed), work
                )
            except LongLlamaError as error:
                await self._give_up(reason_of(error))
                return None
        if self._file is not None and self._file.message:
            self._on_message(self._file.message)
            self._file.message = ""
        return found

    async def clear(self) -> int | None:
        """Remove all records, also those that wait; None if the file cannot be used."""
        self._new.clear()
        self._changed.clear()
        return await self.run(StatisticsFile.clear)

    async def end(self) -> None:
        """Write what waits, and close the file."""
        self._has_begun.set()
        await self.flush()
        async with self._lock:
            await self._close()

    def _write_and(
        self, new: list[Record], changed: list[Record], work: Callable[[StatisticsFile], T]
    ) -> T:
        """Write records and do something else with the file. Runs on a thread."""
        assert self._cache is not None
        if self._file is None:
            self._file = StatisticsFile(self._cache)
            self._file.remove_older_than(time.time() - KEPT_S)
        if new or changed:
            self._file.write(new, changed)
        return work(self._file)

    async def _give_up(self, reason: str) -> None:
        self._on_problem(reason)
        await self._close()
        self._cache = None

    async def _close(self) -> None:
        file, self._file = self._file, None
        self._written.clear()
        if file is not None:
            await asyncio.to_thread(file.close)

    def _on_timer(self) -> None:
        self._timer = None
        self._background.start(self.flush())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _copies(records: dict[int, Record]) -> list[Record]:
    """Return records as they are now: the event loop goes on changing them."""
    return [replace(record) for record in records.values()]
