"""Serving one client over stdio, TCP or a websocket, until it sends ``exit`` or disconnects.

HTTP can be served beside it, from the same session, or alone. pygls' own functions for this lose
the exit code, leave no place to close the session, and let a second client take over the connection
of the first.
"""

import asyncio
import ipaddress
import logging
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pygls.io_ import StdoutWriter, WebSocketWriter
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed

from longllama_code.errors import ConfigError
from lsp_server.engine.stdio import READ_LIMIT_BYTES, StdinReader, take_stdout
from lsp_server.handlers.table import new_server
from lsp_server.receiving.framing import read_bodies, without_headers
from lsp_server.server import Server
from lsp_server.session import Session

logger = logging.getLogger(__name__)

Transport = Literal["stdio", "tcp", "ws"]


def serve(
    transport: Transport,
    host: str,
    port: int,
    command_line: Mapping[str, Any] | None,
    token: str | None = None,
    http_port: int | None = None,
) -> int:
    """Serve one client until it disconnects, and return the exit code.

    Args:
        transport: how the client connects.
        host: address to listen on; ignored for stdio.
        port: port to listen on, 0 for any free one; ignored for stdio.
        command_line: settings given on the command line.
        token: what clients must send as ``initializationOptions.token``. If None, and the address
            can be reached from other machines, a random one is used and printed.
        http_port: port to serve HTTP on beside it, 0 for any free one; None: HTTP is not served.
    """
    http_token = token
    if token is None and not is_loopback(host):
        http_token = made_up = secrets.token_urlsafe(24)
        token = made_up if transport != "stdio" else None
        if token is not None:
            _print(f"clients must send initializationOptions.token {token!r}")
        if http_port is not None:
            _print(f"HTTP requests must send Authorization: Bearer {http_token}")
    server = new_server(command_line, token)
    if transport == "stdio":
        connection = _serve_stdio(server)
    elif transport == "tcp":
        connection = _serve_tcp(server, host, port)
    else:
        connection = _serve_websocket(server, host, port)
    asyncio.run(_serve(server, connection, host, http_port, http_token))
    return 0 if server.was_shut_down else 1


def serve_http(
    root: Path, host: str, port: int, command_line: Mapping[str, Any] | None, token: str | None
) -> int:
    """Serve HTTP alone, with one workspace folder, until the process is told to end.

    Args:
        root: the workspace folder.
        host: address to listen on.
        port: port to listen on, 0 for any free one.
        command_line: settings given on the command line.
        token: what requests must bring. If None, and the address can be reached from other
            machines, a random one is used and printed.
    """
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
        _print(f"HTTP requests must send Authorization: Bearer {token}")
    asyncio.run(_serve_http(root, host, port, command_line, token))
    return 0


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address. Host names but ``localhost`` may be any."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(
    server: Server,
    connection: Coroutine[Any, Any, None],
    host: str,
    http_port: int | None,
    http_token: str | None,
) -> None:
    try:
        if http_port is None:
            await connection
        else:
            async with _http(server.session, host, http_port, http_token):
                await connection
    finally:
        connection.close()  # it has not begun if HTTP could not be served
        await server.close()


async def _serve_http(
    root: Path, host: str, port: int, command_line: Mapping[str, Any] | None, token: str | None
) -> None:
    """Serve HTTP alone, until the system asks to end; Ctrl-C cancels the call."""
    from lsp_server.http.console import Console

    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def end(_: int, __: object) -> None:
        loop.call_soon_threadsafe(ended.set)

    signal.signal(signal.SIGTERM, end)
    session = Session(Console(), command_line)
    try:
        async with _http(session, host, port, token):
            try:
                await session.begin([root.absolute()])
            except Exception as error:  # what is asked gets the reason
                logger.exception("the session could not begin")
                session.fail(error)
            await ended.wait()
    finally:
        await session.end()


@asynccontextmanager
async def _http(
    session: Session, host: str, port: int, token: str | None
) -> AsyncGenerator[None, None]:
    """Serve HTTP from a session while the context lasts.

    Raises:
        ConfigError: the extra is not installed.
        OSError: the port is not free.
    """
    try:
        from lsp_server.http.server import http_served
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is not installed, which --http needs; install the extra with "
            "`pip install 'longllama-code-lsp[http]'`."
        ) from error
    async with http_served(session, host, port, token) as sockets:
        _print_addresses("http", sockets)
        yield


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
