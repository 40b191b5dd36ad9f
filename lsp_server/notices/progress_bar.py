"""Progress bars that the server creates (``window/workDoneProgress``) and the user may cancel."""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import Future

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer


def shows_progress_bars(server: LanguageServer) -> bool:
    """Whether the client supports progress bars that the server creates."""
    window = server.client_capabilities.window
    return window is not None and bool(window.work_done_progress)


class ProgressBar:
    """One progress bar, from ``create`` to ``end``."""

    def __init__(self, server: LanguageServer, token: str) -> None:
        self._progress = server.work_done_progress
        self._token = token
        self._has_begun = False

    @classmethod
    async def create(cls, server: LanguageServer) -> "ProgressBar | None":
        """Ask the client for a progress bar; None if it refuses."""
        token = str(uuid.uuid4())
        try:
            # Shielded, as pygls fails on the response to a request that was cancelled.
            creation = server.work_done_progress.create_async(token)
            await asyncio.shield(asyncio.ensure_future(creation))
        except JsonRpcException:
            return None
        return cls(server, token)

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Have a function called when the user cancels."""

        def on_done(_: "Future[None]") -> None:
            callback()

        # pygls cancels the token's future then, and never completes it otherwise.
        self._progress.tokens[self._token].add_done_callback(on_done)

    def begin(self, title: str, percentage: int = 0, message: str | None = None) -> None:
        """Show the bar."""
        begin = types.WorkDoneProgressBegin(
            title=title, cancellable=True, percentage=percentage, message=message
        )
        self._progress.begin(self._token, begin)
        self._has_begun = True

    def report(self, percentage: int, message: str) -> None:
        """Move the bar."""
        report = types.WorkDoneProgressReport(
            message=message, percentage=percentage, cancellable=True
        )
        self._progress.report(self._token, report)

    def end(self) -> None:
        """Remove the bar, also one that was never shown."""
        if self._has_begun:
            self._progress.end(self._token, types.WorkDoneProgressEnd())
        self._progress.tokens.pop(self._token, None)
