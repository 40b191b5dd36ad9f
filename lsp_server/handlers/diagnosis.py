"""longllama/diagnose: what may keep the server from working, the client's abilities included."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lsp_server.convert import encoding_of
from lsp_server.diagnosis import Check, as_lines, diagnose, worst

if TYPE_CHECKING:
    from lsp_server.server import Server

DIAGNOSE = "longllama/diagnose"


def register(server: "Server") -> None:
    """Register the messages of this family."""

    @server.feature(DIAGNOSE)
    async def on_diagnose(_: Any) -> dict[str, Any]:
        return await diagnosis(server)


async def diagnosis(server: "Server") -> dict[str, Any]:
    """All checks as plain values, with the same as text."""
    session = server.session
    indexer = session.indexer
    n_folders = len({file.path.parent for file in indexer.files}) if indexer else None
    measured = session.suggester.times.measured
    checks = await asyncio.to_thread(
        diagnose, session.settings, session.roots or [], n_folders, measured
    )
    checks += [_engine(server), *client_checks(server)]
    return {
        "ok": worst(checks) != "error",
        "checks": [asdict(check) for check in checks],
        "text": "\n".join(as_lines(checks)),
    }


def _engine(server: "Server") -> Check:
    status = server.session.status()
    if status.phase == "failed":
        return Check("engine", "error", status.message, "mend it, then run longllama.restart.")
    state = "warning" if status.engine_restarts else "ok"
    restarts = f", started again {status.engine_restarts} times" if status.engine_restarts else ""
    remedy = "its log on stderr says why it ended." if restarts else ""
    return Check("engine", state, f"{status.phase}: {status.message}{restarts}", remedy)


def client_checks(server: "Server") -> list[Check]:
    """What the client can do of what we can use."""
    can = server.client_capabilities
    text, workspace, window = can.text_document, can.workspace, can.window
    watched = workspace.did_change_watched_files if workspace else None
    abilities = {
        "ghost text": text is not None and text.inline_completion is not None,
        "progress bars": window is not None and bool(window.work_done_progress),
        "configuration": workspace is not None and bool(workspace.configuration),
        "watching files": watched is not None and bool(watched.dynamic_registration),
        "several folders": workspace is not None and bool(workspace.workspace_folders),
    }
    missing = [name for name, is_there in abilities.items() if not is_there]
    encoding = encoding_of(server.server_capabilities)
    can_do = ", ".join(name for name, is_there in abilities.items() if is_there) or "none of ours"
    checks = [Check("client", "ok", f"positions in {encoding}; it has {can_do}")]
    if "ghost text" in missing:
        remedy = "suggestions come as items of its completion popup; a newer client may do better."
        checks.append(Check("client", "warning", "it has no inline completion", remedy))
    return checks
