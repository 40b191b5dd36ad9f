"""Statistics of one session: what is counted, looked at again later, kept and summed up."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from lsp_server.problems import STATISTICS, Problems
from lsp_server.settings.declarations import Settings
from lsp_server.statistics.adaptive import WINDOW_S, adapted_floor
from lsp_server.statistics.counter import Shown, SuggestionCounter
from lsp_server.statistics.database import StatisticsFile
from lsp_server.statistics.later import LaterLooks
from lsp_server.statistics.record import Record, model_hash
from lsp_server.statistics.requests import RequestCounter
from lsp_server.statistics.summary import summary
from lsp_server.statistics.writer import RecordWriter

DAY_S = 86_400.0
ADAPT_EVERY_S = 300.0
"""Time after which the threshold is found anew from what was counted since."""


class Statistics:
    """Owner of a session's statistics, from `begin` to `end`. Lives on the event loop.

    Args:
        text_of: returns the text of an open document; None if it is not open.
        problems: told where the file cannot be used.
        warn: shows a message to the user.
    """

    def __init__(
        self,
        text_of: Callable[[str], str | None],
        problems: Problems,
        warn: Callable[[str], None],
    ) -> None:
        self._problems = problems
        self._writer = RecordWriter(lambda reason: problems.note(STATISTICS, reason), warn)
        self._later = LaterLooks(text_of, self._writer.keep)
        self.counter = SuggestionCounter(text_of, self._writer.keep, self._was_accepted)
        """What handlers of messages report to."""
        self.requests = RequestCounter(self._writer.keep)
        """What doors report to whose clients only ask."""
        self.min_confidence = 0
        """What the statistics suggest as the least confidence, in percent; 0: nothing."""
        self._model = ""
        self._adapting: asyncio.Task[None] | None = None

    async def begin(self, settings: Settings) -> None:
        """Count from now on, as far as the settings want it. Raises what keeps it from that."""
        await self._stop_adapting()
        self.counter.is_on = self.requests.is_on = settings.statistics.enable
        self._model = settings.model.path
        self._problems.solved(STATISTICS)
        if settings.trigger.adaptive:
            self._adapting = asyncio.create_task(self._keep_adapting())
        try:
            await self._writer.begin(settings.memory.folder)
        except Exception:
            if self.counter.is_on:
                raise

    async def end(self) -> None:
        """Write what is known, and count nothing more."""
        await self._stop_adapting()
        self.counter.end()
        self._later.end()
        self.counter.is_on = self.requests.is_on = False
        await self._writer.end()

    async def summary(self, days: float | None = None) -> dict[str, Any]:
        """Return what was counted by all windows, of the last days if a number is given."""
        since = 0.0 if days is None else time.time() - days * DAY_S
        found = await self._writer.run(lambda file: file.records(since))
        return {"enabled": self.counter.is_on, "last_days": days, **summary(found or [])}

    async def clear(self) -> int | None:
        """Remove what was counted by all windows; return how many suggestions that were.

        None if the file cannot be used.
        """
        self.counter.forget()
        self.requests.forget()
        self._later.forget()
        self.min_confidence = 0
        return await self._writer.clear()

    def _was_accepted(self, shown: Shown, record: Record) -> None:
        self._later.follow(shown.offer, shown.number, record)

    async def _keep_adapting(self) -> None:
        while True:
            self.min_confidence = await self._writer.run(self._adapted) or 0
            await asyncio.sleep(ADAPT_EVERY_S)

    def _adapted(self, file: StatisticsFile) -> int:
        records = file.records(time.time() - WINDOW_S)
        return adapted_floor(records, model_hash(self._model))

    async def _stop_adapting(self) -> None:
        task, self._adapting = self._adapting, None
        self.min_confidence = 0
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
