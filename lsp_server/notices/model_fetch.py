"""Fetching a model while the user works, with a progress bar that can be cancelled."""

import asyncio

from pygls.lsp.server import LanguageServer

from longllama_code.paths import cache_path
from lsp_server.models.pull_process import pull_model
from lsp_server.notices.messages import show_message
from lsp_server.notices.progress_bar import ProgressBar, shows_progress_bars

CREATE_BAR_TIMEOUT_S = 10.0


class FetchCancelled(Exception):  # noqa: N818 - the user's wish
    """The user cancelled the progress bar."""


async def fetch_model(server: LanguageServer, model: str) -> None:
    """Fetch a model of the catalog. When cancelled, what was fetched so far is kept.

    Raises:
        PullFailed: the model could not be fetched.
        FetchCancelled: the user cancelled it.
    """
    bar = await _create_bar(server)
    if bar is None:
        show_message(server, f"Fetching {model}; suggestions go on meanwhile.")
    else:
        bar.begin(f"Fetching {model}")

    def on_progress(percentage: int, step: str) -> None:
        if bar is not None:
            bar.report(percentage, step)

    task = asyncio.create_task(pull_model(model, cache_path(), on_progress))
    if bar is not None:
        bar.on_cancel(task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
        await asyncio.wait([task])
        if bar is not None:
            bar.end()
    if task.cancelled():
        raise FetchCancelled
    task.result()


async def _create_bar(server: LanguageServer) -> ProgressBar | None:
    if not shows_progress_bars(server):
        return None
    try:
        return await asyncio.wait_for(ProgressBar.create(server), CREATE_BAR_TIMEOUT_S)
    except asyncio.TimeoutError:
        return None
