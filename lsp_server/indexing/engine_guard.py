"""The engine as indexing uses it: from its end until it is ready again, it is asked nothing.

The end of an engine is noticed some time after its requests begin to fail. All that would be asked
meanwhile would fail at once, and files that had no part in it would count as its cause.
"""

from collections.abc import Awaitable
from typing import TypeVar

from longllama_code.protocol import RememberResult
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.memory_writer import MemoryWriter

T = TypeVar("T")


class EngineGuard:
    """``MemoryWriter`` that is not ready from a request that found no engine until `note_start`.

    An engine on another machine that cannot be reached stays ready: nobody starts it again here.

    Args:
        engine: engine that is asked.
    """

    def __init__(self, engine: MemoryWriter) -> None:
        self._engine = engine
        self._has_ended = False
        self._n_starts = 0

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self._engine.ready and not self._has_ended

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's record in memory; 0 before the engine was ready."""
        return self._engine.token_bytes

    @property
    def is_limited(self) -> bool:
        """Whether the memory budget applies; False if the memory is another machine's."""
        return self._engine.is_limited

    def note_start(self) -> None:
        """Note that an engine is ready with an empty memory."""
        self._has_ended = False
        self._n_starts += 1

    async def remember(self, path: str, text: str, folder: str, /) -> RememberResult:
        """Take a file into memory."""
        return await self._answer(self._engine.remember(path, text, folder))

    async def define(self, texts: dict[str, str]) -> bool:
        """Take in what files define, before they are remembered."""
        return await self._answer(self._engine.define(texts))

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        await self._answer(self._engine.forget(paths))

    async def _answer(self, request: Awaitable[T]) -> T:
        n_starts = self._n_starts
        try:
            return await request
        except EngineAway:
            raise
        except EngineGone:
            # Another engine may be ready by now: this request was for the one before it.
            self._has_ended |= n_starts == self._n_starts
            raise
