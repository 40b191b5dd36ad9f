"""Our own requests: longllama/status, longllama/memory, longllama/explain."""

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lsp_server.engine.client import EngineGone

if TYPE_CHECKING:
    from lsp_server.server import Server
    from lsp_server.session import Session

STATUS = "longllama/status"
MEMORY = "longllama/memory"
EXPLAIN = "longllama/explain"
WAIT = "longllama/waitUntilIndexed"


def register(server: "Server") -> None:
    """Register the messages of this family."""
    session = server.session

    @server.feature(STATUS)
    async def status(_: Any) -> dict[str, Any]:
        return await full_status(session)

    @server.feature(MEMORY)
    def memory(_: Any) -> dict[str, Any]:
        files = session.indexer.files if session.indexer else ()
        return {
            "files": [
                {
                    "path": file.name,
                    "state": file.state.value,
                    "reason": file.reason,
                    "tokens": file.n_tokens,
                    "bytes": file.size_bytes,
                }
                for file in sorted(files, key=lambda file: file.name)
            ]
        }

    @server.feature(EXPLAIN)
    def explain(params: Any) -> dict[str, Any] | None:
        return session.suggester.explain(getattr(params, "id", None))

    @server.feature(WAIT)
    async def wait_until_indexed(_: Any) -> dict[str, Any]:
        return asdict(await session.wait_until_settled())


async def full_status(session: "Session") -> dict[str, Any]:
    """The status, with what the engine holds; None in its place where it cannot be asked."""
    engine = session.engine
    held: dict[str, Any] | None = None
    if engine is not None and engine.ready:
        with suppress(EngineGone):
            held = asdict(await engine.status())
    pid = engine.pid if engine is not None else None
    return {**asdict(session.status()), "engine": held, "engine_pid": pid}
