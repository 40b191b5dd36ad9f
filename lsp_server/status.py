"""The server's status, and its announcement to the client.

A new phase is announced at once, new counts only every `STATUS_EVERY_S`: thousands of files must
not become thousands of messages.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from lsp_server.engine.client import EngineClient, EngineState
from lsp_server.engine.team.engine import TeamEngine
from lsp_server.indexing.file_table import Kind, Phase, Status, Totals
from lsp_server.indexing.indexer import Indexer
from lsp_server.indexing.throughput import Throughput, as_text, percent
from lsp_server.problems import Problems
from lsp_server.settings.declarations import Settings

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 1.0
"""Time between two looks at the status of those who wait for it."""
STATUS_EVERY_S = 0.1
"""Least time between two announcements that differ only in their counts."""
TICK_S = 1.0
"""Time between two announcements while files are read, if nothing else is to be told: a large file
takes long, and the time left goes down meanwhile."""
WORKS = "suggestions already work"
NO_FOLDER = "no folder is open, so suggestions come from the open files alone"

Engine = EngineClient | TeamEngine


class StatusReport:
    """Computes the status; remembers how fast files were indexed."""

    def __init__(self) -> None:
        self._throughput = Throughput()

    def status(
        self,
        settings: Settings,
        engine: Engine | None,
        indexer: Indexer | None,
        last_reason: str | None,
        problems: Problems,
        *,
        has_folder: bool = True,
    ) -> Status:
        """Return the status now.

        Args:
            settings: the settings now.
            engine: the engine; None while it is stopped.
            indexer: the indexer; None while it is stopped.
            last_reason: reason code of the last request that had no suggestion.
            problems: what the session does without.
            has_folder: whether the workspace has a folder.
        """
        kind, phase, message, is_busy = _phase(settings, engine, indexer, problems)
        totals = indexer.totals() if indexer else Totals()
        self._note(phase, totals)
        if phase == "indexing":
            message = self._reading(totals)
        if phase in ("ready", "indexing") and not has_folder:
            message = NO_FOLDER
        if engine is not None and engine.note:
            message = f"{message}; {engine.note}"
            if kind == "Normal" and engine.is_limited:  # a local engine in place of a team's
                kind = "Warning"
        if phase not in ("off", "failed") and problems.summary:
            message = f"{message}; {problems.summary}"
            kind = "Warning" if kind == "Normal" else kind
        return Status(
            kind,
            phase,
            message,
            is_busy,
            totals,
            engine_restarts=engine.n_restarts if engine else 0,
            last_reason=last_reason,
            tokens_per_second=self._throughput.tokens_per_second,
            seconds_left=self._throughput.seconds_left,
            progress=percent(self._throughput.share) / 100 if phase == "indexing" else None,
            languages=settings.enable_languages,
        )

    def _note(self, phase: Phase, totals: Totals) -> None:
        if phase == "indexing":
            self._throughput.note(totals)
        elif phase == "paused":
            self._throughput.pause()
        else:
            self._throughput.reset()

    def _reading(self, totals: Totals) -> str:
        """Say what is read and how far that is."""
        if not totals.waiting and not totals.in_memory:
            return f"looking for files; {WORKS}"
        if not self._throughput.is_long:
            return "reading what has changed"
        left = as_text(self._throughput.share, self._throughput.seconds_left)
        return f"reading the repository: {left}; {WORKS}"


def _phase(
    settings: Settings, engine: Engine | None, indexer: Indexer | None, problems: Problems
) -> tuple[Kind, Phase, str, bool]:
    """Return kind, phase and message of the status, and whether the server is busy."""
    if not settings.enable:
        return "Inactive", "off", "turned off", False
    if engine is not None and engine.state is EngineState.FAILED:
        return "Error", "failed", engine.message, False
    if problems.failure and (engine is None or not engine.ready):
        return "Error", "failed", problems.failure, False
    if engine is None:
        return "Normal", "loading", "starting", True
    if not engine.ready:
        return "Warning" if engine.n_restarts else "Normal", "loading", engine.message, True
    if indexer is None:  # it could not be made; see the problems
        return "Warning", "ready", "nothing is in memory", False
    if indexer.paused:
        return "Inactive", "paused", "indexing is paused", False
    if indexer.waits_for_power:
        on_battery = "on battery: only open and changed files are taken in"
        return "Inactive", "paused", on_battery, False
    if indexer.busy:
        return "Normal", "indexing", "reading the repository", True
    return "Normal", "ready", "the repository is in memory", False


class Client(Protocol):
    """A client that can be told of status and problems."""

    def status_changed(self, status: Status) -> None:
        """Show a new status."""
        ...

    def warn(self, message: str, *, is_in_status: bool = False) -> None:
        """Show a problem to the user.

        Args:
            message: what is wrong, with the remedy.
            is_in_status: whether the status says so too, which a client may show instead.
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

    def warn_once(self, message: str, *, is_in_status: bool = False) -> None:
        """Show a problem, unless it was shown before; see `Client.warn`."""
        if message not in self._warned:
            self._warned.add(message)
            self._client.warn(message, is_in_status=is_in_status)

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
