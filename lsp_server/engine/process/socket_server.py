"""Engine behind a socket of this machine, which runs as long as it has clients.

It ends some time after its last client has left (that client says how long), when its model cannot
be loaded, and when its address was removed or replaced. Who connects is a client once it has sent
the token, if the transport has one.
"""

import asyncio
import functools
import hmac
import logging
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lsp_server.engine.process.host import EngineHost
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.shared_transport import Listening
from lsp_server.engine.stdio import READ_LIMIT_BYTES, SafeWriter

logger = logging.getLogger(__name__)

FIRST_CLIENT_S = 10.0
"""Time that it waits for its first client."""
CHECK_ADDRESS_EVERY_S = 5.0
"""Time between two looks whether clients still find it; each wakes the processor."""
TOKEN_TIMEOUT_S = 10.0
"""Time in which who connects must send the token."""
RETRY_S = 0.05
FAILURE_DELAY_S = 0.2
"""Time for clients to read why the model cannot be loaded."""


class EngineSocket:
    """Owner of the socket; decides when the process ends."""

    def __init__(
        self, host: EngineHost, address: Path, token_timeout_s: float = TOKEN_TIMEOUT_S
    ) -> None:
        self._host, self._address = host, address
        self._endpoint = Endpoint(address)
        self._token_timeout_s = token_timeout_s
        self._lock = FileLock(self._endpoint.lock, timeout=0)
        self._n_connected = 0
        self._has_refused = False
        self._idle_s = FIRST_CLIENT_S
        self._ended = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Serve connections; return when the process is to end."""
        listening = self._endpoint.transport.listen(self._address)
        self._address_id = self._identity()
        connected = functools.partial(self._connected, listening)
        server = await asyncio.start_server(
            connected, sock=listening.socket, limit=READ_LIMIT_BYTES
        )
        self._end_in(self._idle_s)
        checking = asyncio.ensure_future(self._end_without_address())
        failing = asyncio.ensure_future(self._end_without_model())
        try:
            await self._ended.wait()
        finally:
            checking.cancel()
            failing.cancel()
            server.close()
            self._unlink()

    async def _connected(
        self, listening: Listening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not await self._is_admitted(listening, reader, writer):
            self._warn_once("a connection was refused: of another user, or without the token")
            writer.close()
            return
        self._n_connected += 1
        self._cancel_end()
        try:
            hello = await self._host.serve(reader, SafeWriter(writer))
            if hello is not None:
                self._idle_s = hello.idle_s
        finally:
            self._n_connected -= 1
            if not self._n_connected:
                self._end_in(self._idle_s)
            if not self._ended.is_set():
                writer.close()  # otherwise the end of the process closes it

    async def _is_admitted(
        self, listening: Listening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Read the token and answer it; return whether the connection is a client's."""
        if self._endpoint.transport.is_stranger(writer.get_extra_info("socket")):
            return False
        try:
            sent = reader.readexactly(len(listening.token))
            token = await asyncio.wait_for(sent, self._token_timeout_s)
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError):
            return False
        if not hmac.compare_digest(token, listening.token):
            return False
        writer.write(listening.proof)
        return True

    def _warn_once(self, message: str) -> None:
        """Log a warning that strangers could otherwise fill the disk with."""
        if not self._has_refused:
            logger.warning(message)
        self._has_refused = True

    # End.

    def _cancel_end(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _end_in(self, delay_s: float) -> None:
        """End after a delay, unless a client connects."""
        self._cancel_end()
        if delay_s <= 0:
            self._end_if_unused()
        else:
            loop = asyncio.get_running_loop()
            self._ending = loop.call_later(delay_s, self._end_if_unused)

    def _end_if_unused(self) -> None:
        """End while holding the lock, so that no server connects to a socket about to close."""
        self._ending = None
        if self._n_connected:
            return
        try:
            self._lock.acquire()
        except Timeout:  # a server is looking for an engine right now
            self._end_in(RETRY_S)
        else:
            self._ended.set()

    async def _end_without_address(self) -> None:
        """End if no client can connect any more: the address was removed or replaced."""
        while self._identity() == self._address_id:
            await asyncio.sleep(CHECK_ADDRESS_EVERY_S)
        logger.warning("the address %s was removed", self._address)
        self._ended.set()

    async def _end_without_model(self) -> None:
        """End after a failure to load, so that the next client starts a new engine."""
        await self._host.failure_sent.wait()
        self._unlink()
        await asyncio.sleep(FAILURE_DELAY_S)
        self._ended.set()

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self._address.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def _unlink(self) -> None:
        with suppress(OSError):  # Windows removes no file that a client is reading
            if self._identity() == self._address_id:
                self._address.unlink(missing_ok=True)
