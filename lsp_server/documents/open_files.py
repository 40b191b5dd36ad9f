"""Which files are open in the editor: their live text stands for what is on disk."""

import asyncio
from collections.abc import Callable, ValuesView
from pathlib import Path

from lsp_server.documents.document import Documents

EDIT_QUIET_S = 1.0
"""How long an open document must rest before its changed segments are encoded."""


class OpenFiles:
    """Owner of the paths of open documents, and of their edits that wait for a rest."""

    def __init__(self, documents: Documents, on_change: Callable[[Path], None]) -> None:
        """Begin with none.

        Args:
            documents: whose texts count.
            on_change: gets each path whose text is to be read again.
        """
        self._documents = documents
        self._on_change = on_change
        self._paths: dict[str, Path] = {}
        self._timers: dict[Path, asyncio.TimerHandle] = {}

    def opened(self, uri: str, path: Path | None) -> None:
        """A document's live text now stands for its file, if it has one."""
        if path is not None:
            self._paths[uri] = path
            self._reread(path)

    def changed(self, uri: str) -> None:
        """Read the text again once typing rests."""
        path = self._paths.get(uri)
        if path is None:
            return
        if path in self._timers:
            self._timers[path].cancel()
        loop = asyncio.get_running_loop()
        self._timers[path] = loop.call_later(EDIT_QUIET_S, self._reread, path)

    def closed(self, uri: str) -> None:
        """The disk counts again."""
        path = self._paths.pop(uri, None)
        if path is not None:
            self._reread(path)

    def flush(self) -> None:
        """Read again at once what was edited."""
        for path in list(self._timers):
            self._reread(path)

    def rest(self) -> None:
        """Nobody is there to read again what was edited."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def paths(self) -> ValuesView[Path]:
        """The open files."""
        return self._paths.values()

    def path_of(self, uri: str) -> Path | None:
        """The file of an open document; None where it has none."""
        return self._paths.get(uri)

    def text(self, path: Path) -> str | None:
        """The live text of a file; None where it is not open."""
        for uri, open_path in self._paths.items():
            if open_path == path and (document := self._documents.get(uri)) is not None:
                return document.text
        return None

    def _reread(self, path: Path) -> None:
        timer = self._timers.pop(path, None)
        if timer is not None:
            timer.cancel()
        self._on_change(path)
