"""What clients of Copilot's language server tell about the suggestions that they show."""

from typing import Any, cast

from lsp_server.handlers.copilot import suggestion_and_number
from lsp_server.methods import DID_ACCEPT
from lsp_server.server import Server
from lsp_server.statistics.counter import SuggestionCounter

ANSWER = "OK"


def did_show(server: Server, params: Any) -> None:
    """Count that an item of ``textDocument/inlineCompletion`` is shown."""
    if arguments := _arguments(params):
        _shown(server, arguments[0])


def did_partially_accept(server: Server, params: Any) -> None:
    """Count that the beginning of an item was accepted."""
    match _arguments(params), params:
        case [str(name), int(number), int(line_units)], {"acceptedLength": int(n_units)}:
            _counter(server).accepted(name, max(n_units - line_units, 0), number)
        case _:
            pass


def notify_shown(server: Server, params: Any) -> str:
    """Count that a completion is shown."""
    for name, _ in _candidates(params, "uuid"):
        _shown(server, name)
    return ANSWER


def notify_accepted(server: Server, params: Any) -> str:
    """Count that a completion was accepted, if its length is not told.

    Clients that tell one tell the same for a word of a completion as for the whole. What was
    accepted is then seen in the document.
    """
    has_length = isinstance(params, dict) and "acceptedLength" in params
    for name, number in () if has_length else _candidates(params, "uuid"):
        _counter(server).accepted(name, number=number)
    return ANSWER


def notify_rejected(server: Server, params: Any) -> str:
    """Count that completions were put away."""
    for name, _ in _candidates(params, "uuids"):
        _counter(server).dismissed(name)
    return ANSWER


def _shown(server: Server, name: str) -> None:
    counter = _counter(server)
    counter.client_tells_shown = True
    counter.shown(name)


def _counter(server: Server) -> SuggestionCounter:
    return server.session.statistics.counter


def _arguments(params: Any) -> list[Any]:
    """Return the arguments of the command of an item; empty if it is none of ours."""
    match params:
        case {"item": {"command": {"command": str(command), "arguments": [str(), *_] as found}}}:
            return cast("list[Any]", found) if command == DID_ACCEPT else []
        case _:
            return []


def _candidates(params: Any, key: str) -> list[tuple[str, int]]:
    """Return the suggestions, and which of their alternatives, that a field names."""
    found = cast("dict[str, Any]", params).get(key) if isinstance(params, dict) else None
    names = cast("list[Any]", found) if isinstance(found, list) else [found]
    return [suggestion_and_number(name) for name in names if isinstance(name, str)]
