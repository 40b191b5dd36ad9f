"""Requests about the server itself: its status, its memory, its last suggestion."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any, cast

from longllama_code.protocol import ClearedStore
from lsp_server.engine.client import EngineError, EngineGone
from lsp_server.indexing.left_out import why_left_out
from lsp_server.server import Server
from lsp_server.session import Session


async def status(server: Server, _: Any) -> dict[str, Any]:
    """Return the status of server and engine."""
    return await full_status(server.session)


def memory(server: Server, _: Any) -> dict[str, Any]:
    """Return every known file, by path: its state, its size, and why it is left out."""
    indexer, settings = server.session.indexer, server.session.settings
    files = indexer.files if indexer is not None else ()
    return {
        "files": [
            {
                "path": file.name,
                "state": file.state.value,
                "reason": file.reason,
                "why": why_left_out(file.reason, file.size_bytes, settings.memory),
                "tokens": file.n_tokens,
                "bytes": file.size_bytes,
            }
            for file in sorted(files, key=lambda file: file.name)
        ]
    }


def explain(server: Server, params: Any) -> dict[str, Any] | None:
    """Return where a suggestion came from; without an id, the last one."""
    suggestion_id = cast("dict[str, Any]", params).get("id") if isinstance(params, dict) else None
    return server.session.suggester.explain(
        suggestion_id if isinstance(suggestion_id, str) else None
    )


async def wait_until_indexed(server: Server, _: Any) -> dict[str, Any]:
    """Return the status once the memory is up to date, or cannot be brought up to date."""
    return asdict(await server.session.wait_until_settled())


async def clear_store(server: Server, _: Any) -> dict[str, Any]:
    """Empty the memory and remove what is stored on disk.

    Return what was removed and what stays, or the ``problem`` because of which all stays.
    """
    cleared, problem = ClearedStore(), None
    try:
        cleared = await server.session.backend.clear_store()
    except (EngineGone, EngineError) as error:
        problem = str(error)
    return {**asdict(cleared), "problem": problem}


async def full_status(session: Session) -> dict[str, Any]:
    """Return the status of session and engine; the latter is None if the engine cannot say."""
    engine = session.engine
    engine_status: dict[str, Any] | None = None
    if engine is not None and engine.ready:
        with suppress(EngineGone, EngineError):
            engine_status = asdict(await engine.status())
    pid = engine.pid if engine is not None else None
    return {**asdict(session.status()), "engine": engine_status, "engine_pid": pid}
