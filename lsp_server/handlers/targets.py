"""Cursors in open documents, what is suggested there, and the range that it replaces.

All requests for a suggestion come through here, in whatever words a client asks.
"""

import asyncio
from dataclasses import asdict, dataclass, replace

from lsprotocol import types

from longllama_code.source_files.model_text import model_text
from lsp_server.convert import encoding_of, lsp_position, position_of
from lsp_server.documents.document import Document, Position
from lsp_server.server import Server
from lsp_server.statistics.offer import Offer
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.suggestion import Suggestion


@dataclass(frozen=True)
class Target:
    """Cursor in an open document, and the range of it that a suggestion replaces.

    The cursor has the text of when the request came; the user may go on editing meanwhile.
    """

    document: Document
    cursor: CursorContext
    range: types.Range
    line_start: str
    """Text of the line before the range."""
    selected: str = ""
    """Text of the popup's selected item, with which ghost text must begin."""


def target_at(server: Server, uri: str, position: Position, *, is_automatic: bool) -> Target | None:
    """Return the target at a position, moved into the document; None if it is not open."""
    document = server.session.documents.get(uri)
    if document is None:
        is_lost = server.session.documents.is_lost(uri)
        server.session.suggester.refuse("out_of_step" if is_lost else "not_open")
        return None
    encoding = encoding_of(server.server_capabilities)
    offset = document.offset(position, encoding)
    at = lsp_position(document.position(offset, encoding))
    before, after = document.text[:offset], document.text[offset:]
    cursor = server.session.cursor(document, before, after, is_automatic=is_automatic)
    return Target(document, cursor, types.Range(at, at), _last_line(before))


def with_selected_item(
    server: Server, target: Target, selected: types.SelectedCompletionInfo
) -> Target:
    """Return the target as if the selected item of the popup had been accepted."""
    document, encoding = target.document, encoding_of(server.server_capabilities)
    start, end = (
        document.offset(position_of(position), encoding)
        for position in (selected.range.start, selected.range.end)
    )
    before = document.text[:start]
    cursor = server.session.cursor(
        document,
        before + selected.text,
        document.text[end:],
        is_automatic=target.cursor.is_automatic,
    )
    place = types.Range(*(lsp_position(document.position(at, encoding)) for at in (start, end)))
    return Target(document, cursor, place, _last_line(before), selected.text)


async def suggest(server: Server, target: Target) -> Suggestion | None:
    """Return a suggestion; None if there is none, or if the user has typed on since."""
    cursor, loop = target.cursor, asyncio.get_running_loop()
    began = loop.time()
    suggestion = await server.session.suggest(cursor)
    _trace(server, suggestion)
    server.larger_model_offer.on_suggestion()
    is_stale = cursor.is_automatic and target.document.version != cursor.version
    if not suggestion.text or is_stale:
        return None
    _count(server, target, suggestion, loop.time() - began)
    return suggestion


def fits_of(suggestion: Suggestion) -> tuple[Fit, ...]:
    """Return a suggestion's text and its alternatives."""
    return (Fit(suggestion.text, suggestion.n_replaced), *suggestion.alternatives)


def replaced_range(server: Server, target: Target, fit: Fit) -> types.Range:
    """Return the range that a text replaces, which may go on behind the cursor on its line."""
    if not fit.n_replaced:
        return target.range
    document, encoding = target.document, encoding_of(server.server_capabilities)
    end = document.offset(position_of(target.range.end), encoding) + fit.n_replaced
    return types.Range(target.range.start, lsp_position(document.position(end, encoding)))


def from_line_start(target: Target, place: types.Range, text: str) -> tuple[types.Range, str]:
    """Return a range and its text, both from the start of the range's first line."""
    start = types.Position(place.start.line, 0)
    return types.Range(start, place.end), target.line_start + text


def _count(server: Server, target: Target, suggestion: Suggestion, seconds: float) -> None:
    """Tell the counter of a suggestion, so that it counts what becomes of it; it keeps no text."""
    document, encoding = target.document, encoding_of(server.server_capabilities)
    start, end = (
        document.offset(position_of(position), encoding)
        for position in (target.range.start, target.range.end)
    )
    result = suggestion.result
    server.session.statistics.counter.offered(
        Offer(
            id=suggestion.id,
            uri=document.uri,
            language=document.language,
            before=model_text(document.text[:start]),
            after=model_text(document.text[end:]),
            fits=tuple(
                replace(fit, text=target.selected + fit.text) for fit in fits_of(suggestion)
            ),
            latency_ms=round(1000 * seconds),
            is_automatic=target.cursor.is_automatic,
            probability=result.probability if result is not None else 0.0,
            model=server.session.settings.model.path,
        )
    )


def _last_line(text: str) -> str:
    return text[max(text.rfind("\n"), text.rfind("\r")) + 1 :]


def _trace(server: Server, suggestion: Suggestion) -> None:
    """Send ``$/logTrace`` with the outcome of a request, if the client wants it; never any text."""
    trace = server.protocol.trace
    if trace is types.TraceValue.Off:
        return
    outcome = suggestion.reason or f"{len(suggestion.text)} characters"
    verbose: str | None = None
    if trace is types.TraceValue.Verbose and suggestion.result is not None:
        verbose = str(asdict(suggestion.result.timings))
    message = f"suggestion {suggestion.id}: {outcome}"
    server.log_trace(types.LogTraceParams(message=message, verbose=verbose))
