"""Definitions as memory: the engine encodes them in advance, while nothing else is to be done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from longllama_code.protocol import EncodedDefinitions
from lsp_server.engine.connection import EngineError, EngineGone

logger = logging.getLogger(__name__)


class DefinitionEngine(Protocol):
    """Engine, as far as encoding in advance needs it."""

    async def encode_definitions(self) -> EncodedDefinitions:
        """Encode some definitions."""
        ...


class DefinitionEncoding:
    """Owner of the task that has the engine encode definitions. Lives on the event loop.

    Args:
        engine: returns the engine, or None while nothing may be encoded.
        on_used: called when definitions were encoded that the last request lacked.
    """

    def __init__(
        self, engine: Callable[[], DefinitionEngine | None], on_used: Callable[[], None]
    ) -> None:
        self._engine, self._on_used = engine, on_used
        self._task: asyncio.Task[None] | None = None
        self._is_due = False

    def start(self) -> None:
        """Encode from now on, until nothing is left; begin with what the last request lacked."""
        self._is_due = True
        if self._engine() is not None and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="definitions")

    async def stop(self) -> None:
        """End; what is encoded stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while (engine := self._engine()) is not None:
            was_due, self._is_due = self._is_due, False
            try:
                step = await engine.encode_definitions()
            except (EngineGone, EngineError) as error:
                logger.info("no definition was encoded in advance: %s", error)
                return
            if was_due and step.n_encoded:
                self._on_used()
            if not step.n_left and not self._is_due:
                return
