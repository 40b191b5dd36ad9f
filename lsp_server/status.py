"""What the client is told without asking: a new status, and each warning once.

A new phase is told at once, new counts before long, so that a storm of files is no storm of
messages.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from lsp_server.indexing.file_table import Status

STATUS_EVERY_S = 0.1
"""Least time between two announcements that differ in their counts alone."""


class Client(Protocol):
    """What a client can be told."""

    def status_changed(self, status: Status) -> None:
        """The status is another one now."""
        ...

    def warn(self, message: str) -> None:
        """Something that the user should know, once."""
        ...


class Announcer:
    """Owner of what the client was told last. Silent until ``begin`` and after ``end``."""

    def __init__(self, client: Client, status: Callable[[], Status]) -> None:
        self._client = client
        self._status = status
        self._is_silent = True
        self._told: Status | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._warned: set[str] = set()
        self._settled = asyncio.Event()

    def begin(self) -> None:
        """Speak from now on: before ``initialized`` a client must not be told of a status."""
        self._is_silent = False

    def end(self) -> None:
        """Say nothing more."""
        self._is_silent = True
        self._cancel_timer()

    def announce(self) -> None:
        """The status may be another one."""
        if self._is_silent:
            return
        status = self._status()
        if not status.busy:
            self._settled.set()
        if self._told is None or status.message != self._told.message:
            self._tell()
        elif self._timer is None and status != self._told:
            self._timer = asyncio.get_running_loop().call_later(STATUS_EVERY_S, self._tell)

    async def wait_until_settled(self) -> Status:
        """Wait until nothing is under way that would change the memory; the status then."""
        while self._status().busy:
            self._settled.clear()
            await self._settled.wait()
        return self._status()

    def warn_once(self, message: str) -> None:
        """Show a message, unless it was shown before."""
        if message not in self._warned:
            self._warned.add(message)
            self._client.warn(message)

    def forget_warnings(self) -> None:
        """The user mended something: what still is wrong may be said again."""
        self._warned.clear()

    def _tell(self) -> None:
        self._cancel_timer()
        status = self._status()
        if status != self._told and not self._is_silent:
            self._told = status
            self._client.status_changed(status)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
