"""$/progress for indexing: created by the server, reported file by file, cancellable."""

import time
import uuid
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.session import Status

if TYPE_CHECKING:
    from lsp_server.server import Server

REPORT_EVERY_S = 0.1


class IndexingProgress:
    """One bar for each stretch of indexing; the user's cancel pauses the indexer."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._token: str | None = None
        self._reported_at = 0.0

        @server.feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
        def cancel(params: types.WorkDoneProgressCancelParams) -> None:
            if params.token == self._token and server.session.indexer is not None:
                server.session.indexer.pause()

    def update(self, status: Status) -> None:
        """Begin, move or end the bar."""
        if status.phase == "indexing" and status.files.waiting:
            self._begin_or_report(status)
        elif self._token is not None and status.phase != "indexing":
            self._end()

    def _begin_or_report(self, status: Status) -> None:
        if not self._is_wanted():
            return
        if self._token is None:
            self._token = str(uuid.uuid4())
            begin = types.WorkDoneProgressBegin(
                title="Indexing", cancellable=True, percentage=0, message=_message(status)
            )
            token = self._token
            self._server.work_done_progress.create(
                token, lambda _: self._server.work_done_progress.begin(token, begin)
            )
        elif time.monotonic() - self._reported_at > REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            report = types.WorkDoneProgressReport(
                message=_message(status), percentage=_percentage(status), cancellable=True
            )
            self._server.work_done_progress.report(self._token, report)

    def _end(self) -> None:
        token, self._token = self._token, None
        if token is not None:
            self._server.work_done_progress.end(token, types.WorkDoneProgressEnd())
            self._server.work_done_progress.tokens.pop(token, None)

    def _is_wanted(self) -> bool:
        window = self._server.client_capabilities.window
        return window is not None and bool(window.work_done_progress)


def _percentage(status: Status) -> int:
    done, waiting = status.files.in_memory, status.files.waiting
    return 100 * done // max(1, done + waiting)


def _message(status: Status) -> str:
    total = status.files.in_memory + status.files.waiting
    return f"{status.files.in_memory}/{total} files, {status.files.tokens} tokens"
