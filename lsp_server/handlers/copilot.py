"""Requests for suggestions in the words of Copilot's language server, for its older clients.

Newer ones send ``textDocument/inlineCompletion``, as the protocol has it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from lsp_server import methods
from lsp_server.documents.document import Position
from lsp_server.handlers.targets import (
    Target,
    fits_of,
    from_line_start,
    replaced_range,
    suggest,
    target_at,
)
from lsp_server.server import Server
from lsp_server.suggestions.suggestion import Suggestion

MAX_DIGITS = 4
"""Digits of an alternative's number from which it is none of ours."""

Json = dict[str, Any]


async def get_completions(server: Server, params: Any) -> Json:
    """Return the suggestion at a position, as typing asks for it."""
    return {"completions": await _completions(server, params, is_automatic=True)}


async def get_completions_cycling(server: Server, params: Any) -> Json:
    """Return all candidates at a position, as a key asks for them."""
    return {"completions": await _completions(server, params, is_automatic=False)}


async def get_panel_completions(server: Server, params: Any) -> Json:
    """Send all candidates at a position to a panel, and return how many they are."""
    panel = cast("Json", params).get("panelId") if isinstance(params, dict) else None
    target = _target(server, params, is_automatic=False)
    suggestion = await suggest(server, target) if target else None
    solutions = _solutions(target, suggestion) if target and suggestion else []
    for solution in solutions:
        server.protocol.notify(methods.PANEL_SOLUTION, {"panelId": panel, **solution})
    server.protocol.notify(methods.PANEL_SOLUTIONS_DONE, {"panelId": panel, "status": "OK"})
    return {"solutionCountTarget": len(solutions)}


async def _completions(server: Server, params: Any, *, is_automatic: bool) -> list[Json]:
    target = _target(server, params, is_automatic=is_automatic)
    suggestion = await suggest(server, target) if target else None
    return _as_completions(server, target, suggestion) if target and suggestion else []


def _target(server: Server, params: Any, *, is_automatic: bool) -> Target | None:
    """Return the target that a request names; None if its document is not open.

    Raises:
        JsonRpcInvalidParams: it names none.
    """
    match params:
        case {
            "doc": {
                "uri": str(uri),
                "position": {"line": int(line), "character": int(character)},
            }
        }:
            position = Position(max(line, 0), max(character, 0))
            return target_at(server, uri, position, is_automatic=is_automatic)
        case _:
            raise JsonRpcInvalidParams("doc.uri and doc.position are needed")


def _as_completions(server: Server, target: Target, suggestion: Suggestion) -> list[Json]:
    """Return a suggestion and its alternatives, each with the line up to the cursor before it."""
    position = _as_json(target.range.start)
    found: list[Json] = []
    for number, fit in enumerate(fits_of(suggestion)):
        place, text = from_line_start(target, replaced_range(server, target, fit), fit.text)
        found.append(
            {
                "uuid": candidate_id(suggestion.id, number),
                "text": text,
                "displayText": fit.text,
                "range": {"start": _as_json(place.start), "end": _as_json(place.end)},
                "position": position,
                "docVersion": target.cursor.version,
            }
        )
    return found


def _solutions(target: Target, suggestion: Suggestion) -> list[Json]:
    """Return a suggestion and its alternatives for a panel, from which clients insert a text."""
    fits = fits_of(replace(suggestion, text=suggestion.insertion, n_replaced=0))
    at = _as_json(target.range.start)
    return [
        {
            "solutionId": candidate_id(suggestion.id, number),
            "completionText": fit.insertion,
            "displayText": fit.insertion,
            "range": {"start": at, "end": at},
            "score": len(fits) - number,
        }
        for number, fit in enumerate(fits)
        if fit.insertion
    ]


def candidate_id(suggestion_id: str, number: int) -> str:
    """Return the id of a suggestion, or of one of its alternatives, which clients tell apart."""
    return f"{suggestion_id}.{number}" if number else suggestion_id


def suggestion_and_number(name: str) -> tuple[str, int]:
    """Return the suggestion that an id of `candidate_id` names, and which of its texts."""
    suggestion_id, _, number = name.partition(".")
    is_number = number.isascii() and number.isdigit() and len(number) < MAX_DIGITS
    return suggestion_id, int(number) if is_number else 0


def _as_json(position: types.Position) -> Mapping[str, int]:
    return {"line": position.line, "character": position.character}
