"""A stream of bytes that ends."""


class ByteStream:
    """Gives its bytes to a reader of messages."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    async def readline(self) -> bytes:
        end = self._data.find(b"\n", self._at) + 1 or len(self._data)
        return await self.readexactly(end - self._at)

    async def readexactly(self, n: int) -> bytes:
        part = self._data[self._at : self._at + n]
        self._at += len(part)
        return part
