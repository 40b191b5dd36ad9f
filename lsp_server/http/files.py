"""The file that a request is about: by its name, or by the text around the cursor.

Texts are those of open documents and of files that are in memory, no others: they were searched for
secrets, and no rule leaves them out.
"""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longllama_code.source_files.languages import language_of
from lsp_server.documents.document import Document
from lsp_server.http.asked import Asked
from lsp_server.http.text_match import runs_around, unix_lines
from lsp_server.http.text_search import FileText, best, file_text, find_text
from lsp_server.indexing.file_table import FileState, TrackedFile
from lsp_server.session import Session

SCHEME = "longllama-http:"
UNKNOWN = f"{SCHEME}untitled"
"""URI of a text whose file is not known."""
MAX_KNOWN = 8
"""Files asked about last: one is looked for there first, and they count as open."""
RETRY_S = 10.0
"""Time in which a text that no file has is not looked for again."""
MAX_MISSED = 32


@dataclass(frozen=True)
class Place:
    """Document that a request is about, and what is known of its whole text."""

    document: Document
    """Its URI and language; the text may be another's."""
    text: str | None = None
    """Text of the whole file with line feeds, as it was last known; None if it is not."""


class Files:
    """Finds the file of each request. Lives on the event loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: OrderedDict[Path, FileText] = OrderedDict()
        self._opened: OrderedDict[str, None] = OrderedDict()
        """URIs of files that requests were about, which count as open."""
        self._missed: OrderedDict[str, float] = OrderedDict()
        """Runs of lines that no file had, and when they were looked for."""

    async def place(self, asked: Asked) -> Place:
        """Return the document that a request is about."""
        if asked.file:
            return await self._place_of(self._path_named(asked.file), asked)
        runs = runs_around(asked.before, asked.after)
        document = await self._open_document(runs) if runs else None
        if document is not None:
            return Place(document, unix_lines(document.text))
        path = await self._search(runs, asked) if runs else None
        if path is None:
            return Place(Document(UNKNOWN, asked.language, 0, ""))
        return await self._place_of(path, asked)

    def _path_named(self, name: str) -> Path:
        """Return the path of a file that a request names, in the first folder that has it."""
        roots = self._session.folders.roots or [Path.cwd()]
        paths = [Path(os.path.normpath(root / name)) for root in roots]
        located = [self._session.folders.workspace.locate(path) for path in paths]
        return next((path for path in located if path.is_file()), located[0])

    async def _place_of(self, path: Path, asked: Asked) -> Place:
        """Return the document of a file; that of the language client, if it has it open."""
        document = self._client_document(path)
        if document is not None:
            return Place(document, unix_lines(document.text))
        uri = SCHEME + path.as_uri().partition(":")[2]
        self._open(uri, path)
        document = Document(uri, asked.language or language_of(path.name) or "", 0, "")
        return Place(document, await self._text(path))

    def _client_document(self, path: Path) -> Document | None:
        """Return the document that a language client has open for a file, the last of several."""
        identity, path_of = (
            self._session.folders.workspace.identity,
            self._session.open_files.path_of,
        )
        wanted = identity(path)
        for document in reversed([*self._session.documents]):
            found = path_of(document.uri)
            if found is not None and identity(found) == wanted:
                return document
        return None

    def _open(self, uri: str, path: Path) -> None:
        """Let a file count as open, in place of the one that was asked about longest ago."""
        opened = self._session.open_files
        if opened.path_of(uri) is None:
            opened.opened(uri, path)
        self._opened[uri] = None
        self._opened.move_to_end(uri)
        while len(self._opened) > MAX_KNOWN:
            opened.closed(self._opened.popitem(last=False)[0])

    async def _open_document(self, runs: Sequence[str]) -> Document | None:
        """Return the language client's document that has some lines."""
        texts = [(each, each.text) for each in self._session.documents]
        if not texts:
            return None
        found = ((each, unix_lines(text)) for each, text in texts)
        return await asyncio.to_thread(best, runs, found)

    async def _search(self, runs: Sequence[str], asked: Asked) -> Path | None:
        """Return the file in memory that has some lines; where it was last, or may be, first."""
        first = [*reversed(self._known), *map(self._path_named, asked.hints)]
        near = [file for path in dict.fromkeys(first) if (file := self._record(path))]
        found = await self._find(runs, near)
        if found is not None or self._was_missed(runs):
            return found
        found = await self._find(runs, self._all_in_memory())
        if found is None:
            self._note_missed(runs)
        return found

    async def _find(self, runs: Sequence[str], files: list[TrackedFile]) -> Path | None:
        known = dict(self._known)

        def find() -> Path | None:
            newest_first = sorted(files, key=lambda file: -file.mtime_ns)
            return find_text(runs, newest_first, known)

        return await asyncio.to_thread(find) if files else None

    async def _text(self, path: Path) -> str | None:
        """Return the text of a file as the memory has it, and keep it for the next request."""
        file, known = self._record(path), self._known.pop(path, None)
        found = None if file is None else await asyncio.to_thread(file_text, file, known)
        if found is None:
            return None
        self._known[path] = found
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return found.text

    def _record(self, path: Path) -> TrackedFile | None:
        """Return the record of a file that is in memory, or is being read again."""
        indexer = self._session.indexer
        file = None if indexer is None else indexer.files.get(path)
        return None if file is None or file.state is FileState.LEFT_OUT else file

    def _all_in_memory(self) -> list[TrackedFile]:
        indexer = self._session.indexer
        files = () if indexer is None else indexer.files
        return [file for file in files if file.state is FileState.IN_MEMORY]

    def _was_missed(self, runs: Sequence[str]) -> bool:
        since = time.monotonic() - RETRY_S
        return any(self._missed.get(run, -RETRY_S) > since for run in runs)

    def _note_missed(self, runs: Sequence[str]) -> None:
        self._missed.update(dict.fromkeys(runs, time.monotonic()))
        while len(self._missed) > MAX_MISSED:
            self._missed.popitem(last=False)
