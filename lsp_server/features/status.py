"""Our own requests: longllama/status, longllama/memory, longllama/explain."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lsp_server.engine_client import EngineGone, EngineState

if TYPE_CHECKING:
    from lsp_server.server import Server

STATUS = "longllama/status"
MEMORY = "longllama/memory"
EXPLAIN = "longllama/explain"
WAIT = "longllama/waitUntilIndexed"


def register(server: "Server") -> None:
    """Register the messages of this family."""
    session = server.session

    @server.feature(STATUS)
    async def status(_: Any) -> dict[str, Any]:
        answer = asdict(session.status())
        engine = session.engine
        if engine is not None and engine.state is EngineState.READY:
            try:
                answer["engine"] = asdict(await engine.status())
            except EngineGone:
                answer["engine"] = None
        return answer

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
                for file in files
            ]
        }

    @server.feature(EXPLAIN)
    def explain(params: Any) -> dict[str, Any] | None:
        return session.explain(getattr(params, "id", None))

    @server.feature(WAIT)
    async def wait_until_indexed(_: Any) -> dict[str, Any]:
        if session.indexer is not None:
            await session.indexer.wait_idle()
        return asdict(session.status())
