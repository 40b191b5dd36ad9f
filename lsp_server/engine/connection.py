"""One connection to an engine: over the pipes of a child, or to the one that is shared."""

import asyncio
import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from lsprotocol import types
from pygls.client import JsonRPCClient
from pygls.exceptions import JsonRpcException

from lsp_server.engine.options import ClientOptions
from lsp_server.engine.protocol import (
    FAILED,
    HELLO,
    READY,
    SO_FAR,
    VERSION,
    EngineProtocol,
    Hello,
    engine_converter,
    to_plain,
)
from lsp_server.engine.shared_endpoint import CannotShare
from lsp_server.engine.shared_launcher import Meeting, meet
from lsp_server.engine.stdio import READ_LIMIT_BYTES, SafeWriter, connect_stdio, read_messages
from lsp_server.tasks import retrieve_exception

LEAVE_TIMEOUT_S = 5.0
"""How long an engine that is left may take to notice, before it counts as one that hangs."""
CODE_TIMEOUT_S = 1.0


class EngineGone(Exception):  # noqa: N818 - a state of the engine, not a fault of the caller
    """The engine died, or has no model; the message says which."""


class EngineAway(EngineGone):
    """The engine is elsewhere, and cannot be reached just now."""


class EngineError(Exception):
    """The engine lives, but what was asked of it failed; the message says why."""


@dataclass(frozen=True)
class Listener:
    """Who is told what the engine says by itself."""

    ready: Callable[[dict[str, Any]], None]
    failed: Callable[[dict[str, Any]], None]
    so_far: Callable[[dict[str, Any]], None]
    ended: Callable[["EngineConnection", int | None], None]
    """Called once it was admitted and then ended; with the exit code, where it is known."""


class EngineConnection(JsonRPCClient):
    """A connection, from ``start`` or ``join`` to ``close``. Lives on the event loop."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(EngineProtocol, engine_converter)
        self._listener = listener
        self._ids = itertools.count(1)
        self._is_admitted = False
        self._is_ready = False
        self._meeting: Meeting | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        # pygls marks the functions that it registers, which bound methods do not allow.
        self.feature(READY)(partial(self._note_ready))
        self.feature(FAILED)(partial(listener.failed))
        self.feature(SO_FAR)(partial(listener.so_far))

    @property
    def log(self) -> str:
        """Where the engine says what is wrong."""
        return f"log {self._meeting.place.log}" if self._meeting else "log on stderr"

    @property
    def pid(self) -> int | None:
        """The engine's process, while the connection lasts."""
        if self.stopped:
            return None
        if self._meeting is not None:
            return self._meeting.pid
        return self._server.pid if self._server and self._server.returncode is None else None

    # Beginning.

    async def start(self, options: ClientOptions) -> None:
        """Start an engine of our own.

        Raises:
            OSError: it cannot be started.
        """
        self._is_admitted = True
        await connect_stdio(self, *options.command())
        hello = to_plain(Hello(VERSION, options.name))
        self.protocol.send_request(HELLO, hello).add_done_callback(retrieve_exception)

    async def join(self, options: ClientOptions) -> bool:
        """Connect to the shared engine, started where there is none; False where it just ended.

        Raises:
            CannotShare: there is none to be had.
            asyncio.TimeoutError: it is there, and does not answer.
            DiedAtStart: it was started, and ended.
            OSError: it cannot be started.
        """
        meeting = self._meeting = await _met(options)
        reader, writer = await asyncio.open_unix_connection(
            sock=meeting.socket, limit=READ_LIMIT_BYTES
        )
        self._writer = writer
        self.protocol.set_writer(SafeWriter(writer))
        self._reading = asyncio.create_task(self._read(reader))
        hello = Hello(VERSION, options.name, options.idle_s)
        try:
            greeting = self.ask(HELLO, to_plain(hello))
            await asyncio.wait_for(greeting, options.hang_timeout_s or None)
        except EngineGone:
            return False
        except EngineError as error:
            raise CannotShare(str(error)) from None
        self._is_admitted = True
        if self.stopped:  # it ended behind its answer
            asyncio.get_running_loop().call_soon(self._listener.ended, self, None)
        return True

    # Asking.

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        """The answer to a request. Cancelling the caller cancels the work.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: it failed over this request.
        """
        if self.stopped:
            raise EngineGone("the engine ended")
        request_id = f"{method}-{next(self._ids)}"
        answer = asyncio.wrap_future(self.protocol.send_request(method, params, msg_id=request_id))
        try:
            # Shielded: a late answer to a future that was cancelled is an error to pygls.
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(retrieve_exception)
            if not self.stopped:
                self.protocol.notify(types.CANCEL_REQUEST, types.CancelParams(id=request_id))
            raise
        except JsonRpcException as error:
            raise EngineError(error.message) from None
        except RuntimeError as error:  # pygls' word, and ours, for an engine that ended
            raise EngineGone(str(error)) from None

    # Ending.

    def kill(self) -> None:
        """End the engine's process, for all who use it."""
        if self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        elif self._meeting is not None and self._writer is not None and not self.stopped:
            # The system does not tell its process: it ends where it is no longer found.
            self._meeting.place.socket.unlink(missing_ok=True)
            self._writer.close()

    async def close(self) -> None:
        """End the connection: an engine of our own ends with it, a shared one maybe."""
        self._is_admitted = False
        if self._meeting is None:
            self.kill()
            await self.stop()
        elif self._writer is not None and self._reading is not None:
            if not self.stopped and self._writer.can_write_eof():
                with suppress(OSError):
                    self._writer.write_eof()
                await asyncio.wait([self._reading], timeout=LEAVE_TIMEOUT_S)
                if not self.stopped and self._is_ready:  # it hangs; it may just be slow to load
                    self.kill()
                self._writer.close()
            await asyncio.wait([self._reading])

    def _note_ready(self, status: dict[str, Any]) -> None:
        self._is_ready = True
        self._listener.ready(status)

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        """Tell that our own engine is gone."""
        if self._is_admitted:
            self._listener.ended(self, server.returncode)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take in what a shared engine sends, until it ends."""
        try:
            await read_messages(self, reader)
        finally:
            self._stop_event.set()
            if self._writer is not None:
                self._writer.close()
            for answer in list(self.protocol._request_futures.values()):  # pyright: ignore[reportPrivateUsage]
                if not answer.done():
                    answer.set_exception(RuntimeError("the engine ended"))
        if self._is_admitted:
            self._listener.ended(self, await self._exit_code())

    async def _exit_code(self) -> int | None:
        """How the engine ended, where we started it."""
        process = self._meeting.process if self._meeting else None
        if process is None:
            return None
        try:
            return await asyncio.to_thread(process.wait, CODE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None


async def _met(options: ClientOptions) -> Meeting:
    """A connection to the shared engine; where nobody waits for it any more, it is closed."""
    given_up = threading.Event()
    meeting = asyncio.ensure_future(asyncio.to_thread(meet, options, given_up))
    try:
        return await asyncio.shield(meeting)
    except asyncio.CancelledError:
        given_up.set()
        meeting.add_done_callback(_close)
        raise


def _close(meeting: "asyncio.Future[Meeting]") -> None:
    if not meeting.cancelled() and meeting.exception() is None:
        meeting.result().socket.close()
