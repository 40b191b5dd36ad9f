"""workspace/executeCommand."""

from typing import TYPE_CHECKING, Any

from lsp_server.features.completion import DID_ACCEPT

if TYPE_CHECKING:
    from lsp_server.server import Server


def register(server: "Server") -> None:
    """Register our commands. pygls honours no default argument, so all take what comes."""
    session = server.session

    @server.command("longllama.reindex")
    def reindex(*_: Any) -> None:
        if session.indexer is not None:
            session.indexer.reindex()

    @server.command("longllama.pauseIndexing")
    def pause(*_: Any) -> None:
        if session.indexer is not None:
            session.indexer.pause()

    @server.command("longllama.resumeIndexing")
    def resume(*_: Any) -> None:
        if session.indexer is not None:
            session.indexer.resume()

    @server.command("longllama.restart")
    async def restart(*_: Any) -> None:
        await session.restart()

    @server.command(DID_ACCEPT)
    def did_accept(*_: Any) -> None:
        """Nothing is counted; the command exists so that clients can say so."""
