"""Engine behind a local socket, which runs as long as it has clients.

It ends some time after its last client has left (that client says how long), when its model cannot
be loaded, and when its socket was removed or replaced.
"""

import asyncio
import logging
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from lsp_server.engine.process.host import EngineHost
from lsp_server.engine.shared_endpoint import lock_of, peer_of
from lsp_server.engine.stdio import READ_LIMIT_BYTES, SafeWriter

logger = logging.getLogger(__name__)

FIRST_CLIENT_S = 10.0
"""Time that it waits for its first client."""
CHECK_SOCKET_EVERY_S = 5.0
"""Time between two looks whether clients still find it; each wakes the processor."""
RETRY_S = 0.05
FAILURE_DELAY_S = 0.2
"""Time for clients to read why the model cannot be loaded."""


class EngineSocket:
    """Owner of the socket; decides when the process ends."""

    def __init__(self, host: EngineHost, path: Path) -> None:
        self._host, self._path = host, path
        self._lock = FileLock(lock_of(path), timeout=0)
        self._n_connected = 0
        self._idle_s = FIRST_CLIENT_S
        self._ended = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Serve connections; return when the process is to end."""
        listening = _listen(self._path)
        self._socket_id = self._identity()
        server = await asyncio.start_unix_server(
            self._connected, sock=listening, limit=READ_LIMIT_BYTES
        )
        self._end_in(self._idle_s)
        checking = asyncio.ensure_future(self._end_without_socket())
        failing = asyncio.ensure_future(self._end_without_model())
        try:
            await self._ended.wait()
        finally:
            checking.cancel()
            failing.cancel()
            server.close()
            self._unlink()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        if peer_of(connection).is_other_user:
            logger.warning("a connection of another user was refused")
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

    async def _end_without_socket(self) -> None:
        """End if no client can connect any more: the socket was removed or replaced."""
        while self._identity() == self._socket_id:
            await asyncio.sleep(CHECK_SOCKET_EVERY_S)
        logger.warning("the socket was removed")
        self._ended.set()

    async def _end_without_model(self) -> None:
        """End after a failure to load, so that the next client starts a new engine."""
        await self._host.failure_sent.wait()
        self._unlink()
        await asyncio.sleep(FAILURE_DELAY_S)
        self._ended.set()

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def _unlink(self) -> None:
        if self._identity() == self._socket_id:
            self._path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    """Return a listening socket that only this user can open."""
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen(128)
    listening.setblocking(False)
    return listening
