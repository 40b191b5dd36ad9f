"""``textDocument/inlineCompletion``, and ``textDocument/completion`` for clients without it."""

from dataclasses import replace
from typing import Any

from lsprotocol import types

from longllama_code.source_files.model_text import model_text
from lsp_server.convert import encoding_of, lsp_position, position_of
from lsp_server.documents.document import Position
from lsp_server.handlers.targets import (
    Target,
    fits_of,
    from_line_start,
    replaced_range,
    suggest,
    target_at,
    with_selected_item,
)
from lsp_server.methods import DID_ACCEPT
from lsp_server.server import Server
from lsp_server.status import describe
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.suggestion import Suggestion

MAX_LABEL_CHARS = 60


async def inline_completion(
    server: Server, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Return the suggestion at a position as ghost text."""
    context = params.context
    is_automatic = context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
    position = position_of(params.position)
    target = target_at(server, params.text_document.uri, position, is_automatic=is_automatic)
    if target is None:
        return types.InlineCompletionList([])
    if context.selected_completion_info is not None:
        target = with_selected_item(server, target, context.selected_completion_info)
    suggestion = await suggest(server, target)
    return types.InlineCompletionList(
        _inline_items(server, target, suggestion) if suggestion else []
    )


async def completion(server: Server, params: types.CompletionParams) -> types.CompletionList:
    """Return the suggestion at a position as an item of a popup, unless the client has ghost text.

    Clients that show ghost text request both, and one answer is enough.
    """
    # Clients say "invoked" whenever the user types a word, so every request counts as automatic.
    position = position_of(params.position)
    target = target_at(server, params.text_document.uri, position, is_automatic=True)
    if target is None or _has_ghost_text(server):
        return types.CompletionList(is_incomplete=False, items=[])
    suggestion = await suggest(server, target)
    if suggestion is not None and not server.popups_replace:
        suggestion = replace(suggestion, text=suggestion.insertion, n_replaced=0)
    items = [_popup_item(server, target, suggestion)] if suggestion and suggestion.text else []
    return types.CompletionList(is_incomplete=True, items=items)


def did_move_cursor(server: Server, params: Any) -> None:
    """Have the engine read the text around a cursor that rests, ahead of the next key."""
    place = _place(params)
    document = None if place is None else server.session.documents.get(place[0])
    if place is None or document is None:
        return
    offset = document.offset(place[1], encoding_of(server.server_capabilities))
    session = server.session
    before, after = document.text[:offset], document.text[offset:]
    session.statistics.counter.moved(document.uri, len(model_text(before)))
    if session.snooze.is_on:
        return
    cursor = session.cursor(document, before, after, is_automatic=True)
    session.suggester.cursor_moved(cursor, session.settings, session.engine)


def _place(params: Any) -> tuple[str, Position] | None:
    """Return the document and the position that a notification names; None if it is malformed."""
    match params:
        case {
            "textDocument": {"uri": str(uri)},
            "position": {"line": int(line), "character": int(character)},
        }:
            return uri, Position(max(line, 0), max(character, 0))
        case _:
            return None


def resolve(server: Server, item: types.CompletionItem) -> types.CompletionItem:
    """Add to an item of a popup where its suggestion came from."""
    explained = server.session.suggester.explain(str(item.data)) if item.data else None
    if explained is not None:
        text = item.text_edit.new_text if item.text_edit else item.label
        item.documentation = f"{text}\n\n{describe.explanation(explained)}"
    return item


def _inline_items(
    server: Server, target: Target, suggestion: Suggestion
) -> list[types.InlineCompletionItem]:
    """Return a suggestion and its alternatives as ghost text."""
    items: list[types.InlineCompletionItem] = []
    for number, fit in enumerate(fits_of(suggestion)):
        place, text = replaced_range(server, target, fit), target.selected + fit.text
        command = _accepting(suggestion, number)
        if server.is_for_copilot:
            command.arguments = [suggestion.id, number, _n_units(target.line_start)]
            place, text = from_line_start(target, place, text)
        items.append(types.InlineCompletionItem(text, range=place, command=command))
    return items


def _popup_item(server: Server, target: Target, suggestion: Suggestion) -> types.CompletionItem:
    """Return a suggestion as an item of a popup, which filters by the word before the cursor."""
    document, word = target.document, target.cursor.word
    encoding = encoding_of(server.server_capabilities)
    offset = document.offset(position_of(target.range.end), encoding)
    start = lsp_position(document.position(offset - len(word), encoding))
    replaced = replaced_range(server, target, Fit(suggestion.text, suggestion.n_replaced))
    text = word + suggestion.text
    return types.CompletionItem(
        label=text.strip().partition("\n")[0][:MAX_LABEL_CHARS],
        kind=types.CompletionItemKind.Text,
        detail="longllama",
        documentation=text,
        sort_text="\0",  # before all items of other servers
        filter_text=text,
        insert_text_format=types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(types.Range(start, replaced.end), text),
        data=suggestion.id,
        command=_accepting(suggestion),
    )


def _accepting(suggestion: Suggestion, number: int = 0) -> types.Command:
    """Return the command that tells that a suggestion, or one of its alternatives, was accepted."""
    arguments = [suggestion.id, number] if number else [suggestion.id]
    return types.Command("accepted", DID_ACCEPT, arguments=arguments)


def _n_units(text: str) -> int:
    """Return the length of a text in UTF-16 units, in which clients of Copilot's server count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _has_ghost_text(server: Server) -> bool:
    text_document = server.client_capabilities.text_document
    return text_document is not None and text_document.inline_completion is not None
