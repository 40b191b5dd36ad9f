"""textDocument/inlineCompletion, and textDocument/completion for clients without it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server import describe
from lsp_server.convert import encoding_of, lsp_position, position_of
from lsp_server.documents.document import Document, Snapshot
from lsp_server.suggestions.request import Cursor, Suggestion

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
        context = params.context
        automatic = context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
        place = _Place.of(server, params.text_document.uri, params.position)
        if place is None:
            return types.InlineCompletionList([])
        if context.selected_completion_info is not None:
            place = place.with_selected(context.selected_completion_info)
        suggestion = await place.suggest(automatic)
        return types.InlineCompletionList(place.inline_items(suggestion) if suggestion else [])

    _register_popup(server)
    _register_events(server)


def _register_popup(server: "Server") -> None:
    options = types.CompletionOptions(resolve_provider=True)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, options)
    async def completion(params: types.CompletionParams) -> types.CompletionList:
        # A client that shows ghost text asks for that as well, and one answer is enough. Clients
        # call it "invoked" when the user types a word, so every request counts as automatic.
        place = _Place.of(server, params.text_document.uri, params.position)
        if place is None or _has_inline(server):
            return types.CompletionList(is_incomplete=False, items=[])
        suggestion = await place.suggest(automatic=True)
        items = [place.popup_item(suggestion)] if suggestion else []
        return types.CompletionList(is_incomplete=True, items=items)

    @server.feature(types.COMPLETION_ITEM_RESOLVE)
    def resolve(item: types.CompletionItem) -> types.CompletionItem:
        """Say where the suggestion comes from."""
        explained = server.session.suggester.explain(str(item.data)) if item.data else None
        if explained is not None:
            text = item.text_edit.new_text if item.text_edit else item.label
            item.documentation = f"{text}\n\n{describe.explanation(explained)}"
        return item


def _register_events(server: "Server") -> None:
    """What clients of other servers tell us of a shown suggestion: taken, and not kept."""

    @server.feature("textDocument/didShowCompletion")
    def did_show(_: Any) -> None:
        """Nothing is counted."""

    @server.feature("textDocument/didPartiallyAcceptCompletion")
    def did_partially_accept(_: Any) -> None:
        """Nothing is counted."""


@dataclass(frozen=True)
class _Place:
    """Where a suggestion is asked for, in the text as it is then: the user may go on editing."""

    server: "Server"
    document: Document
    snapshot: Snapshot
    offset: int
    range: types.Range
    """What the suggestion replaces: nothing, or what the popup would."""
    selected: str = ""
    """What the popup would put there, which ghost text must begin with."""

    @classmethod
    def of(cls, server: "Server", uri: str, position: types.Position) -> "_Place | None":
        """A position, clamped into its document; None where no such document is open."""
        document = server.session.documents.get(uri)
        if document is None:
            return None
        encoding = encoding_of(server.server_capabilities)
        offset = document.offset(position_of(position), encoding)
        at = lsp_position(document.position(offset, encoding))
        return cls(server, document, document.snapshot(), offset, types.Range(at, at))

    def with_selected(self, selected: types.SelectedCompletionInfo) -> "_Place":
        """The place as if the selected item of the popup had been accepted."""
        encoding = encoding_of(self.server.server_capabilities)
        start, end = (
            self.document.offset(position_of(position), encoding)
            for position in (selected.range.start, selected.range.end)
        )
        text = self.snapshot.text[:start] + selected.text + self.snapshot.text[end:]
        return replace(
            self,
            snapshot=replace(self.snapshot, text=text),
            offset=start + len(selected.text),
            range=selected.range,
            selected=selected.text,
        )

    async def suggest(self, automatic: bool) -> Suggestion | None:
        """The suggestion here; None where there is none, or where typing has overtaken it."""
        suggestion = await self.server.session.suggest(self._cursor(automatic))
        self.server.trace_suggestion(suggestion)
        self.server.offer.suggestion_given()
        is_stale = automatic and self.document.version != self.snapshot.version
        return suggestion if suggestion.text and not is_stale else None

    def _cursor(self, automatic: bool) -> Cursor:
        """The cursor; in a notebook, with the cells before its own as text before it."""
        context = self.server.session.notebooks.context(self.snapshot.uri)
        snapshot = replace(self.snapshot, text=context + self.snapshot.text)
        return Cursor(snapshot, len(context) + self.offset, automatic)

    def inline_items(self, suggestion: Suggestion) -> list[types.InlineCompletionItem]:
        """The suggestion as ghost text, and what may be shown in its place."""
        return [
            types.InlineCompletionItem(
                insert_text=self.selected + text,
                range=self.range,
                command=types.Command("accepted", DID_ACCEPT, arguments=[suggestion.id]),
            )
            for text in (suggestion.text, *suggestion.alternatives)
        ]

    def popup_item(self, suggestion: Suggestion) -> types.CompletionItem:
        """The suggestion as one item of a popup, which filters by the word before the cursor."""
        word = Cursor(self.snapshot, self.offset, automatic=False).word
        encoding = encoding_of(self.server.server_capabilities)
        start = lsp_position(self.document.position(self.offset - len(word), encoding))
        text = word + suggestion.text
        return types.CompletionItem(
            label=text.strip().partition("\n")[0][:LABEL_CHARS],
            kind=types.CompletionItemKind.Text,
            detail="longllama",
            documentation=text,
            sort_text="\0",
            filter_text=text,
            insert_text_format=types.InsertTextFormat.PlainText,
            text_edit=types.TextEdit(types.Range(start, self.range.end), text),
            data=suggestion.id,
        )


def _has_inline(server: "Server") -> bool:
    text_document = server.client_capabilities.text_document
    return text_document is not None and text_document.inline_completion is not None
