"""A request for a suggestion that has no answer yet."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from longllama_code.protocol import CompletionRequest, CompletionResult, OnProgress
from lsp_server.engine.client import EngineState
from lsp_server.settings.declarations import Settings
from lsp_server.suggestions.cursor_context import CursorContext


class CompletionEngine(Protocol):
    """The part of an engine client that suggestions need."""

    @property
    def state(self) -> EngineState:
        """Whether the engine can be asked."""
        ...

    async def complete(
        self, request: CompletionRequest, on_progress: OnProgress, /
    ) -> CompletionResult:
        """Return the completion; `on_progress` gets its text as it grows."""
        ...

    async def prepare(self, request: CompletionRequest, /) -> int:
        """Read what prompts of a file begin with; return the number of tokens read."""
        ...


class RequestEnded(Exception):  # noqa: N818 - no error: the request has its answer
    """The request was answered without the engine, with a reason code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _new_future() -> "asyncio.Future[str]":
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, eq=False)
class PendingRequest:
    """Cursor and settings of a request, the engine that answers it, and its end."""

    cursor: CursorContext
    settings: Settings
    engine: CompletionEngine
    was_typed_on: Callable[[], bool]
    """Whether text was added at the cursor since."""
    is_ahead: bool = False
    """Whether nobody waits for the answer yet: it is computed before it is requested."""
    ended: "asyncio.Future[str]" = field(init=False, default_factory=_new_future)
    """Gets the reason code once the request no longer waits for the engine."""

    @property
    def is_typing(self) -> bool:
        """Whether a user who types waits for the answer."""
        return self.cursor.is_automatic and not self.is_ahead

    def end(self, reason: str) -> None:
        """Stop waiting for the engine; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(reason)
