"""``textDocument/didOpen``, ``didChange``, ``didSave``, ``didClose``."""

from lsprotocol import types

from lsp_server.convert import edit_of, encoding_of, path_of
from lsp_server.server import Server


def did_open(server: Server, params: types.DidOpenTextDocumentParams) -> None:
    """Keep the document's text from now on."""
    item = params.text_document
    server.session.documents.open(item.uri, item.language_id, item.version, item.text)
    server.session.opened(item.uri, path_of(item.uri))


def did_change(server: Server, params: types.DidChangeTextDocumentParams) -> None:
    """Apply edits to the document."""
    item, encoding = params.text_document, encoding_of(server.server_capabilities)
    edits = [edit_of(change) for change in params.content_changes]
    server.session.documents.change(item.uri, edits, item.version, encoding)
    server.session.open_files.changed(item.uri)


def did_save(server: Server, params: types.DidSaveTextDocumentParams) -> None:
    """Report the file as changed on disk."""
    path = path_of(params.text_document.uri)
    if path is not None:
        server.session.files_changed([path])


def did_close(server: Server, params: types.DidCloseTextDocumentParams) -> None:
    """Drop the document's text; the file on disk counts again."""
    server.session.documents.close(params.text_document.uri)
    server.session.open_files.closed(params.text_document.uri)
