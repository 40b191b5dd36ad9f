"""``notebookDocument/*``. Each cell is a document, with the cells before it as context."""

from collections.abc import Iterable

from lsprotocol import types

from lsp_server.convert import path_of
from lsp_server.documents.document import Documents
from lsp_server.handlers.documents import change
from lsp_server.server import Server


def did_open(server: Server, params: types.DidOpenNotebookDocumentParams) -> None:
    """Open all cells."""
    _open_cells(server.session.documents, params.cell_text_documents)
    notebook = params.notebook_document
    server.session.notebooks.open(notebook.uri, [cell.document for cell in notebook.cells])


def did_change(server: Server, params: types.DidChangeNotebookDocumentParams) -> None:
    """Add, remove and edit cells."""
    cells = params.change.cells
    if cells is None:
        return
    if cells.structure is not None:
        _change_structure(server, params.notebook_document.uri, cells.structure)
    for content in cells.text_content or ():
        change(server, content.document, content.changes)


def did_save(server: Server, params: types.DidSaveNotebookDocumentParams) -> None:
    """Report the notebook's file as changed on disk."""
    path = path_of(params.notebook_document.uri)
    if path is not None:
        server.session.files_changed([path])


def did_close(server: Server, params: types.DidCloseNotebookDocumentParams) -> None:
    """Close all cells."""
    server.session.notebooks.close(params.notebook_document.uri)
    for cell in params.cell_text_documents:
        server.session.documents.close(cell.uri)
        server.session.statistics.counter.closed(cell.uri)


def _change_structure(
    server: Server, uri: str, structure: types.NotebookDocumentCellChangeStructure
) -> None:
    """Add, remove and move cells."""
    session, array = server.session, structure.array
    added = [cell.document for cell in array.cells or ()]
    session.notebooks.splice(uri, array.start, array.delete_count, added)
    _open_cells(session.documents, structure.did_open or ())
    for closed in structure.did_close or ():
        session.documents.close(closed.uri)
        session.statistics.counter.closed(closed.uri)


def _open_cells(documents: Documents, items: Iterable[types.TextDocumentItem]) -> None:
    for item in items:
        documents.open(item.uri, str(item.language_id), item.version, item.text)
