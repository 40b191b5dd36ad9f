"""workspace/executeCommand: what the user asks for by name.

Commands that answer in words show them as a message too, as many clients drop what a command
returns. A program asks by the requests of ``features.status`` instead.
"""

from typing import TYPE_CHECKING, Any

from lsp_server import describe
from lsp_server.engine.client import EngineError, EngineGone
from lsp_server.handlers.completion import DID_ACCEPT
from lsp_server.handlers.diagnosis import diagnosis
from lsp_server.handlers.status import full_status

if TYPE_CHECKING:
    from lsp_server.server import Server


def register(server: "Server") -> None:
    """Register our commands. pygls honours no default argument, so all take what comes."""
    _register_indexing(server)
    _register_engine(server)
    _register_switches(server)
    _register_questions(server)

    @server.command(DID_ACCEPT)
    def did_accept(*_: Any) -> None:
        """Nothing is counted; the command exists so that clients can say so."""


def _register_indexing(server: "Server") -> None:
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

    @server.command("longllama.clearMemory")
    def clear_memory(*_: Any) -> None:
        if session.indexer is not None:
            session.indexer.clear()


def _register_engine(server: "Server") -> None:
    session = server.session

    @server.command("longllama.clearStore")
    async def clear_store(*_: Any) -> int | None:
        try:
            n_removed = await session.clear_store()
        except (EngineGone, EngineError) as error:
            server.say(f"Nothing was removed: {error}", is_warning=True)
            return None
        server.say(f"{n_removed} encoded segments were removed; those in memory stay.")
        return n_removed

    @server.command("longllama.restart")
    async def restart(*_: Any) -> None:
        await session.restart()


def _register_switches(server: "Server") -> None:
    session = server.session

    @server.command("longllama.toggle")
    async def toggle(*_: Any) -> bool:
        return await session.toggle()

    @server.command("longllama.toggleLanguage")
    def toggle_language(*arguments: Any) -> bool | None:
        language = arguments[0] if arguments else None
        if not isinstance(language, str) or not language:
            server.say('longllama.toggleLanguage needs a language id, such as "python".')
            return None
        return session.toggle_language(language)


def _register_questions(server: "Server") -> None:
    session = server.session

    @server.command("longllama.showStatus")
    async def show_status(*_: Any) -> dict[str, Any]:
        status = await full_status(session)
        server.say(describe.status(status))
        return status

    @server.command("longllama.explain")
    def explain(*arguments: Any) -> dict[str, Any] | None:
        suggestion_id = arguments[0] if arguments and isinstance(arguments[0], str) else None
        explained = session.suggester.explain(suggestion_id)
        server.say(describe.explanation(explained))
        return explained

    @server.command("longllama.diagnose")
    async def diagnose(*_: Any) -> dict[str, Any]:
        found = await diagnosis(server)
        server.say(found["text"], is_warning=not found["ok"])
        return found
