"""Offer of the larger code model: made once, then fetched in the background and chosen.

suggestions are fast ─▶ a quiet moment ─▶ window/showMessageRequest
                                              │ "Use coder-1.5b"
longllama/chooseModel ◀── fetched ◀── `longllama pull` in a process, with a progress bar
        │ the client changes its setting, or else the user is told how to
"""

import asyncio
import logging
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from longllama_code.checkpoints.ram import available_bytes
from longllama_code.paths import cache_path
from lsp_server.methods import CHOOSE_MODEL
from lsp_server.models.larger_model import (
    LARGER,
    MANUAL_STEPS,
    MIN_ANSWERS,
    assess,
    claim_offer,
    question,
    reason_against,
)
from lsp_server.models.pull_process import PullFailed
from lsp_server.notices.messages import show_message
from lsp_server.notices.model_fetch import FetchCancelled, fetch_model
from lsp_server.session import Session

logger = logging.getLogger(__name__)

USE, NOT_NOW = f"Use {LARGER}", "Not now"
QUIET_S = 10.0
"""Time without a suggestion before the user is asked: some clients show a dialog over the text."""
CHOOSE_TIMEOUT_S = 10.0


class LargerModelOffer:
    """Asks the user at a quiet moment whether to use the larger model, and acts on the answer."""

    def __init__(self, server: LanguageServer, session: Session) -> None:
        self._server = server
        self._session = session
        self._is_over = False
        """Whether this server has asked, or may not ask any more."""
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def on_suggestion(self) -> None:
        """Start the quiet time again, as a suggestion was made just now."""
        self._cancel_timer()
        if self._may_be_due():
            self._timer = asyncio.get_running_loop().call_later(QUIET_S, self._start)

    async def close(self) -> None:
        """Ask nothing more and stop fetching. What was fetched so far is kept."""
        self._is_over = True
        self._cancel_timer()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _may_be_due(self) -> bool:
        """Whether the machine is worth a look. Cheap, as it is asked after every suggestion."""
        session = self._session
        if self._is_over or session.suggester.times.measured.n_answers < MIN_ANSWERS:
            return False
        is_running = self._task is not None and not self._task.done()
        return not is_running and self._shows_buttons() and not reason_against(session.settings)

    def _shows_buttons(self) -> bool:
        window = self._server.client_capabilities.window
        return window is not None and window.show_message is not None

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_log_failure)

    async def _run(self) -> None:
        measured = self._session.suggester.times.measured
        free_bytes = await asyncio.to_thread(available_bytes)
        if not assess(self._session.settings, measured, free_bytes).is_recommended:
            return
        self._is_over = True
        is_first = await asyncio.to_thread(claim_offer, cache_path())
        if is_first and await self._user_accepts(question(measured)):
            await self._fetch()

    async def _user_accepts(self, text: str) -> bool:
        """Ask the user. No answer counts as no."""
        actions = [types.MessageActionItem(title) for title in (USE, NOT_NOW)]
        params = types.ShowMessageRequestParams(types.MessageType.Info, text, actions)
        answer = await self._request(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
        return isinstance(answer, types.MessageActionItem) and answer.title == USE

    async def _fetch(self) -> None:
        """Fetch the model, have the client choose it, and tell the user what is left to do."""
        try:
            await fetch_model(self._server, LARGER)
        except FetchCancelled:
            self._show(f"Fetching {LARGER} was cancelled. To go on, {MANUAL_STEPS}.")
        except PullFailed as error:
            text = f"{LARGER} could not be fetched: {error}\nThen {MANUAL_STEPS}."
            self._show(text, is_warning=True)
        else:
            if not await self._client_chooses():
                remedy = f'set longllama.model.path to "{LARGER}" in your editor\'s settings'
                self._show(f"{LARGER} was fetched. To use it, {remedy}.")

    async def _client_chooses(self) -> bool:
        """Ask the client to name the model in its settings; whether it did."""
        request = self._request(CHOOSE_MODEL, {"model": LARGER})
        try:
            return await asyncio.wait_for(request, CHOOSE_TIMEOUT_S) is True
        except asyncio.TimeoutError:
            return False

    async def _request(self, method: str, params: Any) -> Any:
        """Return the client's answer to a request; None if it answers with an error."""
        request = self._server.protocol.send_request_async(method, params)
        try:
            # Shielded, as pygls fails on the response to a request that was cancelled.
            return await asyncio.shield(request)
        except JsonRpcException as error:
            logger.info("the client answered %s with an error: %s", method, error)
            return None

    def _show(self, text: str, *, is_warning: bool = False) -> None:
        show_message(self._server, text, is_warning=is_warning)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the offer of %s failed", LARGER, exc_info=error)
