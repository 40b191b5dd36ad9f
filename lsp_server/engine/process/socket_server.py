"""An engine behind a local socket, for as long as somebody needs it.

It ends when its last user has been gone for as long as that one allowed, when its model cannot be
loaded, and when its socket is no longer where it can be found.
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

FIRST_USER_S = 10.0
"""How long it waits for who started it."""
LOOK_S = 1.0
"""Time between two looks at its socket."""
RETRY_S = 0.05
LAST_WORDS_S = 0.2


class EngineSocket:
    """Owner of the socket, and of the decision to end."""

    def __init__(self, host: EngineHost, path: Path) -> None:
        self._host, self._path = host, path
        self._lock = FileLock(lock_of(path), timeout=0)
        self._n_connected = 0
        self._idle_s = FIRST_USER_S
        self._ended = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        """Serve whoever connects; returns when the process is to end."""
        listening = _listen(self._path)
        self._socket_id = self._identity()
        server = await asyncio.start_unix_server(
            self._connected, sock=listening, limit=READ_LIMIT_BYTES
        )
        self._end_in(self._idle_s)
        looks = asyncio.ensure_future(self._look_for_socket())
        fails = asyncio.ensure_future(self._end_without_model())
        try:
            await self._ended.wait()
        finally:
            looks.cancel()
            fails.cancel()
            server.close()
            self._unlink()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        if peer_of(connection).is_other_user:
            logger.warning("a connection of another user was refused")
            writer.close()
            return
        self._n_connected += 1
        self._stay()
        try:
            hello = await self._host.serve(reader, SafeWriter(writer))
            if hello is not None:
                self._idle_s = hello.idle_s
        finally:
            self._n_connected -= 1
            if not self._n_connected:
                self._end_in(self._idle_s)
            if not self._ended.is_set():
                writer.close()  # else the process' end is what the other side sees

    # Ending.

    def _stay(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _end_in(self, delay_s: float) -> None:
        """End after a while, unless somebody comes."""
        self._stay()
        if delay_s <= 0:
            self._end_if_unused()
        else:
            loop = asyncio.get_running_loop()
            self._ending = loop.call_later(delay_s, self._end_if_unused)

    def _end_if_unused(self) -> None:
        """End, with the lock in hand, so that nobody finds a socket that is about to go."""
        self._ending = None
        if self._n_connected:
            return
        try:
            self._lock.acquire()
        except Timeout:  # somebody looks for an engine at this moment
            self._end_in(RETRY_S)
        else:
            self._ended.set()

    async def _look_for_socket(self) -> None:
        """End where nobody can come any more: the socket was removed, or replaced."""
        while self._identity() == self._socket_id:
            await asyncio.sleep(LOOK_S)
        logger.warning("the socket was removed")
        self._ended.set()

    async def _end_without_model(self) -> None:
        """Tell everybody why there is no model, and make room for another try."""
        await self._host.told_failure.wait()
        self._unlink()
        await asyncio.sleep(LAST_WORDS_S)
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
    """A socket for the user alone."""
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen(128)
    listening.setblocking(False)
    return listening
