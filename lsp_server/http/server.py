"""The HTTP server, on the event loop of the language server."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from lsp_server.http.app import new_app
from lsp_server.http.guard import Guard
from lsp_server.http.lingering import Lingering
from lsp_server.session import Session

BACKLOG = 128
MAX_CONNECTIONS = 256
END_S = 2
"""Time that requests may take to end when the server does."""


class _Server(uvicorn.Server):
    """Server that leaves the signals to the process it is a part of."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals as they are."""
        yield


@asynccontextmanager
async def http_served(
    session: Session, host: str, port: int, token: str | None
) -> AsyncGenerator[Sequence[socket.socket], None]:
    """Answer requests from a session while the context lasts; yield what is listened on.

    Args:
        session: answers the requests; it may begin later.
        host: address to listen on.
        port: port to listen on, 0 for any free one.
        token: what requests must bring; None if only this machine can reach the address.

    Raises:
        OSError: the port is not free, or the address is none of this machine's.
    """
    # It would log every refused connection, and the text of requests in tracebacks.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    sockets = _listening(host, port)
    server = _Server(_config(session, token))
    serving = asyncio.ensure_future(server.serve(sockets))
    try:
        yield sockets
    finally:
        session.suggester.end_requests("shutting_down")
        server.should_exit = True
        with contextlib.suppress(Exception):
            await serving


def _config(session: Session, token: str | None) -> uvicorn.Config:
    return uvicorn.Config(
        Lingering(Guard(new_app(session), token)),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=END_S,
        limit_concurrency=MAX_CONNECTIONS,
    )


def _listening(host: str, port: int) -> list[socket.socket]:
    """Return sockets for all addresses of a host, the same port for each."""
    found: list[socket.socket] = []
    try:
        kind = socket.SOCK_STREAM
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=kind):
            taken = found[0].getsockname()[1] if found else port
            # Not `reuse_port`, and on Windows no reuse at all: another program could listen too.
            found.append(
                socket.create_server((str(address[0]), taken), family=family, backlog=BACKLOG)
            )
    except OSError as error:
        for each in found:
            each.close()
        reason = error.strerror or str(error)
        raise OSError(
            f"HTTP cannot be served on {host}:{port}: {reason}; give another --http PORT or --host."
        ) from error
    return found
