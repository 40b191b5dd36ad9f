"""The offer of the larger code model: asked once, fetched beside all other work, then chosen.

answers to typing are quick ─▶ a pause ─▶ window/showMessageRequest
                                              │ "Use coder-1.5b"
longllama/chooseModel ◀── fetched ◀── longllama pull, in a process, with a bar
        │ the client changes its setting; where it cannot, the user is told to
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from longllama_code.checkpoints.ram import available_bytes
from longllama_code.paths import cache_path
from lsp_server.handlers.model_fetch import FetchStopped, fetch_model
from lsp_server.models.larger_model import (
    ENOUGH_ANSWERS,
    HOW_BY_HAND,
    LARGER,
    claim_offer,
    judge,
    not_asked_for,
    offer,
)
from lsp_server.models.pull_process import PullFailed

if TYPE_CHECKING:
    from lsp_server.server import Server

logger = logging.getLogger(__name__)

CHOOSE = "longllama/chooseModel"
"""Asks the client to name another model in its settings; ``true`` where it did."""
USE, NOT_NOW = f"Use {LARGER}", "Not now"
QUIET_S = 10.0
"""How long nothing is suggested before the user is asked: some clients ask in the way of typing."""
CHOOSE_S = 10.0
"""How long a client may take to change its settings."""


class LargerModelOffer:
    """Watches for the moment to ask, asks, and does what the user says."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._is_over = False
        """Whether this server has nothing to ask any more."""
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None

    def suggestion_given(self) -> None:
        """Something was answered just now: ask after a pause, if there is anything to ask."""
        self._cancel_timer()
        if self._may_be_due():
            self._timer = asyncio.get_running_loop().call_later(QUIET_S, self._begin)

    async def end(self) -> None:
        """Ask nothing more, and stop what is being fetched: what is here of it is kept."""
        self._is_over = True
        self._cancel_timer()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    def _may_be_due(self) -> bool:
        """Whether it is worth looking at the machine; cheap, as every answer asks."""
        session = self._server.session
        if self._is_over or session.suggester.times.measured.n_answers < ENOUGH_ANSWERS:
            return False
        is_busy = self._work is not None and not self._work.done()
        return not is_busy and self._has_buttons() and not not_asked_for(session.settings)

    def _has_buttons(self) -> bool:
        window = self._server.client_capabilities.window
        return window is not None and window.show_message is not None

    def _begin(self) -> None:
        self._work = asyncio.create_task(self._run())
        self._work.add_done_callback(_log_failure)

    async def _run(self) -> None:
        session = self._server.session
        measured = session.suggester.times.measured
        free_bytes = await asyncio.to_thread(available_bytes)
        if not judge(session.settings, measured, free_bytes).is_worth_it:
            return
        self._is_over = True
        if await asyncio.to_thread(claim_offer, cache_path()) and await self._asks(offer(measured)):
            await self._fetch()

    async def _asks(self, question: str) -> bool:
        """Whether the user wants it; no answer is a no."""
        actions = [types.MessageActionItem(title) for title in (USE, NOT_NOW)]
        params = types.ShowMessageRequestParams(types.MessageType.Info, question, actions)
        answer = await self._ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
        return isinstance(answer, types.MessageActionItem) and answer.title == USE

    async def _fetch(self) -> None:
        """Fetch it, have it chosen, and say what else is to be done."""
        say = self._server.say
        try:
            await fetch_model(self._server, LARGER)
        except FetchStopped:
            say(f"{LARGER} was not fetched to its end. To go on, {HOW_BY_HAND}.")
        except PullFailed as error:
            say(f"{LARGER} could not be fetched: {error}\nThen {HOW_BY_HAND}.", is_warning=True)
        else:
            if not await self._has_client_choose():
                wish = f'set longllama.model.path to "{LARGER}" in your editor\'s settings'
                say(f"{LARGER} is here: {wish}, and it answers from then on.")

    async def _has_client_choose(self) -> bool:
        """Have the client name the model in its settings; False where it does not."""
        asking = self._ask(CHOOSE, {"model": LARGER})
        try:
            return await asyncio.wait_for(asking, CHOOSE_S) is True
        except asyncio.TimeoutError:
            return False

    async def _ask(self, method: str, params: Any) -> Any:
        """A client's answer; None where it knows no such request."""
        request = self._server.protocol.send_request_async(method, params)
        try:
            # Shielded: the answer to a request that was cancelled is an error to pygls.
            return await asyncio.shield(request)
        except JsonRpcException as error:
            logger.info("the client has no answer to %s: %s", method, error)
            return None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _log_failure(work: "asyncio.Task[None]") -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        logger.error("the offer of %s failed", LARGER, exc_info=error)
