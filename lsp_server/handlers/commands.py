"""``workspace/executeCommand``.

Commands that answer in words also show them as a message, as many clients drop the result of a
command. Programs use the requests in `status` and `diagnosis` instead.

Every command takes any number of arguments: pygls does not support default values, and clients pass
what they like.
"""

from typing import Any

from lsp_server.handlers import diagnosis, statistics, status
from lsp_server.handlers.status import full_status
from lsp_server.notices.messages import show_message
from lsp_server.server import Server
from lsp_server.status import describe


def reindex(server: Server, *_: Any) -> None:
    """Scan the workspace again."""
    if server.session.indexer is not None:
        server.session.indexer.reindex()


def pause_indexing(server: Server, *_: Any) -> None:
    """Pause indexing."""
    server.session.backend.pause_indexing()


def resume_indexing(server: Server, *_: Any) -> None:
    """Resume indexing."""
    server.session.backend.resume_indexing()


def clear_memory(server: Server, *_: Any) -> None:
    """Remove every file from memory."""
    if server.session.indexer is not None:
        server.session.indexer.clear()


async def clear_store(server: Server, *_: Any) -> dict[str, Any]:
    """Remove what is stored on disk, and return how much that was."""
    cleared = await status.clear_store(server, None)
    is_warning = cleared["problem"] is not None
    show_message(server, describe.cleared(cleared), is_warning=is_warning)
    return cleared


async def restart(server: Server, *_: Any) -> None:
    """Restart the engine."""
    await server.session.restart()


async def toggle(server: Server, *_: Any) -> bool:
    """Turn the server off or on; returns whether it is on."""
    return await server.session.toggle()


def toggle_language(server: Server, *arguments: Any) -> bool | None:
    """Turn suggestions in a language off or on; returns whether they are on."""
    language = arguments[0] if arguments else None
    if not isinstance(language, str) or not language:
        show_message(server, 'longllama.toggleLanguage needs a language id, such as "python".')
        return None
    return server.session.toggle_language(language)


async def show_status(server: Server, *_: Any) -> dict[str, Any]:
    """Show the status and return it."""
    status = await full_status(server.session)
    show_message(server, describe.status(status))
    return status


def explain(server: Server, *arguments: Any) -> dict[str, Any] | None:
    """Show and return where a suggestion came from; without an id, the last one."""
    suggestion_id = arguments[0] if arguments and isinstance(arguments[0], str) else None
    explained = server.session.suggester.explain(suggestion_id)
    show_message(server, describe.explanation(explained))
    return explained


async def diagnose(server: Server, *_: Any) -> dict[str, Any]:
    """Run all checks, and show and return what they found."""
    found = await diagnosis.diagnose(server)
    show_message(server, found["text"], is_warning=not found["ok"])
    return found


def did_accept(server: Server, *arguments: Any) -> None:
    """Count that a suggestion was accepted: its id, and which of its alternatives it was."""
    name, number, *_ = [*arguments, None, None]
    if isinstance(name, str):
        number = number if isinstance(number, int) else 0
        server.session.statistics.counter.accepted(name, number=number)


def snooze(server: Server, *arguments: Any) -> int | None:
    """Suggest nothing while the user types, for so many minutes; 0 ends it. Returns those left."""
    minutes = arguments[0] if arguments else None
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes >= 0:
        show_message(server, "longllama.snooze needs a number of minutes, such as 15; 0 ends it.")
    else:
        server.session.snooze.start(minutes)
    return server.session.snooze.minutes_left


async def show_statistics(server: Server, *_: Any) -> dict[str, Any]:
    """Show what was counted, and return it."""
    found = await server.session.statistics.summary()
    show_message(server, describe.statistics(found))
    return found


async def clear_statistics(server: Server, *_: Any) -> dict[str, Any]:
    """Remove what was counted, and return how much that was."""
    cleared = await statistics.clear_statistics(server, None)
    is_warning = cleared["n_removed"] is None
    show_message(server, describe.cleared_statistics(cleared), is_warning=is_warning)
    return cleared
