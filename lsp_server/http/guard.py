"""Who may ask: no web page, and beyond loopback nobody without the token.

A page can send requests to ports of this machine. A browser says so by ``Origin``, and by
``Sec-Fetch-Site`` where it leaves that out. By DNS rebinding a page can make its own host's name
lead here, so that the browser takes us for that host: then ``Host`` has its name.
"""

import hmac
import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lsp_server.http.app import refusal
from lsp_server.http.errors import Refused

OPEN_PATHS = ("/health", "/v1/health")
"""Paths that need no token, as with llama.cpp's server."""
OUR_SITES = ("none", "same-origin")
"""Values of ``Sec-Fetch-Site`` of requests that no page has caused."""


@dataclass(frozen=True)
class Guard:
    """Application that passes on the requests of those who may ask."""

    app: ASGIApp
    token: str | None
    """What requests must bring; None: only this machine can reach the server."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            try:
                self.check(Headers(scope=scope), scope["path"])
            except Refused as refused:
                await refusal(refused)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def check(self, headers: Headers, path: str) -> None:
        """Check where a request is from.

        Raises:
            Refused: it may not be answered.
        """
        if headers.get("sec-fetch-site", "none").lower() not in OUR_SITES or "origin" in headers:
            source = printable(headers.get("origin", "another site"))
            raise _forbidden(f"web pages may not ask, and this request is from {source}.")
        if self.token is None:
            if not is_this_machine(headers.get("host", "")):
                host = printable(headers.get("host", "no host"))
                raise _forbidden(f"the request is for {host}; ask 127.0.0.1 or localhost.")
        elif path not in OPEN_PATHS and not _is_same(_token_in(headers), self.token):
            raise Refused(
                401,
                "authentication_error",
                "the token is missing or wrong; send `Authorization: Bearer TOKEN` with the one"
                " that the server was given or has printed.",
                headers={"WWW-Authenticate": "Bearer"},
            )


def is_this_machine(host: str) -> bool:
    """Whether a value of ``Host`` names this machine by a name that only it can have."""
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def printable(text: str) -> str:
    """Return the beginning of a header's value as it may be sent back."""
    return repr(text[:100])


def _token_in(headers: Headers) -> str:
    given = headers.get("authorization", "")
    scheme, _, token = given.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", given)


def _is_same(given: str, token: str) -> bool:
    # Headers are bytes, which were decoded as Latin-1.
    return hmac.compare_digest(given.encode("latin-1"), token.encode())


def _forbidden(message: str) -> Refused:
    return Refused(403, "permission_error", message)
