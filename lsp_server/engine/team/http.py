"""HTTP to a team's engine: requests that can be cancelled, and answers line by line.

Every server imports this module, and few have a team's engine: the library is imported with the
first request.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

MAX_REQUESTS = 8
"""Requests of one window that are under way at once; others wait for one of them to end."""
CONNECT_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 30.0
"""Time that an idle connection is kept, to spare the next request a handshake."""
MIN_TIMEOUT_S = 0.05

OnLine = Callable[[dict[str, Any]], None]


class TeamUnreachable(Exception):  # noqa: N818 - a state of the network, or of the cluster
    """The cluster did not answer; the message says why. A retry may succeed."""


class TeamSlow(TeamUnreachable):
    """The cluster sent nothing within the time limit."""


class TeamRefused(Exception):  # noqa: N818 - an answer
    """The cluster refused the request; the message says why."""


@dataclass(frozen=True)
class TeamAddress:
    """URL of a team's engine, and the credentials for it."""

    url: str
    token: str = field(default="", repr=False)
    certificate: str = ""
    """File of certificates to trust; empty: the system's."""


class TeamHttp:
    """HTTP client of one cluster. Lives on the event loop."""

    def __init__(self, address: TeamAddress) -> None:
        self._address = address
        self._client: httpx2.AsyncClient | None = None

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
        """Send a request and return its answer. Cancelling the caller ends the request.

        Args:
            method: HTTP method.
            path: path and query, below the cluster's URL.
            plain: body of the request, sent as JSON; None: no body.
            headers: additional headers.
            timeout_s: longest wait for the next bytes, not for the whole answer.
            on_line: called with each line, for an answer that is streamed as lines of JSON.

        Returns:
            The answer's JSON object; the last line's where there is ``on_line``.

        Raises:
            TeamSlow: nothing came for ``timeout_s``.
            TeamUnreachable: there was no answer, or it ended too early.
            TeamRefused: the cluster refused the request.
        """
        import httpx2

        content = None if plain is None else json.dumps(plain, separators=(",", ":"))
        timeout = httpx2.Timeout(
            max(MIN_TIMEOUT_S, timeout_s), connect=CONNECT_TIMEOUT_S, pool=None
        )
        try:
            if self._client is None:
                self._client = _client(self._address)
            async with self._client.stream(
                method, path, content=content, headers=headers, timeout=timeout
            ) as response:
                return await _read(response, on_line)
        except httpx2.TimeoutException:
            raise TeamSlow(f"no answer for {timeout_s:.1f} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise TeamUnreachable(_reason(error)) from None

    async def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            await self._client.aclose()


def _client(address: TeamAddress) -> httpx2.AsyncClient:
    """Return a client that talks to the cluster alone: no proxy, no redirect.

    Raises:
        OSError: the file of certificates cannot be read.
    """
    import httpx2

    headers = {"content-type": "application/json"}
    if address.token:
        headers["authorization"] = f"Bearer {address.token}"
    return httpx2.AsyncClient(
        base_url=address.url,
        headers=headers,
        verify=ssl.create_default_context(cafile=address.certificate or None),
        limits=httpx2.Limits(max_connections=MAX_REQUESTS, keepalive_expiry=KEEP_ALIVE_S),
        trust_env=False,
    )


async def _read(response: httpx2.Response, on_line: OnLine | None) -> dict[str, Any]:
    if response.status_code != 200:
        raise _failure(response.status_code, await response.aread())
    if on_line is None:
        return json.loads(await response.aread())
    last: dict[str, Any] = {}
    async for line in response.aiter_lines():  # JSON is sent in ASCII: only "\n" ends a line
        last = json.loads(line)
        on_line(last)
    if not last:
        raise TeamUnreachable("the answer is empty")
    return last


def _failure(status: int, content: bytes) -> Exception:
    try:
        message = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP status {status}"
    if 400 <= status < 500 and status not in (408, 429):
        return TeamRefused(message)
    return TeamUnreachable(message)


def _reason(error: BaseException) -> str:
    """Return the message of the first error in a chain, which says most."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return str(error) or type(error).__name__
