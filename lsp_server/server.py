"""Builds the language server of pygls, the session and the features, and serves one client."""

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Literal, cast

from lsprotocol import types
from pygls.io_ import StdinAsyncReader, StdoutWriter, run_async, run_websocket
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from lsp_server import __version__
from lsp_server.features import commands, completion, documents, lifecycle, status, workspace
from lsp_server.features.progress import IndexingProgress
from lsp_server.processes import READ_LIMIT_BYTES, take_stdout
from lsp_server.session import Session
from lsp_server.tracked import Status

logger = logging.getLogger(__name__)

Transport = Literal["stdio", "tcp", "ws"]

FEATURES = (lifecycle, documents, completion, workspace, status, commands)


class Protocol(LanguageServerProtocol):
    """pygls' protocol, without its own document store.

    pygls splits lines at form feeds and U+2028, where LSP does not, and rebuilds the text at every
    keystroke; ``lsp_server.documents`` holds the text instead. The handlers of documents are no
    generators, as pygls' are: it keeps a future of each of those for ever.
    """

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_: Any) -> Any:
        """Read no further message; pygls would end the process from within."""
        cast("Server", self._server).ended.set()

    def _send_response(
        self, msg_id: str | int, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        """Answer, without the traceback that pygls attaches to errors: the log has it."""
        if error is not None:
            error.data = None
        super()._send_response(msg_id, result, error)

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.TEXT_DOCUMENT_DID_OPEN](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE](params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Any:
        """Hand over to our own handler."""
        self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE](params)


class Server(LanguageServer):
    """The language server of one client."""

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        super().__init__("longllama-lsp", __version__, protocol_cls=Protocol)
        self.ended = threading.Event()
        self.session = Session(self, overrides)
        self.bar = IndexingProgress(self)
        for feature in FEATURES:
            feature.register(self)

    @property
    def was_shut_down(self) -> bool:
        """Whether the client took its leave as the protocol wants it."""
        return self.protocol._shutdown  # pyright: ignore[reportPrivateUsage]

    def status_changed(self, status: Status) -> None:
        """Tell the client, and move the progress bar."""
        self.protocol.notify("longllama/didChangeStatus", asdict(status))
        self.bar.update(status)

    def warn(self, message: str) -> None:
        """Show the user something, once for each cause."""
        logger.warning("%s", message)
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log what went wrong; pygls would put up a message for every failed notification."""
        logger.error("%s: %s", getattr(source, "__name__", source), error)


def serve(transport: Transport, host: str, port: int, overrides: Mapping[str, Any] | None) -> int:
    """Serve one client until it goes away; the exit code."""
    server = Server(overrides)
    ways = {
        "stdio": lambda: _over_stdio(server),
        "tcp": lambda: _over_tcp(server, host, port),
        "ws": lambda: _over_websocket(server, host, port),
    }
    asyncio.run(_serve(server, ways[transport]()))
    return 0 if server.was_shut_down else 1


async def _serve(server: Server, way: Coroutine[Any, Any, None]) -> None:
    try:
        await way
    finally:
        await server.session.end()


# Each way serves one client, and returns when it said `exit` or went away. pygls has its own ways,
# which lose the exit code, leave no place to end the session, and let a second client take over the
# first one's connection.


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
                connection, server.ended, server.protocol, logger, server.report_server_error
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
        await run_async(server.ended, reader, server.protocol, logger, server.report_server_error)
    except (asyncio.IncompleteReadError, ConnectionError):
        logger.info("the client went away in the middle of a message")


def _say_where(scheme: str, sockets: Iterable[socket.socket]) -> None:
    """Tell the port, which the system chose if it was 0."""
    for listening in sockets:
        host, port = listening.getsockname()[:2]
        print(f"longllama-lsp: listening on {scheme}://{host}:{port}", file=sys.stderr, flush=True)
