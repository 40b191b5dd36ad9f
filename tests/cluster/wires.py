"""A wire to a server that can be cut, and that notes what went over it."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


class Wire:
    """Forwards connections to where a URL leads, while it is whole."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self._path = parts.path
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self.sent = b""
        """All bytes towards the server."""

    @property
    def url(self) -> str:
        """Where it begins."""
        return f"http://127.0.0.1:{self._port}{self._path}"

    async def mend(self) -> None:
        """Forward what comes."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every connection, and take no other."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(*self._target)
        self._open |= {writer, there[1]}
        pumps = self._pump(reader, there[1], notes=True), self._pump(there[0], writer, notes=False)
        await asyncio.gather(*pumps)
        self._open -= {writer, there[1]}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, notes: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                self.sent += data if notes else b""
                writer.write(data)
                await writer.drain()
        writer.close()
