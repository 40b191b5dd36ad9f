"""Connection to an engine: over the pipes of a child process, or to the shared one."""

import asyncio
import hmac
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
    PARTIAL_RESULT,
    READY,
    VERSION,
    EngineProtocol,
    Hello,
    engine_converter,
    to_plain,
)
from lsp_server.engine.shared_launcher import SharedEngine, connect_or_launch
from lsp_server.engine.shared_transport import CannotShare
from lsp_server.engine.stdio import (
    READ_LIMIT_BYTES,
    SafeWriter,
    connect_stdio,
    read_messages,
    stop_client,
)
from lsp_server.tasks import retrieve_exception

LEAVE_TIMEOUT_S = 5.0
"""Time that a shared engine may take to close a connection before it counts as hanging."""
EXIT_CODE_TIMEOUT_S = 1.0


class EngineGone(Exception):  # noqa: N818 - a state of the engine, not a fault of the caller
    """The engine died or has no model; the message says which."""


class EngineAway(EngineGone):
    """The engine runs on another machine, which cannot be reached now."""


class EngineError(Exception):
    """The engine runs, but the request failed; the message says why."""


@dataclass(frozen=True)
class Listener:
    """Callbacks for the engine's notifications, and for its end."""

    ready: Callable[["EngineConnection", dict[str, Any]], None]
    failed: Callable[["EngineConnection", dict[str, Any]], None]
    partial_result: Callable[[dict[str, Any]], None]
    ended: Callable[["EngineConnection", int | None], None]
    """Called when an engine that accepted the connection ends, with its exit code if known."""


class EngineConnection(JsonRPCClient):
    """Connection from ``start`` or ``join`` to ``close``. Lives on the event loop."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(EngineProtocol, engine_converter)
        self._listener = listener
        self._ids = itertools.count(1)
        self._is_accepted = False
        self._is_ready = False
        self._shared: SharedEngine | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        # pygls marks the functions that it registers, which bound methods do not allow.
        self.feature(READY)(partial(self._note_ready))
        self.feature(FAILED)(partial(listener.failed, self))
        self.feature(PARTIAL_RESULT)(partial(listener.partial_result))

    @property
    def log(self) -> str:
        """Where to find the engine's log, for messages."""
        return f"log {self._shared.endpoint.log}" if self._shared else "log on stderr"

    @property
    def pid(self) -> int | None:
        """Process of the engine, while the connection lasts and if it is known."""
        if self.stopped:
            return None
        if self._shared is not None:
            return self._shared.pid
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    # Start.

    async def start(self, options: ClientOptions) -> None:
        """Start an engine as a child process.

        Raises:
            OSError: it cannot be started.
        """
        self._is_accepted = True
        self._process = await connect_stdio(self, *options.command())
        hello = to_plain(Hello(VERSION, options.name))
        self.protocol.send_request(HELLO, hello).add_done_callback(retrieve_exception)

    async def join(self, options: ClientOptions) -> bool:
        """Connect to the shared engine, or start it. Return False if it was just ending.

        Raises:
            CannotShare: no engine can be shared here.
            asyncio.TimeoutError: it runs, and does not answer.
            DiedAtStart: it was started, and ended.
            OSError: it cannot be started.
        """
        shared = self._shared = await _connect_shared(options)
        reader, writer = await asyncio.open_connection(sock=shared.socket, limit=READ_LIMIT_BYTES)
        self._writer = writer
        self.protocol.set_writer(SafeWriter(writer))
        try:
            greeting = self._greet(reader, shared.proof, options)
            await asyncio.wait_for(greeting, options.hang_timeout_s or None)
        except EngineGone:
            return False
        except EngineError as error:
            raise CannotShare(str(error)) from None
        self._is_accepted = True
        if self.stopped:  # it ended right after its answer
            asyncio.get_running_loop().call_soon(self._listener.ended, self, None)
        return True

    async def _greet(
        self, reader: asyncio.StreamReader, proof: bytes, options: ClientOptions
    ) -> None:
        """Read what proves that it is the engine, then say hello.

        Raises:
            CannotShare: it is not the engine.
            EngineError: it does not want this client.
            EngineGone: it ended.
        """
        if not await _is_proved(reader, proof):
            raise CannotShare("another program answers at the engine's port")
        self._reading = asyncio.create_task(self._read(reader))
        await self.ask(HELLO, to_plain(Hello(VERSION, options.name, options.idle_s)))

    # Requests.

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Send a request and return its answer. Cancelling the caller cancels the work.

        Raises:
            EngineGone: the engine died before it answered.
            EngineError: the request failed.
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
        except RuntimeError as error:  # raised by pygls and by `_read` when the engine ended
            raise EngineGone(str(error)) from None

    # End.

    def kill(self) -> None:
        """Kill the engine's process, for all its clients."""
        if self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        elif self._shared is not None and self._writer is not None and not self.stopped:
            # Its process is not known; an engine ends when its address is gone.
            with suppress(OSError):
                self._shared.endpoint.address.unlink(missing_ok=True)
            self._writer.close()

    async def close(self) -> None:
        """End the connection and, if no other client needs it, the engine."""
        self._is_accepted = False
        if self._shared is None:
            self.kill()
            await self.stop()
        elif self._writer is not None:
            if self._reading is None:  # it has not proved that it is the engine
                stop_client(self, "the engine was not reached")
                self._writer.close()
            else:
                await self._leave(self._writer, self._reading)

    async def _leave(self, writer: asyncio.StreamWriter, reading: "asyncio.Task[None]") -> None:
        """Leave a shared engine; end it if it does not notice."""
        if not self.stopped and writer.can_write_eof():
            with suppress(OSError):
                writer.write_eof()
            await asyncio.wait([reading], timeout=LEAVE_TIMEOUT_S)
            is_hanging = not self.stopped and self._is_ready
            if is_hanging:  # before it was ready, it may be busy loading the model
                self.kill()
            writer.close()
        await asyncio.wait([reading])

    def _note_ready(self, status: dict[str, Any]) -> None:
        self._is_ready = True
        self._listener.ready(self, status)

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        """Report the end of a child process; pygls calls it."""
        if self._is_accepted:
            self._listener.ended(self, server.returncode)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Handle messages of a shared engine until it ends."""
        try:
            await read_messages(self, reader)
        finally:
            if self._writer is not None:
                self._writer.close()
            stop_client(self, "the engine ended")
        if self._is_accepted:
            self._listener.ended(self, await self._exit_code())

    async def _exit_code(self) -> int | None:
        """Return the engine's exit code, if this process started it."""
        process = self._shared.process if self._shared else None
        if process is None:
            return None
        try:
            return await asyncio.to_thread(process.wait, EXIT_CODE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None


async def _is_proved(reader: asyncio.StreamReader, proof: bytes) -> bool:
    """Whether what comes first proves that an engine is at the other end.

    Raises:
        EngineGone: it ended instead.
    """
    try:
        return hmac.compare_digest(await reader.readexactly(len(proof)), proof)
    except (asyncio.IncompleteReadError, OSError):
        raise EngineGone("the engine ended") from None


async def _connect_shared(options: ClientOptions) -> SharedEngine:
    """Connect on a thread; if the caller is cancelled, close the connection once it is there."""
    cancelled = threading.Event()
    connecting = asyncio.ensure_future(asyncio.to_thread(connect_or_launch, options, cancelled))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        cancelled.set()
        connecting.add_done_callback(_close)
        raise


def _close(connecting: "asyncio.Future[SharedEngine]") -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().socket.close()
