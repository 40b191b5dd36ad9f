"""``longllama/diagnose``: checks of the machine, the engine and the client."""

import asyncio
from dataclasses import asdict
from typing import Any

from lsp_server.convert import encoding_of
from lsp_server.engine.client import EngineError, EngineGone
from lsp_server.server import Server
from lsp_server.session import Session
from lsp_server.status import describe, diagnosis
from lsp_server.status.diagnosis import Check
from lsp_server.status.report import Engine

STATUS_TIMEOUT_S = 5.0
"""Longest wait for the engine's own status, which it gives between two steps of its work."""


async def diagnose(server: Server, _: Any = None) -> dict[str, Any]:
    """Run all checks, and return them as values and as text."""
    session = server.session
    indexer = session.indexer
    n_folders = len({file.path.parent for file in indexer.files}) if indexer else None
    measured = session.suggester.times.measured
    checks = await asyncio.to_thread(
        diagnosis.diagnose, session.settings, session.folders.roots or [], n_folders, measured
    )
    checks += [await _check_engine(session), *_check_client(server), *_check_session(session)]
    return {
        "ok": diagnosis.worst(checks) != "error",
        "checks": [asdict(check) for check in checks],
        "text": "\n".join(diagnosis.as_lines(checks)),
    }


async def _check_engine(session: Session) -> Check:
    """Check whether the engine runs, and how often it was restarted."""
    status = session.status()
    found = f"{status.phase}: {status.message}"
    if status.phase == "failed":
        remedy = "remove the cause, then run longllama.restart."
        return Check("engine", "error", status.message, remedy)
    found += await _threads_of(session.engine)
    if status.engine_restarts:
        found = f"{found}, restarted {status.engine_restarts} times"
        return Check("engine", "warning", found, "its log on stderr says why it ended.")
    return Check("engine", "ok", found)


async def _threads_of(engine: Engine | None) -> str:
    """Say how many threads measured best; nothing if the engine does not say so in time."""
    if engine is None or not engine.ready:
        return ""
    try:
        status = await asyncio.wait_for(engine.status(), STATUS_TIMEOUT_S)
    except (EngineGone, EngineError, asyncio.TimeoutError):
        return ""
    return describe.threads(asdict(status))


def _check_session(session: Session) -> list[Check]:
    """Name what the session does without, and settings that are ignored."""
    without = [
        Check(
            problem.part.name,
            "error" if problem.part.is_needed else "warning",
            problem.reason,
            problem.part.remedy,
        )
        for problem in session.problems
    ]
    ignored = [session.repository_problem, *session.configuration.problems]
    return without + [
        Check("settings", "warning", str(problem), "correct it.")
        for problem in ignored
        if problem is not None
    ]


def _check_client(server: Server) -> list[Check]:
    """Check which of the capabilities that the server uses the client has."""
    has = _client_capabilities(server)
    names = ", ".join(name for name, is_there in has.items() if is_there) or "nothing else"
    encoding = encoding_of(server.server_capabilities)
    checks = [Check("client", "ok", f"positions in {encoding}; it supports {names}")]
    if not has["ghost text"]:
        remedy = "suggestions are shown in its completion popup; a newer client may do better."
        checks.append(Check("client", "warning", "it has no inline completion", remedy))
    return checks


def _client_capabilities(server: Server) -> dict[str, bool]:
    capabilities = server.client_capabilities
    text, workspace, window = (
        capabilities.text_document,
        capabilities.workspace,
        capabilities.window,
    )
    watched = workspace.did_change_watched_files if workspace else None
    return {
        "ghost text": text is not None and text.inline_completion is not None,
        "progress bars": window is not None and bool(window.work_done_progress),
        "configuration": workspace is not None and bool(workspace.configuration),
        "watching files": watched is not None and bool(watched.dynamic_registration),
        "several folders": workspace is not None and bool(workspace.workspace_folders),
    }
