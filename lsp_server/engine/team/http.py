"""HTTP to a team's engine, on threads: requests that can be given up, answers line by line."""

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit
from zlib import MAX_WBITS, decompress

from lsp_server.tasks import retrieve_exception

N_THREADS = 8
"""Requests under way at once, of one window."""
CONNECT_TIMEOUT_S = 5.0

OnLine = Callable[[dict[str, Any]], None]


class TeamUnreachable(Exception):  # noqa: N818 - a state of the network, or of the cluster
    """There was no answer; the message says why. Another try may have one."""


class TeamSlow(TeamUnreachable):
    """Nothing came for as long as it was to be waited."""


class TeamRefused(Exception):  # noqa: N818 - an answer
    """The cluster answers that it will not; the message says why."""


@dataclass(frozen=True)
class TeamAddress:
    """Where a team's engine is, and who asks."""

    url: str
    token: str = field(default="", repr=False)
    certificate: str = ""
    """A file of certificates to trust; empty for the system's."""


@dataclass
class _Call:
    """A request, which another thread may give up."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    timeout_s: float
    on_line: OnLine | None
    connection: http.client.HTTPConnection | None = None
    is_given_up: bool = False


class TeamHttp:
    """Owner of the connections to one cluster. Lives on the event loop."""

    def __init__(self, address: TeamAddress) -> None:
        parts = urlsplit(address.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._is_secure = parts.scheme == "https"
        self._certificate = address.certificate
        self._token = address.token
        self._idle: list[http.client.HTTPConnection] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(N_THREADS, "team's engine")

    async def ask(
        self,
        method: str,
        path: str,
        plain: Any = None,
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float = 30.0,
        on_line: OnLine | None = None,
    ) -> dict[str, Any]:
        """The answer: its object, or the last one of its lines. Cancelling gives the request up.

        Args:
            method: of HTTP.
            path: below the cluster's URL.
            plain: what is sent, as JSON.
            headers: more of them.
            timeout_s: how long nothing may come.
            on_line: told each line, on the event loop.

        Raises:
            TeamUnreachable: there was no answer, or only a part of it; ``TeamSlow``: not in time.
            TeamRefused: the cluster refused.
        """
        loop = asyncio.get_running_loop()

        def tell(line: dict[str, Any]) -> None:
            if on_line is not None:
                loop.call_soon_threadsafe(on_line, line)

        body = None if plain is None else json.dumps(plain, separators=(",", ":")).encode()
        call = _Call(method, path, headers or {}, body, timeout_s, tell if on_line else None)
        answer = loop.run_in_executor(self._pool, self._exchange, call)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(retrieve_exception)
            call.is_given_up = True
            _cut(call.connection)
            raise

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            idle, self._idle, self._is_closed = self._idle, [], True
        for connection in idle:
            connection.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # On a thread of the pool.

    def _exchange(self, call: _Call) -> dict[str, Any]:
        try:
            response = self._response(call)
            answer = _read(response, call.on_line)
        except (TeamRefused, TeamUnreachable):
            _close(call.connection)
            raise
        except TimeoutError:
            _close(call.connection)
            raise TeamSlow(f"no answer for {call.timeout_s:.1f} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            _close(call.connection)
            raise TeamUnreachable(_reason(error)) from None
        assert call.connection is not None
        with self._lock:
            may_stay = not (response.will_close or call.is_given_up or self._is_closed)
            if may_stay:
                self._idle.append(call.connection)
        if not may_stay:
            call.connection.close()
        return answer

    def _response(self, call: _Call) -> http.client.HTTPResponse:
        """The head of an answer; a connection that was idle may turn out to be gone."""
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            with suppress(OSError, http.client.HTTPException):
                return self._send(idle, call)
            idle.close()
        return self._send(self._connection(), call)

    def _send(
        self, connection: http.client.HTTPConnection, call: _Call
    ) -> http.client.HTTPResponse:
        call.connection = connection
        if call.is_given_up:
            raise ConnectionError("given up")
        headers = {"content-type": "application/json", **call.headers}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        if cast("socket.socket | None", connection.sock) is None:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock.settimeout(max(0.05, call.timeout_s))
        connection.request(call.method, self._prefix + call.path, call.body, headers)
        return connection.getresponse()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_TIMEOUT_S)
        trusted = ssl.create_default_context(cafile=self._certificate or None)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=CONNECT_TIMEOUT_S, context=trusted
        )


def _read(response: http.client.HTTPResponse, on_line: OnLine | None) -> dict[str, Any]:
    if response.status != 200:
        raise _failure(response.status, response.read())
    if on_line is None:
        content = response.read()
        if response.headers.get("content-encoding") == "gzip":
            content = decompress(content, MAX_WBITS | 16)
        return json.loads(content)
    last: dict[str, Any] = {}
    for line in response:
        last = json.loads(line)
        on_line(last)
    if not last:
        raise http.client.IncompleteRead(b"")
    return last


def _failure(status: int, content: bytes) -> Exception:
    try:
        message = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP status {status}"
    if 400 <= status < 500 and status not in (408, 429):
        return TeamRefused(message)
    return TeamUnreachable(message)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return str(error) or type(error).__name__


def _cut(connection: http.client.HTTPConnection | None) -> None:
    """End a connection that a thread reads from; the cluster sees that nobody waits."""
    if connection is not None and connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _close(connection: http.client.HTTPConnection | None) -> None:
    if connection is not None:
        connection.close()
