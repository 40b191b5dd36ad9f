"""Paths of open documents, for rules that keep files private by their names."""

from pathlib import Path

from longllama_code.source_files.same_files import real_path
from lsp_server.documents.notebooks import Notebooks
from lsp_server.documents.uri_paths import names_other_machine, paths_in


class DocumentPaths:
    """Finds every path that a document may be known by, whatever the scheme of its URI.

    A cell of a notebook has its notebook's paths as well. Links are followed once, until `refresh`.
    """

    def __init__(self, notebooks: Notebooks) -> None:
        self._notebooks = notebooks
        self._known: dict[str, tuple[Path, ...]] = {}

    def of(self, uri: str) -> tuple[Path, ...]:
        """Return the paths of a document: those it is named by, and where they lead."""
        notebook = self._notebooks.notebook_of(uri)
        return self._of_one(uri) if notebook is None else self._of_one(uri) + self._of_one(notebook)

    def refresh(self) -> None:
        """Follow links again: a file may have become one, or a document may be closed."""
        self._known.clear()

    def _of_one(self, uri: str) -> tuple[Path, ...]:
        if uri not in self._known:
            named = [Path(path) for path in paths_in(uri)]
            here = [] if names_other_machine(uri) else filter(_may_be_looked_up, named)
            self._known[uri] = (*named, *map(real_path, here))
        return self._known[uri]


def _may_be_looked_up(path: Path) -> bool:
    """Whether a path is absolute, and not one of Windows' for another machine."""
    return path.is_absolute() and not path.drive.startswith("\\\\")
