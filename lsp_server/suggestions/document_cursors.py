"""Contexts of cursors in open documents: the text around them, and where their file is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from longllama_code.protocol import RecentEdit
from longllama_code.source_files.model_text import model_text
from lsp_server.documents.document import Document, Documents
from lsp_server.documents.document_paths import DocumentPaths
from lsp_server.documents.notebooks import Notebooks
from lsp_server.documents.open_files import OpenFiles
from lsp_server.documents.uri_paths import last_name
from lsp_server.suggestions.cursor_context import CursorContext, EditedFile
from lsp_server.suggestions.filters import FilePlace
from lsp_server.watching.workspace_folders import WorkspaceFolders


class DocumentCursors:
    """Maker of cursor contexts, from documents and workspace folders as they are now."""

    def __init__(
        self,
        documents: Documents,
        notebooks: Notebooks,
        open_files: OpenFiles,
        folders: WorkspaceFolders,
        is_remembered: Callable[[Path], bool] = lambda _: False,
        is_reading: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start without edits.

        Args:
            documents: the open documents.
            notebooks: the notebooks among them.
            open_files: their files.
            folders: the workspace folders.
            is_remembered: whether memory has a file, as it was before its last edits.
            is_reading: whether memory may lack a file, or have a former version of one.
        """
        self._documents, self._notebooks = documents, notebooks
        self._open_files, self._folders = open_files, folders
        self._paths = DocumentPaths(notebooks)
        self._is_remembered, self._is_reading = is_remembered, is_reading
        self._files: dict[str, tuple[Path, EditedFile]] = {}
        """Files with recent edits, by URI."""

    def at(
        self, document: Document, before: str, after: str, *, is_automatic: bool
    ) -> CursorContext:
        """Return the context of a cursor between two parts of a document's text.

        Args:
            document: an open document; the cells above it are added if it is one of a notebook.
            before: text before the cursor.
            after: text after the cursor.
            is_automatic: whether typing caused the request.
        """
        path, repository = self._location_of(document.uri)
        return CursorContext(
            uri=document.uri,
            language=document.language,
            version=document.version,
            before=self._notebooks.context(document.uri) + before,
            after=after,
            is_automatic=is_automatic,
            path=path,
            repository=repository,
            places=self._places_of(document.uri),
            edited=tuple(self._edited(document.uri)),
            is_memory_current=self._is_memory_current(document.uri),
        )

    def _edited(self, own: str) -> Iterator[EditedFile]:
        """Yield the recent edits of a document and of files that memory has as they are now.

        So they were searched for secrets. Where a file is stays known when it is closed.
        """
        places = self._documents.edits.places()
        self._files = {one.uri: file for one in places if (file := self._file_of(one.uri))}
        shown = {
            uri: file
            for uri, (path, file) in self._files.items()
            if uri == own or (self._is_remembered(path) and not self._open_files.is_edited(path))
        }
        for one in places:
            if (file := shown.get(one.uri)) is not None:
                before, after = (model_text("\n".join(part)) for part in (one.before, one.after))
                edit = RecentEdit(file.path, before, after, one.first + 1)
                yield replace(file, edit=edit)

    def _is_memory_current(self, own: str) -> bool:
        """Whether memory has all files but a document's own as they are now."""
        others = (path for uri, (path, _) in self._files.items() if uri != own)
        return not self._is_reading() and not any(map(self._open_files.is_edited, others))

    def _file_of(self, uri: str) -> tuple[Path, EditedFile] | None:
        document, path = self._documents.get(uri), self._open_files.path_of(uri)
        if document is None or path is None:
            return self._files.get(uri)
        name, _ = self._location_of(uri)
        return path, EditedFile(document.language, self._places_of(uri), name)

    def was_typed_on(self, cursor: CursorContext) -> bool:
        """Whether text was added at a cursor since its context was made."""
        document = self._documents.get(cursor.uri)
        if document is None:
            return False
        return cursor.was_typed_on(self._notebooks.context(cursor.uri) + document.text)

    def refresh(self) -> None:
        """Look anew where the links of documents' paths lead."""
        self._paths.refresh()

    def _location_of(self, uri: str) -> tuple[str, str]:
        """Return a document's name in memory, and the name of its workspace folder or nothing."""
        path = self._open_files.path_of(uri)
        if path is None:
            return last_name(uri), ""  # untitled:Untitled-1
        workspace = self._folders.workspace
        root = workspace.root_of(path)
        return workspace.name_of(path), "" if root is None else root.name

    def _places_of(self, uri: str) -> tuple[FilePlace, ...]:
        """Return all places of a document's file, which decide whether it is private."""
        path = self._open_files.path_of(uri)
        paths = [*self._paths.of(uri), *([] if path is None else [path])]
        place_of = self._folders.workspace.place_of
        return tuple(dict.fromkeys(FilePlace(*place_of(path)) for path in paths))
