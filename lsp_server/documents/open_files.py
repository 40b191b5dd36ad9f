"""Files that are open in the editor: their text there replaces the text on disk."""

import asyncio
from collections.abc import Callable, ValuesView
from pathlib import Path

from lsp_server.documents.document import Documents

EDIT_QUIET_S = 1.0
"""Quiet time after an edit before the changed segments of a document are encoded."""


class OpenFiles:
    """Owner of the paths of open documents, and of the timers that await the end of an edit."""

    def __init__(
        self,
        documents: Documents,
        on_change: Callable[[Path], None],
        locate: Callable[[Path], Path] = lambda path: path,
        identity: Callable[[Path], Path] = lambda path: path,
    ) -> None:
        """Start without open files.

        Args:
            documents: the texts of open documents.
            on_change: called with each path whose text is to be read again.
            locate: returns the path by which the workspace has the file that a client names.
            identity: returns one path for all those of a file, such as a link and its target.
        """
        self._documents = documents
        self._on_change = on_change
        self._locate, self._identity = locate, identity
        self._named: dict[str, Path] = {}
        """Paths as the client names them."""
        self._paths: dict[str, Path] = {}
        self._timers: dict[Path, asyncio.TimerHandle] = {}

    def opened(self, uri: str, path: Path | None) -> None:
        """Let a document's text replace that of its file; `path` is None if it has no file."""
        if path is not None:
            self.closed(uri)  # opening twice is the client's mistake
            self._named[uri] = path
            self._paths[uri] = located = self._locate(path)
            self._reread(located)

    def relocate(self) -> None:
        """Look the paths of open files up again, as the workspace folders are others now."""
        for uri, path in self._named.items():
            before, self._paths[uri] = self._paths[uri], self._locate(path)
            if before != self._paths[uri]:
                self._reread(before)
                self._reread(self._paths[uri])

    def changed(self, uri: str) -> None:
        """Read a document again after `EDIT_QUIET_S` without a further edit."""
        path = self._paths.get(uri)
        if path is None:
            return
        self._paths[uri] = self._paths.pop(uri)  # the last
        if path in self._timers:
            self._timers[path].cancel()
        loop = asyncio.get_running_loop()
        self._timers[path] = loop.call_later(EDIT_QUIET_S, self._reread, path)

    def is_edited(self, path: Path) -> bool:
        """Whether a file was edited since it was read last."""
        return path in self._timers

    def closed(self, uri: str) -> None:
        """Let the text on disk count again."""
        self._named.pop(uri, None)
        path = self._paths.pop(uri, None)
        if path is not None:
            self._reread(path)

    def flush(self) -> None:
        """Read edited documents again at once."""
        for path in list(self._timers):
            self._reread(path)

    def cancel_timers(self) -> None:
        """Do not read edited documents again: nothing is left that would index them."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def paths(self) -> ValuesView[Path]:
        """Return the paths of open files."""
        return self._paths.values()

    def path_of(self, uri: str) -> Path | None:
        """Return the file of an open document; None if it has none or is not open."""
        return self._paths.get(uri)

    def text(self, path: Path) -> str | None:
        """Return the text of a file in the editor, by whatever path it is open; else None.

        If it is open by several, the text that was opened or edited last counts.
        """
        wanted = self._identity(path)
        for uri in reversed(self._paths):
            is_it = self._identity(self._paths[uri]) == wanted
            if is_it and (document := self._documents.get(uri)) is not None:
                return document.text
        return None

    def _reread(self, path: Path) -> None:
        timer = self._timers.pop(path, None)
        if timer is not None:
            timer.cancel()
        self._on_change(path)
