"""A model fetched on the user's word, with a progress bar that can be cancelled."""

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

from lsprotocol import types

from longllama_code.paths import cache_path
from lsp_server.handlers.progress import create_bar, shows_bars
from lsp_server.models.pull_process import pull_model

if TYPE_CHECKING:
    from lsp_server.server import Server

BAR_S = 10.0
"""How long a client may take to agree to a bar; without one it is fetched all the same."""


class FetchStopped(Exception):  # noqa: N818 - the user's wish
    """The user cancelled the progress bar."""


async def fetch_model(server: "Server", model: str) -> None:
    """Fetch a model of the catalog. Cancelling the caller stops it; what is here of it is kept.

    Raises:
        PullFailed: it could not be fetched.
        FetchStopped: the user stopped it.
    """
    bar = _Bar(server, await _new_bar(server))
    bar.begin(f"Fetching {model}")
    pulling = asyncio.create_task(pull_model(model, cache_path(), bar.report))
    bar.on_cancel(pulling)
    try:
        await asyncio.wait([pulling])
    finally:
        pulling.cancel()
        await asyncio.wait([pulling])
        bar.end()
    if pulling.cancelled():
        raise FetchStopped
    pulling.result()


async def _new_bar(server: "Server") -> str | None:
    if not shows_bars(server):
        return None
    try:
        return await asyncio.wait_for(create_bar(server), BAR_S)
    except asyncio.TimeoutError:
        return None


class _Bar:
    """A bar, or a message at its beginning in a client that has none."""

    def __init__(self, server: "Server", token: str | None) -> None:
        self._server, self._token = server, token
        self._progress = server.work_done_progress

    def begin(self, title: str) -> None:
        if self._token is None:
            self._server.say(f"{title}; suggestions go on meanwhile.")
            return
        begin = types.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0)
        self._progress.begin(self._token, begin)

    def on_cancel(self, work: "asyncio.Task[None]") -> None:
        """Have the work cancelled with the bar: pygls cancels a future of it then."""

        def stop(_: "Future[None]") -> None:
            work.cancel()

        if self._token is not None:
            self._progress.tokens[self._token].add_done_callback(stop)

    def report(self, percentage: int, step: str) -> None:
        if self._token is not None:
            now = types.WorkDoneProgressReport(
                message=step, percentage=percentage, cancellable=True
            )
            self._progress.report(self._token, now)

    def end(self) -> None:
        if self._token is not None:
            self._progress.end(self._token, types.WorkDoneProgressEnd())
            self._progress.tokens.pop(self._token, None)
