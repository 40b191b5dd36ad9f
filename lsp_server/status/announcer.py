"""The announcement of the status and of problems to the client.

A new phase is announced at once, new counts only every `STATUS_EVERY_S`: thousands of files must
not become thousands of messages.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from lsp_server.indexing.file_table import Status

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 1.0
"""Time between two looks at the status of those who wait for it."""
STATUS_EVERY_S = 0.1
"""Least time between two announcements that differ only in their counts."""
TICK_S = 1.0
"""Time between two announcements while files are read, if nothing else is to be told: a large file
takes long, and the time left goes down meanwhile."""


class Client(Protocol):
    """A client that can be told of status and problems."""

    def status_changed(self, status: Status) -> None:
        """Show a new status."""
        ...

    def warn(self, message: str, *, unless_client_can: str = "") -> None:
        """Show a problem to the user.

        Args:
            message: what is wrong, with the remedy.
            unless_client_can: the capability with which a client shows it itself, as the status
                says so too; empty if it must be told.
        """
        ...


class Announcer:
    """Owner of the last announced status and the warnings shown.

    Silent before `begin` and after `end`.
    """

    def __init__(self, client: Client, status: Callable[[], Status]) -> None:
        self._client = client
        self._status = status
        self._is_silent = True
        self._has_ended = False
        self._announced: Status | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._warned: set[str] = set()
        self._settled = asyncio.Event()

    def begin(self) -> None:
        """Announce from now on; the protocol forbids it before ``initialized``."""
        self._is_silent = False

    def end(self) -> None:
        """Announce nothing more, and let nobody wait any longer."""
        self._is_silent = self._has_ended = True
        self._settled.set()
        self._cancel_timer()
        if self._tick is not None:
            self._tick.cancel()

    def announce(self) -> None:
        """Announce the status if it has changed."""
        if self._is_silent:
            return
        try:
            self._announce()
        except Exception:  # those who report a change must go on
            logger.exception("the status could not be announced")

    def _announce(self) -> None:
        status = self._status()
        if not status.busy:
            self._settled.set()
        if self._announced is None or status.message != self._announced.message:
            self._send()
        elif self._timer is None and status != self._announced:
            self._timer = asyncio.get_running_loop().call_later(STATUS_EVERY_S, self._send)
        if self._tick is None and status.phase == "indexing":
            self._tick = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self.announce()

    async def wait_until_settled(self) -> Status:
        """Wait until nothing is under way that changes the memory; return the status then."""
        while self._status().busy and not self._has_ended:
            self._settled.clear()
            with suppress(asyncio.TimeoutError):  # looks by itself, should an announcement be lost
                await asyncio.wait_for(self._settled.wait(), CHECK_EVERY_S)
        return self._status()

    def warn_once(self, message: str, *, unless_client_can: str = "") -> None:
        """Show a problem, unless it was shown before; see `Client.warn`."""
        if message not in self._warned:
            self._warned.add(message)
            self._client.warn(message, unless_client_can=unless_client_can)

    def forget_warnings(self) -> None:
        """Let problems that persist be shown again, after the user tried to solve them."""
        self._warned.clear()

    def _send(self) -> None:
        self._cancel_timer()
        status = self._status()
        if status != self._announced and not self._is_silent:
            self._announced = status
            self._client.status_changed(status)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
