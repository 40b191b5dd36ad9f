"""$/progress for indexing: created by the server, moved a few times a second, cancellable."""

import asyncio
import uuid
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.indexing.file_table import Status
from lsp_server.indexing.throughput import as_text

if TYPE_CHECKING:
    from lsp_server.server import Server

MIN_FILES = 5
"""Fewer are no matter for a bar: after most edits, one file waits for a moment."""
REPORT_EVERY_S = 0.1


class IndexingProgress:
    """One bar for each stretch of indexing; the user's cancel pauses the indexer."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._status: Status | None = None
        self._token: str | None = None
        self._bar: asyncio.Task[None] | None = None
        self._is_refused = False

        @server.feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
        def cancel(params: types.WorkDoneProgressCancelParams) -> None:
            if params.token == self._token and server.session.indexer is not None:
                server.session.indexer.pause()

    def update(self, status: Status) -> None:
        """Take note of the status, and put up a bar where one is called for."""
        self._status = status
        is_up = self._bar is not None and not self._bar.done()
        is_long = self._indexing() is not None and status.files.waiting >= MIN_FILES
        if is_long and not is_up and self._is_wanted():
            self._bar = asyncio.create_task(self._show())

    async def _show(self) -> None:
        """A bar from beginning to end. One task does it all, so nothing can come out of order."""
        progress = self._server.work_done_progress
        token = self._token = await create_bar(self._server)
        if token is None:
            self._is_refused = True
            return
        if (status := self._indexing()) is None:
            return  # it was a short stretch
        share = _percentage(status)
        begin = types.WorkDoneProgressBegin(
            title="Indexing", cancellable=True, percentage=share, message=_message(status)
        )
        progress.begin(token, begin)
        while (status := self._indexing()) is not None:
            share = max(share, _percentage(status))  # files may be found on the way
            report = types.WorkDoneProgressReport(
                message=_message(status), percentage=share, cancellable=True
            )
            progress.report(token, report)
            await asyncio.sleep(REPORT_EVERY_S)
        progress.end(token, types.WorkDoneProgressEnd())
        progress.tokens.pop(token, None)

    def _indexing(self) -> Status | None:
        """The status, while it is one of indexing."""
        is_indexing = self._status is not None and self._status.phase == "indexing"
        return self._status if is_indexing else None

    def _is_wanted(self) -> bool:
        return not self._is_refused and shows_bars(self._server)


def shows_bars(server: "Server") -> bool:
    """Whether the client says that it does."""
    window = server.client_capabilities.window
    return window is not None and bool(window.work_done_progress)


async def create_bar(server: "Server") -> str | None:
    """The token of a bar that may begin now; None where the client refuses."""
    token = str(uuid.uuid4())
    try:
        # Shielded: the answer to a request that was cancelled is an error to pygls.
        creation = server.work_done_progress.create_async(token)
        await asyncio.shield(asyncio.ensure_future(creation))
    except JsonRpcException:
        return None
    return token


def _percentage(status: Status) -> int:
    done, waiting = status.files.in_memory, status.files.waiting
    return 100 * done // max(1, done + waiting)


def _message(status: Status) -> str:
    total = status.files.in_memory + status.files.waiting
    pace = as_text(status.tokens_per_second, status.seconds_left)
    return f"{status.files.in_memory}/{total} files, {status.files.tokens:,} tokens{pace}"
