"""Memory budget: how many tokens fit, and which files are worth most: open, changed, near."""

import asyncio
import itertools
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from lsp_server.indexing.file_table import FileState, FileTable, TrackedFile
from lsp_server.indexing.memory_writer import MemoryWriter
from lsp_server.indexing.proximity import Proximity, Rank
from lsp_server.indexing.reindex_policy import (
    BUDGET,
    split_by_budget,
    to_leave_out,
    to_take_back,
)
from lsp_server.settings.declarations import Memory


class MemoryBudget:
    """Limits of memory, and the value of each file: when it changed, how near it is.

    It selects files; ``MemoryPlan`` acts on the selection.

    Args:
        files: records of all files.
        memory: settings of the limits.
        engine: owner of the memory, which may have no limit.
        open_paths: returns the files that are open.
        open_text: returns the live text of a file if it is open.
    """

    def __init__(
        self,
        files: FileTable,
        memory: Memory,
        engine: MemoryWriter,
        open_paths: Callable[[], Collection[Path]],
        open_text: Callable[[Path], str | None],
    ) -> None:
        self.memory = memory
        self._files, self._engine = files, engine
        self._open_paths, self._open_text = open_paths, open_text
        self._clock = itertools.count(1)
        self._changed_at: dict[Path, int] = {}  # in ticks of `_clock`
        self._proximity = Proximity({})

    @property
    def is_proximity_stale(self) -> bool:
        """Whether other files are open than when proximity was measured."""
        return self._proximity.open != frozenset(self._open_paths())

    def note_change(self, path: Path) -> None:
        """Note that a file changed just now."""
        self._changed_at[path] = next(self._clock)

    def drop(self, path: Path) -> None:
        """Forget a file that is gone."""
        self._changed_at.pop(path, None)

    async def measure_proximity(self) -> None:
        """Measure how near every file is to the open ones."""
        texts = {path: self._open_text(path) or "" for path in self._open_paths()}
        paths = [file.path for file in self._files]
        self._proximity = await asyncio.to_thread(Proximity, texts, paths)

    async def follow_imports(self, texts: Mapping[Path, str]) -> bool:
        """Take in what files import that the open ones import; return whether any rank changed."""
        before = self._proximity
        self._proximity = await asyncio.to_thread(before.followed, texts)
        return self._proximity is not before

    def rank(self, path: Path) -> Rank:
        """Return how near a file is to the open ones; lower is nearer."""
        return self._proximity.rank(path)

    def free_tokens(self) -> int:
        """Return how many tokens may be added; negative if there are too many."""
        return self._max_tokens - self._files.totals().tokens

    def overflow(self, newest: Path) -> list[TrackedFile]:
        """Return the least valuable files over the budget; neither open ones nor the newest."""
        excess_tokens = -self.free_tokens()
        if excess_tokens <= 0:  # as after most edits; the look at every file takes long
            return []
        closed = [file for file in self._files if self._is_closed(file) and file.path != newest]
        return to_leave_out(sorted(closed, key=self._value), excess_tokens)

    def fitting(self) -> list[TrackedFile]:
        """Return files left out for the budget that may fit now.

        Do not ask right after ``overflow``: files would push one another out without end.
        """
        return to_take_back(sorted(self._files, key=self._value), self.free_tokens())

    def rebalance(self) -> tuple[list[TrackedFile], list[TrackedFile]]:
        """Return files that leave memory for more valuable ones, and these."""
        fitting, exceeding = split_by_budget(sorted(self._files, key=self._value), self._max_tokens)
        leaving = [file for file in exceeding if self._is_closed(file)]
        return leaving, [file for file in fitting if file.reason == BUDGET]

    @property
    def _max_tokens(self) -> int:
        """Return the stricter limit of the one in tokens and the one in bytes."""
        if not self._engine.is_limited:
            return sys.maxsize
        memory, token_bytes = self.memory, self._engine.token_bytes
        if not memory.max_bytes or not token_bytes:
            return memory.max_tokens
        return min(memory.max_tokens, memory.max_bytes // token_bytes)

    def _is_closed(self, file: TrackedFile) -> bool:
        """Whether a file is in memory, and not open."""
        return file.state is FileState.IN_MEMORY and self._open_text(file.path) is None

    def _value(self, file: TrackedFile) -> tuple[bool, int, Rank]:
        """Return a sort key, most valuable first: open, changed lately, near."""
        is_closed = self._open_text(file.path) is None
        return is_closed, -self._changed_at.get(file.path, 0), self._proximity.rank(file.path)
