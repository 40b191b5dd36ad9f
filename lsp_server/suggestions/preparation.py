"""Preparation of the engine for the first request in a document that was opened."""

import logging

from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.settings.declarations import Settings
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.pending_request import CompletionEngine
from lsp_server.suggestions.request import build_request, refuse

logger = logging.getLogger(__name__)


async def prepare(
    cursor: CursorContext, settings: Settings, engine: CompletionEngine | None
) -> None:
    """Have the engine read what prompts of a document begin with.

    Does nothing if the engine is not ready, or if nothing would be suggested at the cursor.

    Args:
        cursor: the document, with the cursor at its end if its place is not known.
        settings: the settings now.
        engine: the engine; None if it was stopped.
    """
    if engine is None or engine.state is not EngineState.READY or not settings.completion.ahead:
        return
    if refuse(cursor, settings, is_ahead=True) is not None:
        return
    try:
        await engine.prepare(build_request(cursor, settings, is_ahead=True))
    except (EngineGone, EngineError) as error:
        logger.info("%s was not read before its first request: %s", cursor.path, error)
