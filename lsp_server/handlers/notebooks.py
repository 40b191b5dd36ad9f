"""notebookDocument/*: the cells are documents, and know what stands in the cells before them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.convert import edit_of, encoding_of, path_of
from lsp_server.documents.document import Documents

if TYPE_CHECKING:
    from lsp_server.server import Server

SYNC = types.NotebookDocumentSyncOptions(
    notebook_selector=[
        types.NotebookDocumentFilterWithNotebook(notebook="*"),
    ],
    save=True,
)


def register(server: "Server") -> None:
    """Register the messages of this family."""
    session = server.session
    documents, notebooks = session.documents, session.notebooks

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenNotebookDocumentParams) -> None:
        _open_cells(documents, params.cell_text_documents)
        notebook = params.notebook_document
        notebooks.open(notebook.uri, [cell.document for cell in notebook.cells])

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeNotebookDocumentParams) -> None:
        cells = params.change.cells
        if cells is not None and cells.structure is not None:
            _restructure(server, params.notebook_document.uri, cells.structure)
        encoding = encoding_of(server.server_capabilities)
        for content in (cells.text_content or ()) if cells is not None else ():
            edits = [edit_of(change) for change in content.changes]
            documents.change(content.document.uri, edits, content.document.version, encoding)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_SAVE)
    def did_save(params: types.DidSaveNotebookDocumentParams) -> None:
        path = path_of(params.notebook_document.uri)
        if path is not None:
            session.files_changed([path])

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseNotebookDocumentParams) -> None:
        notebooks.close(params.notebook_document.uri)
        for cell in params.cell_text_documents:
            documents.close(cell.uri)


def _restructure(
    server: "Server", uri: str, structure: types.NotebookDocumentCellChangeStructure
) -> None:
    """Cells came, went, or moved."""
    session, array = server.session, structure.array
    added = [cell.document for cell in array.cells or ()]
    session.notebooks.splice(uri, array.start, array.delete_count, added)
    _open_cells(session.documents, structure.did_open or ())
    for closed in structure.did_close or ():
        session.documents.close(closed.uri)


def _open_cells(documents: Documents, items: Iterable[types.TextDocumentItem]) -> None:
    for item in items:
        documents.open(item.uri, item.language_id, item.version, item.text)
