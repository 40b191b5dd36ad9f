"""Which files have a place in memory, and which of them first: open, changed lately, near."""

import asyncio
import itertools
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from lsp_server.indexing.budget import BUDGET, fit_again, split, too_many
from lsp_server.indexing.file_table import FileState, TrackedFile, TrackedFiles
from lsp_server.indexing.memory_writer import Rememberer
from lsp_server.indexing.proximity import Nearness, Rank
from lsp_server.settings.declarations import Memory


class Places:
    """Owner of when files changed and of how near they are. It decides; others act.

    Args:
        files: the records of all files.
        memory: the limits.
        engine: has the memory, and may have no limit of its own.
        open_paths: the files that are open.
        open_text: the live text of a file, if it is open.
    """

    def __init__(
        self,
        files: TrackedFiles,
        memory: Memory,
        engine: Rememberer,
        open_paths: Callable[[], Collection[Path]],
        open_text: Callable[[Path], str | None],
    ) -> None:
        self.memory = memory
        self._files, self._engine = files, engine
        self._open_paths, self._open_text = open_paths, open_text
        self._touches = itertools.count(1)
        self._touched: dict[Path, int] = {}  # a file's last change; greater is later
        self._nearness = Nearness({})

    @property
    def has_moved(self) -> bool:
        """Whether other files are open than those that nearness was last looked at from."""
        return self._nearness.open != frozenset(self._open_paths())

    def touch(self, path: Path) -> None:
        """A file has changed."""
        self._touched[path] = next(self._touches)

    def drop(self, path: Path) -> None:
        """A file is gone."""
        self._touched.pop(path, None)

    async def look(self) -> None:
        """Find out how near every file is to the open ones, as they are now."""
        texts = {path: self._open_text(path) or "" for path in self._open_paths()}
        paths = [file.path for file in self._files]
        self._nearness = await asyncio.to_thread(Nearness, texts, paths)

    def rank(self, path: Path) -> Rank:
        """How near a file is; less is nearer."""
        return self._nearness.rank(path)

    def room(self) -> int:
        """How many tokens may yet be remembered."""
        return self._max_tokens - self._files.totals().tokens

    def excess(self, newest: Path) -> list[TrackedFile]:
        """What is to be left out: changed longest ago and far; neither open nor the newest."""
        closed = [file for file in self._files if self._is_closed(file) and file.path != newest]
        return too_many(sorted(closed, key=self._worth), -self.room())

    def fitting(self) -> list[TrackedFile]:
        """Files that may fit, of those that were left out for want of room.

        Not to be asked for after ``excess``, or else files would push one another out without end.
        """
        return fit_again(sorted(self._files, key=self._worth), self.room())

    def swap(self) -> tuple[list[TrackedFile], list[TrackedFile]]:
        """What is far and has a place, and what is near and was left out."""
        wanted, unwanted = split(sorted(self._files, key=self._worth), self._max_tokens)
        leaving = [file for file in unwanted if self._is_closed(file)]
        return leaving, [file for file in wanted if file.reason == BUDGET]

    @property
    def _max_tokens(self) -> int:
        """Most tokens in memory, by their number and by their bytes."""
        if not self._engine.is_limited:
            return sys.maxsize
        memory, token_bytes = self.memory, self._engine.token_bytes
        if not memory.max_bytes or not token_bytes:
            return memory.max_tokens
        return min(memory.max_tokens, memory.max_bytes // token_bytes)

    def _is_closed(self, file: TrackedFile) -> bool:
        """Whether a file is in memory, and not open."""
        return file.state is FileState.IN_MEMORY and self._open_text(file.path) is None

    def _worth(self, file: TrackedFile) -> tuple[bool, int, Rank]:
        """Order of what may stay in memory: open, changed lately, near."""
        is_closed = self._open_text(file.path) is None
        return is_closed, -self._touched.get(file.path, 0), self._nearness.rank(file.path)
