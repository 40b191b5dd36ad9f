"""Notebooks: the order of their cells, which makes earlier cells context of later ones."""

from collections.abc import Iterable, Sequence

from lsp_server.documents.document import Documents

SEPARATOR = "\n\n"
MAX_CONTEXT_CHARS = 100_000
"""Longer than the local context of any model."""


class Notebooks:
    """Owner of the order of cells; their texts are documents like all others."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._cells: dict[str, list[str]] = {}

    def open(self, uri: str, cells: Iterable[str]) -> None:
        """Add a notebook with the URIs of its cells, in order."""
        self._cells[uri] = list(cells)

    def splice(self, uri: str, start: int, n_deleted: int, cells: Sequence[str]) -> None:
        """Replace some cells; ignore a notebook that is not open, which is the client's mistake."""
        if uri in self._cells:
            start = max(0, start)
            self._cells[uri][start : start + max(0, n_deleted)] = cells

    def close(self, uri: str) -> None:
        """Remove a notebook."""
        self._cells.pop(uri, None)

    def cells(self, uri: str) -> Sequence[str]:
        """Return the URIs of a notebook's cells, in order; none if it is not open."""
        return tuple(self._cells.get(uri, ()))

    def notebook_of(self, cell: str) -> str | None:
        """Return the URI of the notebook that a cell is in; None for any other document."""
        return next((uri for uri, cells in self._cells.items() if cell in cells), None)

    def context(self, cell: str) -> str:
        """Return the text of earlier cells in a cell's language; empty outside notebooks."""
        cells = next((cells for cells in self._cells.values() if cell in cells), [])
        document = self._documents.get(cell)
        if document is None or cell not in cells:
            return ""
        before = (self._documents.get(uri) for uri in cells[: cells.index(cell)])
        texts = [other.text for other in before if other and other.language == document.language]
        return "".join(text + SEPARATOR for text in texts)[-MAX_CONTEXT_CHARS:]
