"""``textDocument/didOpen``, ``didChange``, ``didSave``, ``didClose``."""

from collections.abc import Iterable

from lsprotocol import types

from lsp_server.convert import edit_of, encoding_of, path_of
from lsp_server.handlers.out_of_step import lose
from lsp_server.server import Server


def did_open(server: Server, params: types.DidOpenTextDocumentParams) -> None:
    """Keep the document's text from now on."""
    item = params.text_document
    server.session.documents.open(item.uri, str(item.language_id), item.version, item.text)
    server.session.opened(item.uri, path_of(item.uri))


def did_change(server: Server, params: types.DidChangeTextDocumentParams) -> None:
    """Apply edits to the document."""
    item, documents = params.text_document, server.session.documents
    was_lost = documents.is_lost(item.uri)
    change(server, item, params.content_changes)
    if was_lost and item.uri in documents:
        server.session.opened(item.uri, path_of(item.uri))
    else:
        server.session.open_files.changed(item.uri)


def change(
    server: Server,
    item: types.VersionedTextDocumentIdentifier,
    changes: Iterable[types.TextDocumentContentChangeEvent],
) -> None:
    """Apply edits to a document. It is lost if they fail: some may be done and others not."""
    edits = [edit_of(one) for one in changes]
    try:
        encoding = encoding_of(server.server_capabilities)
        server.session.documents.change(item.uri, edits, item.version, encoding)
    except Exception:
        lose(server, item.uri, "an edit")
        raise
    server.session.statistics.counter.changed(item.uri)


def did_save(server: Server, params: types.DidSaveTextDocumentParams) -> None:
    """Report the file as changed on disk."""
    path = path_of(params.text_document.uri)
    if path is not None:
        server.session.files_changed([path])


def did_close(server: Server, params: types.DidCloseTextDocumentParams) -> None:
    """Drop the document's text; the file on disk counts again."""
    server.session.documents.close(params.text_document.uri)
    server.session.statistics.counter.closed(params.text_document.uri)
    server.session.open_files.closed(params.text_document.uri)
