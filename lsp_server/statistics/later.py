"""Looks at accepted texts some time later: are they still there?"""

import asyncio
from collections.abc import Callable
from typing import Literal

from longllama_code.source_files.model_text import model_text
from lsp_server.statistics.counter import MAX_DOCUMENT_CHARS
from lsp_server.statistics.offer import Offer
from lsp_server.statistics.record import Record, Survival
from lsp_server.statistics.survival import is_still_there
from lsp_server.tasks import BackgroundTasks

Look = Literal["after_30_s", "after_5_min"]
LOOKS: dict[Look, float] = {"after_30_s": 30.0, "after_5_min": 300.0}
"""Seconds after which an accepted text is looked for."""


class LaterLooks:
    """Owner of the timers, which keep no process alive.

    Args:
        text_of: returns the text of an open document; None if it is not open.
        keep: called with each record that has changed.
    """

    def __init__(
        self, text_of: Callable[[str], str | None], keep: Callable[[Record], None]
    ) -> None:
        self._text_of, self._keep = text_of, keep
        self._pending: dict[tuple[int, Look], tuple[Record, asyncio.TimerHandle]] = {}
        self._tasks = BackgroundTasks()

    def follow(self, offer: Offer, number: int, record: Record) -> None:
        """Look later at what was accepted of a suggestion; anew, if more of it was accepted."""
        loop, then = asyncio.get_running_loop(), offer.with_part(record.n_accepted, number)
        start = len(offer.before)
        for look, seconds in LOOKS.items():
            if pending := self._pending.get((record.id, look)):
                pending[1].cancel()
            arguments = (look, record, offer.uri, then, start)
            timer = loop.call_later(seconds, self._look, *arguments)
            self._pending[record.id, look] = record, timer

    def end(self) -> None:
        """Look no more: what was not looked at by now remains unknown."""
        for (_, look), (record, timer) in self._pending.items():
            timer.cancel()
            self._note(look, record, "unknown")
        self._pending.clear()

    def forget(self) -> None:
        """Look no more, and note nothing."""
        for _, timer in self._pending.values():
            timer.cancel()
        self._pending.clear()

    def _look(self, look: Look, record: Record, uri: str, then: str, start: int) -> None:
        del self._pending[record.id, look]
        now = self._text_of(uri)
        if now is None or len(now) > MAX_DOCUMENT_CHARS:
            self._note(look, record, "unknown")
        else:
            self._tasks.start(self._compare(look, record, then, start, now))

    async def _compare(self, look: Look, record: Record, then: str, start: int, now: str) -> None:
        """Compare two versions of a document, on a thread."""
        is_there = await asyncio.to_thread(
            lambda: is_still_there(then, start, start + record.n_accepted, model_text(now))
        )
        self._note(look, record, "there" if is_there else "gone")

    def _note(self, look: Look, record: Record, found: Survival) -> None:
        setattr(record, look, found)
        self._keep(record)
