"""Plan of the memory: which files wait for it and in what order, and what is to leave it.

``reindex_policy`` says what becomes of a file, ``MemoryBudget`` which files fit. The plan carries
that out on its records and queues; ``Indexer`` has the engine do what is planned.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from longllama_code.protocol import RememberResult
from longllama_code.source_files.source_text import SourceError
from longllama_code.source_files.workspace import Entry
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.definition_pass import DefinitionPass
from lsp_server.indexing.file_table import (
    FileQueue,
    FileState,
    FileTable,
    Totals,
    TrackedFile,
    Urgency,
)
from lsp_server.indexing.memory_budget import MemoryBudget
from lsp_server.indexing.memory_writer import MemoryWriter
from lsp_server.indexing.reindex_policy import (
    BUDGET,
    READ,
    Action,
    after_engine_start,
    after_error,
    after_reindex_command,
    after_scan,
    before_remembering,
    estimated_tokens,
    yields_to_budget,
)
from lsp_server.indexing.source_reader import SourceReader
from lsp_server.settings.declarations import Memory

logger = logging.getLogger(__name__)


class MemoryPlan:
    """Owner of the file table, of the queues, and of the names that the engine is to forget.

    Args:
        engine: owner of the memory.
        reader: reader of the files' texts.
        memory: settings of the limits.
        open_paths: returns the files that are open.
        open_text: returns the live text of a file if it is open.
    """

    def __init__(
        self,
        engine: MemoryWriter,
        reader: SourceReader,
        memory: Memory,
        open_paths: Callable[[], Collection[Path]],
        open_text: Callable[[Path], str | None],
    ) -> None:
        self.files = FileTable()
        self.n_clearances = 0
        """Number of calls of `clear`: what was under way meanwhile is to be forgotten."""
        self._to_forget: set[str] = set()
        """Names that the engine is to forget."""
        self._failed_to_forget: set[str] = set()
        self._engine, self._reader = engine, reader
        self._queue = FileQueue()
        self._definitions = DefinitionPass(engine, reader)
        self._budget = MemoryBudget(self.files, memory, engine, open_paths, open_text)
        self._must_rebalance = False
        self._crashes: Counter[Path] = Counter()

    def __len__(self) -> int:
        """Return how many files wait for memory."""
        return len(self._queue)

    @property
    def must_forget(self) -> bool:
        """Whether the engine is to forget a file."""
        return bool(self._to_forget)

    @property
    def knows_definitions(self) -> bool:
        """Whether the engine has the definitions of all files that wait."""
        return not self._definitions

    @property
    def definitions_first(self) -> bool:
        """Whether definitions should be read before the next file is taken into memory."""
        return self._definitions.is_due and not self._queue.has_urgent

    def waits(self, *, only_urgent: bool) -> bool:
        """Whether a file waits; `only_urgent` counts those alone that were opened or changed."""
        return self._queue.has_urgent if only_urgent else len(self._queue) > 0

    def totals(self) -> Totals:
        """Return the current counts."""
        return replace(self.files.totals(), undefined=len(self._definitions))

    # What is asked of all files.

    def limit(self, memory: Memory) -> None:
        """Apply other limits with the next scan."""
        self._budget.memory = memory
        self._must_rebalance = True

    def read_again(self) -> None:
        """Queue every file again, whatever its size and time; also files that failed."""
        self._crashes.clear()
        for file in self.files:
            if after_reindex_command(file) == READ:
                self._enqueue_again(file)

    def clear(self) -> None:
        """Have every file forgotten; all of them wait again."""
        self.n_clearances += 1
        for file in self.files:
            if file.state is not FileState.LEFT_OUT:
                self._to_forget.update([file.name] if file.n_tokens else [])
                self._enqueue_again(replace(file, n_tokens=0))
        self._to_forget |= self._definitions.drain()

    def refill(self) -> None:
        """Queue all files, as the engine started with an empty memory."""
        self._to_forget.clear()
        self._failed_to_forget.clear()
        self._definitions.drain()
        for file in self.files:
            if after_engine_start(file, is_limited=self._engine.is_limited) == READ:
                self._enqueue_again(replace(file, n_tokens=0))

    # What a scan found.

    def take_in(self, entry: Entry, name: str, urgency: Urgency) -> None:
        """Queue a file that was found, leave it out, or keep it as it is."""
        known = self.files.get(entry.path)
        if known is not None and known.name != name:  # a workspace folder was added or removed
            self.drop(known)
            known = None
        file = TrackedFile(
            entry.path,
            name,
            FileState.WAITING,
            None,
            known.n_tokens if known else 0,
            entry.size_bytes,
            entry.mtime_ns,
            entry.has_rested,
        )
        has_open_text = self._reader.has_open_text(entry.path)
        decision = after_scan(known, file, urgency, entry.exclusion, has_open_text=has_open_text)
        if decision.action is Action.LEAVE_OUT:
            self._leave_out(file, decision.reason)
        elif decision == READ:
            self._enqueue(file, urgency)

    def drop(self, file: TrackedFile) -> None:
        """Take a file off the plan, and have it forgotten."""
        self._queue.discard(file.path)
        self.files.drop(file.path)
        self._budget.drop(file.path)
        if self._definitions.drop(file) or file.n_tokens:
            self._to_forget.add(file.name)

    async def fit_budget(self, *, has_room: bool, is_full: bool) -> None:
        """Exchange files after a scan, if others are open now or there is room again.

        Args:
            has_room: whether files left memory in the scan.
            is_full: whether the whole workspace was scanned.
        """
        must_rebalance = self._must_rebalance or self._budget.is_proximity_stale
        self._must_rebalance = False
        if must_rebalance or is_full:
            await self._budget.measure_proximity()
            self._queue.sort_rest(self._budget.rank)
            self._definitions.sort_rest(self._budget.rank)
        if must_rebalance:  # what the store has is not encoded again
            leaving, coming = self._budget.rebalance()
            self._exchange(leaving, coming)
        elif has_room:
            self._exchange([], self._budget.fitting())

    # What the engine does.

    def take_names_to_forget(self) -> list[str]:
        """Return the names that the engine is to forget, sorted, and take them for forgotten."""
        names, self._to_forget = sorted(self._to_forget), set()
        return names

    def note_unforgotten(self, names: Iterable[str]) -> None:
        """Note names that the engine failed to forget."""
        self._failed_to_forget.update(names)

    def retry_forgetting(self) -> None:
        """Have the engine forget what it failed to forget."""
        self._to_forget |= self._failed_to_forget
        self._failed_to_forget.clear()

    async def read_definitions(self) -> None:
        """Have the engine know what the next files define, unless `clear` comes meanwhile.

        What these files import in turn comes next, if they are imported themselves.
        """
        n_clearances = self.n_clearances
        texts = await self._definitions.read_next(self.files)
        if await self._budget.follow_imports(texts):
            self._definitions.sort_rest(self._budget.rank)
        if n_clearances != self.n_clearances:
            self._to_forget |= self._definitions.drain()

    def next_files(self, most: int, *, only_urgent: bool) -> list[tuple[TrackedFile, Urgency]]:
        """Take files off the queue that fit into the budget; one that crashed the engine, alone.

        Args:
            most: how many at most.
            only_urgent: whether to take only files that were opened or changed.
        """
        chosen: list[tuple[TrackedFile, Urgency]] = []
        free_tokens = self._budget.free_tokens()
        for _ in range(most):
            if not self.waits(only_urgent=only_urgent):
                break
            path, urgency = self._queue.pop()
            file = self.files.get(path)
            assert file is not None, "a file that is dropped leaves the queue too"
            if path in self._crashes and chosen:
                self._queue.put(path, urgency)
                break
            decision = before_remembering(file, urgency, free_tokens)
            if decision.action is Action.LEAVE_OUT:
                self._leave_out(file, decision.reason)
                continue
            free_tokens -= estimated_tokens(file)
            chosen.append((file, urgency))
            if path in self._crashes:
                break
        return chosen

    def note_remembered(
        self, file: TrackedFile, urgency: Urgency, result: RememberResult, *, is_late: bool
    ) -> None:
        """Note that a file is in memory, or is to be forgotten if `clear` came in between."""
        self._failed_to_forget.discard(file.name)
        self._crashes.pop(file.path, None)
        self._definitions.remembered(file)
        self.files.count(result)
        if is_late:
            self._to_forget.add(file.name)
            return
        self.files.put(replace(file, state=FileState.IN_MEMORY, n_tokens=result.n_tokens))
        if not yields_to_budget(file, urgency):
            self._exchange(self._budget.overflow(file.path), [])

    def note_error(self, file: TrackedFile, urgency: Urgency, error: Exception) -> None:
        """Queue a file again that could not be remembered, or leave it out."""
        if isinstance(error, EngineGone) and not isinstance(error, EngineAway):
            self._crashes[file.path] += 1
        elif not isinstance(error, EngineAway | SourceError):
            logger.error("%s could not be remembered", file.name, exc_info=error)
        decision = after_error(error, self._crashes[file.path])
        if decision.action is Action.LEAVE_OUT:
            self._leave_out(file, decision.reason)
        else:
            self._queue.put(file.path, urgency)

    def _enqueue(self, file: TrackedFile, urgency: Urgency) -> None:
        is_open = self._reader.is_open(file.path)
        if urgency is not Urgency.REST:
            self._budget.note_change(file.path)
        self.files.put(file)
        urgency = Urgency.OPEN if is_open else urgency
        self._queue.put(file.path, urgency)
        self._definitions.put(file.path, urgency)

    def _enqueue_again(self, file: TrackedFile) -> None:
        self._enqueue(replace(file, state=FileState.WAITING, reason=None), Urgency.REST)

    def _leave_out(self, file: TrackedFile, reason: str | None) -> None:
        self.drop(file)
        self.files.put(replace(file, state=FileState.LEFT_OUT, reason=reason, n_tokens=0))

    def _exchange(self, leaving: Iterable[TrackedFile], coming: Iterable[TrackedFile]) -> None:
        for file in leaving:
            self._leave_out(file, BUDGET)
        for file in coming:
            self._enqueue_again(file)
