"""Progress bar of indexing."""

import asyncio

from pygls.lsp.server import LanguageServer

from lsp_server.indexing.file_table import Status
from lsp_server.indexing.throughput import MANY_FILES, as_text, percent
from lsp_server.notices.progress_bar import ProgressBar, shows_progress_bars
from lsp_server.session import Session
from lsp_server.status.report import WORKS

REPORT_INTERVAL_S = 0.1


class IndexingProgress:
    """Shows a progress bar whenever many files wait; cancelling it pauses the indexer."""

    def __init__(self, server: LanguageServer, session: Session) -> None:
        self._server = server
        self._session = session
        self._status: Status | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_refused = False

    def update(self, status: Status) -> None:
        """Take in a new status, and show a bar if it calls for one."""
        self._status = status
        is_shown = self._task is not None and not self._task.done()
        is_long = self._indexing_status() is not None and status.files.waiting >= MANY_FILES
        if is_long and not is_shown and self._may_show():
            self._task = asyncio.create_task(self._show())

    async def _show(self) -> None:
        """Show a bar from beginning to end, in one task, so that nothing is sent out of order."""
        bar = await ProgressBar.create(self._server)
        if bar is None:
            self._is_refused = True
            return
        bar.on_cancel(self._pause)
        await self._follow(bar)
        bar.end()

    async def _follow(self, bar: ProgressBar) -> None:
        if (status := self._indexing_status()) is None:
            return  # indexing has ended meanwhile
        percentage = _percentage(status)
        bar.begin("Reading the repository", percentage, _message(status))
        while (status := self._indexing_status()) is not None:
            # Files that are found meanwhile must not move the bar back.
            percentage = max(percentage, _percentage(status))
            bar.report(percentage, _message(status))
            await asyncio.sleep(REPORT_INTERVAL_S)

    def _indexing_status(self) -> Status | None:
        """Return the last status if it is one of indexing."""
        is_indexing = self._status is not None and self._status.phase == "indexing"
        return self._status if is_indexing else None

    def _may_show(self) -> bool:
        return not self._is_refused and shows_progress_bars(self._server)

    def _pause(self) -> None:
        if self._session.indexer is not None:
            self._session.indexer.pause()


def _percentage(status: Status) -> int:
    return percent(status.progress or 0.0)


def _message(status: Status) -> str:
    return f"{as_text(status.progress, status.seconds_left)}; {WORKS}"
