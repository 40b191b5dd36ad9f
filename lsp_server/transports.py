"""Serving one client over stdio, TCP or a websocket, until it sends ``exit`` or disconnects.

pygls' own functions for this lose the exit code, leave no place to close the session, and let a
second client take over the connection of the first.
"""

import asyncio
import ipaddress
import logging
import secrets
import socket
import sys
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal

from pygls.io_ import StdoutWriter, WebSocketWriter
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed

from lsp_server.engine.stdio import READ_LIMIT_BYTES, StdinReader, take_stdout
from lsp_server.handlers.table import new_server
from lsp_server.receiving.framing import read_bodies, without_headers
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
    """Serve one client until it disconnects, and return the exit code.

    Args:
        transport: how the client connects.
        host: address to listen on; ignored for stdio.
        port: port to listen on, 0 for any free one; ignored for stdio.
        command_line: settings given on the command line.
        token: what clients must send as ``initializationOptions.token``. If None, and the address
            can be reached from other machines, a random one is used and printed.
    """
    if transport != "stdio" and token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
        _print(f"clients must send initializationOptions.token {token!r}")
    server = new_server(command_line, token)
    if transport == "stdio":
        connection = _serve_stdio(server)
    elif transport == "tcp":
        connection = _serve_tcp(server, host, port)
    else:
        connection = _serve_websocket(server, host, port)
    asyncio.run(_serve(server, connection))
    return 0 if server.was_shut_down else 1


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address. Host names but ``localhost`` may be any."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(server: Server, connection: Coroutine[Any, Any, None]) -> None:
    try:
        await connection
    finally:
        await server.close()


async def _serve_stdio(server: Server) -> None:
    """Serve the process that started this one."""
    server.protocol.set_writer(StdoutWriter(take_stdout()))
    await _run(server, StdinReader())


async def _serve_tcp(server: Server, host: str, port: int) -> None:
    """Serve the first client that connects."""
    first: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    first = asyncio.get_running_loop().create_future()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first.done():
            writer.close()
        else:
            first.set_result((reader, writer))

    listener = await asyncio.start_server(connected, host, port, limit=READ_LIMIT_BYTES)
    _print_addresses("tcp", listener.sockets)
    reader, writer = await first
    listener.close()
    server.protocol.set_writer(writer)
    try:
        await _run(server, _CheckedReader(reader))
    finally:
        writer.close()


class _CheckedReader:
    """Reader that accepts nothing but LSP: web pages can send HTTP requests to any local port."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._is_checked = False

    async def readline(self) -> bytes:
        """Return the next header line.

        Raises:
            ConnectionError: the first line is not a header of LSP.
        """
        line = await self._reader.readline()
        name = line.strip(b" \t\r\n\xef\xbb\xbf").lower()
        if not self._is_checked and name and not name.startswith(b"content-"):
            raise ConnectionError("the client does not speak LSP: no Content- header")
        self._is_checked |= bool(name)
        return line

    def readexactly(self, n: int) -> Awaitable[bytes]:
        """Return the next ``n`` bytes."""
        return self._reader.readexactly(n)


async def _serve_websocket(server: Server, host: str, port: int) -> None:
    """Serve the first client that connects."""
    is_taken, disconnected = False, asyncio.Event()

    async def connected(connection: ServerConnection) -> None:
        nonlocal is_taken
        if is_taken:
            return
        is_taken = True
        try:
            await _run_websocket(server, connection)
        finally:
            disconnected.set()

    # Web pages can connect to local ports. Browsers send their origin, which other clients do not.
    origins = [None]
    async with serve_websocket(
        connected, host, port, max_size=READ_LIMIT_BYTES, origins=origins
    ) as listener:
        _print_addresses("ws", listener.sockets)
        await disconnected.wait()


async def _run(server: Server, reader: _CheckedReader | StdinReader) -> None:
    try:
        await read_bodies(server.stop_event, reader, server.receive)
    except (asyncio.IncompleteReadError, ConnectionError):
        logger.info("the client disconnected in the middle of a message")


async def _run_websocket(server: Server, connection: ServerConnection) -> None:
    server.protocol.set_writer(WebSocketWriter(connection), include_headers=False)
    with suppress(ConnectionClosed):
        while not server.stop_event.is_set():
            server.receive(without_headers(await connection.recv(decode=False)))
    server.stop_event.set()
    await connection.close()


def _print_addresses(scheme: str, sockets: Iterable[socket.socket]) -> None:
    """Print addresses with their actual ports, as port 0 lets the system choose."""
    for listening in sockets:
        host, port = listening.getsockname()[:2]
        _print(f"listening on {scheme}://{host}:{port}")


def _print(text: str) -> None:
    print(f"longllama-lsp: {text}", file=sys.stderr, flush=True)
