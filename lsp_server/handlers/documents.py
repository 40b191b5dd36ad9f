"""didOpen, didChange, didSave, didClose."""

from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.convert import edit_of, encoding_of, path_of

if TYPE_CHECKING:
    from lsp_server.server import Server


def register(server: "Server") -> None:
    """Register the messages of this family."""
    session = server.session

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        session.documents.open(item.uri, item.language_id, item.version, item.text)
        session.opened(item.uri, path_of(item.uri))

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        item, encoding = params.text_document, encoding_of(server.server_capabilities)
        edits = [edit_of(change) for change in params.content_changes]
        session.documents.change(item.uri, edits, item.version, encoding)
        session.open_files.changed(item.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveTextDocumentParams) -> None:
        path = path_of(params.text_document.uri)
        if path is not None:
            session.files_changed([path])

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        session.documents.close(params.text_document.uri)
        session.open_files.closed(params.text_document.uri)
