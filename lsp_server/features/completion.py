"""textDocument/inlineCompletion, and textDocument/completion for clients without it."""

from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.completion import Cursor, Suggestion
from lsp_server.convert import encoding_of, lsp_position, position_of
from lsp_server.documents import Document

if TYPE_CHECKING:
    from lsp_server.server import Server

DID_ACCEPT = "longllama.didAccept"
LABEL_CHARS = 60


def register(server: "Server") -> None:
    """Register the messages of this family."""

    # Without the options object pygls does not advertise the feature, and no client ever asks.
    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(
        params: types.InlineCompletionParams,
    ) -> types.InlineCompletionList:
        kind = params.context.trigger_kind
        automatic = kind == types.InlineCompletionTriggerKind.Automatic
        found = await _suggest(server, params.text_document.uri, params.position, automatic)
        items = [_inline_item(*found, params.position)] if found else []
        return types.InlineCompletionList(items)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())
    async def completion(params: types.CompletionParams) -> types.CompletionList:
        # A popup is asked for at every word; only what was invoked is worth the model's time when
        # the client can show ghost text.
        context = params.context
        invoked = context is None or context.trigger_kind == types.CompletionTriggerKind.Invoked
        if _has_inline(server) and not invoked:
            return types.CompletionList(is_incomplete=False, items=[])
        found = await _suggest(server, params.text_document.uri, params.position, not invoked)
        items = [_completion_item(*found, params.position)] if found else []
        return types.CompletionList(is_incomplete=True, items=items)


async def _suggest(
    server: "Server", uri: str, position: types.Position, automatic: bool
) -> tuple[Suggestion, Document] | None:
    document = server.session.documents.get(uri)
    if document is None:
        return None
    offset = document.offset(position_of(position), encoding_of(server.server_capabilities))
    cursor = Cursor(document.snapshot(), offset, automatic)
    suggestion = await server.session.suggest(cursor)
    if not suggestion.text:
        return None
    if automatic and document.version != cursor.snapshot.version:
        return None
    return suggestion, document


def _inline_item(
    suggestion: Suggestion, _: Document, position: types.Position
) -> types.InlineCompletionItem:
    return types.InlineCompletionItem(
        insert_text=suggestion.text,
        range=types.Range(position, position),
        command=types.Command("accepted", DID_ACCEPT, arguments=[suggestion.id]),
    )


def _completion_item(
    suggestion: Suggestion, document: Document, position: types.Position
) -> types.CompletionItem:
    """One popup item; its filter text is the word before the cursor, so that it stays listed."""
    first_line = suggestion.text.strip().partition("\n")[0]
    return types.CompletionItem(
        label=first_line[:LABEL_CHARS],
        kind=types.CompletionItemKind.Text,
        detail="longllama",
        sort_text="\0",
        filter_text=_word_before(document, position),
        insert_text_format=types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(types.Range(position, position), suggestion.text),
        data=suggestion.id,
    )


def _word_before(document: Document, position: types.Position) -> str:
    line = document.text.split("\n")[position.line : position.line + 1]
    before = line[0][: position.character] if line else ""
    word = len(before.rstrip("_")) if not before else 0
    for index in range(len(before), 0, -1):
        if not (before[index - 1].isalnum() or before[index - 1] == "_"):
            word = index
            break
    return before[word:] or " "


def _has_inline(server: "Server") -> bool:
    text_document = server.client_capabilities.text_document
    return text_document is not None and text_document.inline_completion is not None
