"""Serves one client over stdio, TCP or a websocket, until it says ``exit`` or goes away.

pygls has its own ways, which lose the exit code, leave no place to end the session, and let a
second client take over the first one's connection.
"""

import asyncio
import ipaddress
import logging
import secrets
import socket
import sys
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from typing import Any, Literal

from pygls.io_ import StdinAsyncReader, StdoutWriter, run_async, run_websocket
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from lsp_server.engine.stdio import READ_LIMIT_BYTES, take_stdout
from lsp_server.handlers.table import new_server
from lsp_server.server import Server

logger = logging.getLogger(__name__)

Transport = Literal["stdio", "tcp", "ws"]


def serve(
    transport: Transport,
    host: str,
    port: int,
    command_line: Mapping[str, Any] | None,
    token: str | None = None,
) -> int:
    """Serve one client until it goes away; the exit code.

    Beyond this machine only clients with a token are served: the one given, or else one that is
    made up and printed.
    """
    if transport != "stdio" and token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
        _say(f"clients must send initializationOptions.token {token!r}")
    server = new_server(command_line, token)
    ways = {
        "stdio": lambda: _over_stdio(server),
        "tcp": lambda: _over_tcp(server, host, port),
        "ws": lambda: _over_websocket(server, host, port),
    }
    asyncio.run(_serve(server, ways[transport]()))
    return 0 if server.was_shut_down else 1


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may be of any address


async def _serve(server: Server, way: Coroutine[Any, Any, None]) -> None:
    try:
        await way
    finally:
        await server.close()


async def _over_stdio(server: Server) -> None:
    """Serve the process that started this one."""
    server.protocol.set_writer(StdoutWriter(take_stdout()))
    await _run(server, StdinAsyncReader(sys.stdin.buffer))


async def _over_tcp(server: Server, host: str, port: int) -> None:
    """Serve the first client that connects."""
    first: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    first = asyncio.get_running_loop().create_future()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first.done():
            writer.close()
        else:
            first.set_result((reader, writer))

    listener = await asyncio.start_server(connected, host, port, limit=READ_LIMIT_BYTES)
    _say_where("tcp", listener.sockets)
    reader, writer = await first
    listener.close()
    server.protocol.set_writer(writer)
    try:
        await _run(server, _Checked(reader))
    finally:
        writer.close()


class _Checked:
    """A connection that must begin as LSP does: a web page can send a form to any local port."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._is_checked = False

    async def readline(self) -> bytes:
        """The next header line.

        Raises:
            ConnectionError: the first one is none of LSP's.
        """
        line = await self._reader.readline()
        if not self._is_checked and line and not line.lower().startswith(b"content-"):
            raise ConnectionError("the client does not speak LSP")
        self._is_checked = True
        return line

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """The next ``n`` bytes."""
        return self._reader.readexactly(n)


async def _over_websocket(server: Server, host: str, port: int) -> None:
    """Serve the first client that connects."""
    is_taken, gone = False, asyncio.Event()

    async def connected(connection: ServerConnection) -> None:
        nonlocal is_taken
        if is_taken:
            return
        is_taken = True
        try:
            await run_websocket(
                connection, server.stop_event, server.protocol, logger, server.report_server_error
            )
        finally:
            gone.set()

    # Browsers let any page connect to this machine, and say which page it was.
    origins = [None]
    async with serve_websocket(
        connected, host, port, max_size=READ_LIMIT_BYTES, origins=origins
    ) as listener:
        _say_where("ws", listener.sockets)
        await gone.wait()


async def _run(server: Server, reader: _Checked | StdinAsyncReader) -> None:
    try:
        await run_async(
            server.stop_event, reader, server.protocol, logger, server.report_server_error
        )
    except (asyncio.IncompleteReadError, ConnectionError):
        logger.info("the client went away in the middle of a message")


def _say_where(scheme: str, sockets: Iterable[socket.socket]) -> None:
    """Tell the port, which the system chose if it was 0."""
    for listening in sockets:
        host, port = listening.getsockname()[:2]
        _say(f"listening on {scheme}://{host}:{port}")


def _say(text: str) -> None:
    print(f"longllama-lsp: {text}", file=sys.stderr, flush=True)
