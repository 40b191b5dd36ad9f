"""Responses that reach a client which is still sending.

A connection that is closed with unread bytes is reset, and the client loses the response that was
on its way: a refusal of a large body would look like a server that died.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_UNREAD_BYTES = 64 << 20
"""Bytes of a body that are thrown away for the sake of the response."""
LINGER_S = 5.0
"""Time that is spent on that."""


@dataclass(frozen=True)
class Lingering:
    """Application that reads the rest of a request's body once its response was written."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and take what is left of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(receive)
        await self.app(scope, request.receive, _ended_by(request, send))


class _Request:
    """The messages of a request, of which it is known whether more will come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_more = True
        self._n_bytes = 0

    async def receive(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        self._has_more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def read_to_end(self) -> None:
        """Throw away what is left of the body, within limits."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._read(), LINGER_S)

    async def _read(self) -> None:
        most = self._n_bytes + MAX_UNREAD_BYTES
        while self._has_more and self._n_bytes < most:
            await self.receive()


def _ended_by(request: _Request, send: Send) -> Send:
    """Return a function that sends messages, and the last one when the body was read."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await request.read_to_end()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    return sent
