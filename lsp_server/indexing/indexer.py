"""Brings the workspace into memory: open files first, then changed ones, then those near them.

One task on the event loop takes one step at a time: scan what changed on disk, forget files that
are gone, have the definitions of many files known, remember the most urgent ones. Steps therefore
never conflict; changes that are reported meanwhile are handled after the step. Texts come from the
disk, those of open documents from the editor. ``reindex_policy`` decides what becomes of each file.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from longllama_code.protocol import RememberResult
from longllama_code.source_files.source_text import Limits, SourceError, refuse_secrets
from longllama_code.source_files.workspace import Entry, Workspace
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
from lsp_server.indexing.scan import all_changed, scan
from lsp_server.indexing.source_reader import SourceReader
from lsp_server.settings.declarations import Memory

logger = logging.getLogger(__name__)

MAX_CONCURRENT = 4
"""Files remembered concurrently while the store has them all: most of their time is the round trip
to the engine. A change that comes meanwhile waits for no more than these."""
MAX_FAILURES = 3
"""Steps that may fail one after the other; then indexing ends until it is asked for again."""
CHECK_EVERY_S = 1.0
"""Time between two looks for a step while there is work, should nobody have called."""
_ENTRIES_PER_TURN = 256


class Indexer:
    """Owner of the queue and of the file table."""

    def __init__(
        self,
        engine: MemoryWriter,
        workspace: Workspace,
        open_paths: Callable[[], Collection[Path]],
        open_text: Callable[[Path], str | None],
        memory: Memory,
        on_change: Callable[[], None],
        refuse_secrets: Callable[[Path, str], None] = refuse_secrets,
    ) -> None:
        self.files = FileTable()
        self.paused = False
        self.spares_battery = False
        """Whether files wait that nobody opened or changed; see `spare_battery`."""
        self._engine = engine
        self._workspace = workspace
        self._reader = SourceReader(open_text, refuse_secrets)
        self._apply_settings(memory)
        self._budget = MemoryBudget(self.files, memory, engine, open_paths, open_text)
        self._on_change = on_change
        self._unscanned: dict[Path, Urgency] = {}
        self._needs_full_scan = True  # nothing was scanned yet, so it is busy from the start
        self._must_rebalance = False
        self._to_forget: set[str] = set()
        self._failed_to_forget: set[str] = set()
        self._queue = FileQueue()
        self._definitions = DefinitionPass(engine, self._reader)
        self._crashes: Counter[Path] = Counter()
        self._n_concurrent = 1
        self._in_step = False
        self._n_clearances = 0
        self.error: BaseException | None = None
        """Error of the last step, or of the last scan; None if it succeeded."""
        self._n_failures = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waits_for_power(self) -> bool:
        """Whether all files in the queue wait for mains power; valid while the engine is ready."""
        is_waiting = len(self._queue) > 0 and not self.paused
        return is_waiting and not self._in_step and self._next_step() is None

    @property
    def busy(self) -> bool:
        """Whether anything is left to do, or under way."""
        if self.has_given_up:
            return False
        is_scan_due = self._needs_full_scan or bool(self._unscanned)
        return self._in_step or is_scan_due or bool(self._to_forget) or len(self._queue) > 0

    @property
    def knows_definitions(self) -> bool:
        """Whether the engine has the definitions of all files that are to be in memory."""
        return not (self._needs_full_scan or self._unscanned or self._definitions)

    def totals(self) -> Totals:
        """Return the current counts."""
        return replace(self.files.totals(), undefined=len(self._definitions))

    @property
    def has_given_up(self) -> bool:
        """Whether nothing is indexed any more, as steps failed; see `error`."""
        return self._n_failures >= MAX_FAILURES

    def start(self) -> None:
        """Scan the workspace, and work from now on."""
        self.rescan()

    def _start_task(self) -> None:
        self._task = asyncio.create_task(self._run(), name="indexer")
        self._task.add_done_callback(self._note_end)

    def give_up(self) -> None:
        """Index nothing until a scan is asked for, as steps fail."""
        self._n_failures = MAX_FAILURES

    def _try_again(self) -> None:
        """Take steps again after failures; without a task nobody would, and all would wait."""
        if self._task is not None:
            self._n_failures = 0

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        """Note why the task ended, if nobody stopped it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.error = error
            self.give_up()
            self._tell()

    async def stop(self) -> None:
        """Cancel the step that is under way, and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def pause(self) -> None:
        """Start no further file until ``resume``."""
        self.paused = True
        self._on_change()

    def resume(self) -> None:
        """Continue, on battery too."""
        self.paused = self.spares_battery = False
        self._wake_up()

    def spare_battery(self, spares: bool) -> None:
        """Put off files that nobody opened or changed, or take them up again."""
        self.spares_battery = spares
        self._wake_up()

    def rescan(self) -> None:
        """Scan the whole workspace; files of equal size and time are not read again."""
        if self._task is None:  # the first scan, or the first one since it gave up unstarted
            self._start_task()
        self._try_again()
        self._needs_full_scan = True
        self._wake_up()

    def reindex(self) -> None:
        """Read every file again, whatever its size and time; also files that failed."""
        self.paused = self.spares_battery = False
        self._crashes.clear()
        for file in self.files:
            if after_reindex_command(file) == READ:
                self._enqueue_again(file)
        self.rescan()

    def reconfigure(self, workspace: Workspace, memory: Memory) -> None:
        """Apply other rules and limits: files leave memory or come into it accordingly."""
        self._workspace, self._budget.memory = workspace, memory
        self._apply_settings(memory)
        self._must_rebalance = True
        self.rescan()

    def clear(self) -> None:
        """Forget every file, and remember none until ``resume`` or ``reindex``."""
        self.paused = True
        self._n_clearances += 1
        for file in self.files:
            if file.state is not FileState.LEFT_OUT:
                self._to_forget.update([file.name] if file.n_tokens else [])
                self._enqueue_again(replace(file, n_tokens=0))
        self._to_forget |= self._definitions.drain()
        self._wake_up()

    def changed(self, paths: Iterable[Path], urgency: Urgency = Urgency.CHANGED) -> None:
        """Scan files and folders that were created, written, moved, deleted, opened or closed."""
        for path in paths:
            self._unscanned[path] = min(urgency, self._unscanned.get(path, urgency))
        self._try_again()
        self._wake_up()

    def refill(self) -> None:
        """Remember all files again, as the engine started with an empty memory."""
        self._try_again()
        self._to_forget.clear()
        self._failed_to_forget.clear()
        self._definitions.drain()
        for file in self.files:
            if after_engine_start(file, is_limited=self._engine.is_limited) == READ:
                self._enqueue_again(replace(file, n_tokens=0))
        self._wake_up()

    def name_of(self, path: Path) -> str:
        """Return a file's path in memory: relative to its workspace folder.

        The folder's name comes first if there are several.
        """
        return self._workspace.name_of(path)

    def root_of(self, path: Path) -> Path | None:
        """Return the workspace folder that a file is in; None for a file outside of all."""
        return self._workspace.root_of(path)

    def _apply_settings(self, memory: Memory) -> None:
        self._reader.limits = Limits(max_file_bytes=memory.max_file_bytes)
        self._ignore_file_names = (".gitignore", memory.ignore_file)

    def _wake_up(self) -> None:
        """Have the task look for its next step; begin again if it failed."""
        if self._task is not None and self._task.done():
            self._start_task()  # it failed
        self._wake.set()
        self._tell()

    def _tell(self) -> None:
        """Tell of a change; whoever fails to hear of it does not stop indexing."""
        try:
            self._on_change()
        except Exception:
            logger.exception("a change of the index could not be told")

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                step = self._next_step()
                if step is not None:
                    self._in_step = True
                    await step()
            except Exception as error:  # the next step may succeed
                logger.exception("a step of indexing failed; indexing continues")
                self.error, self._n_failures = error, self._n_failures + 1
            else:
                if step is None:
                    await self._wait()
                    continue
                self._n_failures = 0
            finally:
                self._in_step = False
            self._tell()
            await asyncio.sleep(0)  # a step may not have waited for anything; let others run

    async def _wait(self) -> None:
        """Wait until there may be another step; look by oneself while there is work."""
        self._tell()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), CHECK_EVERY_S if self.busy else None)

    def _next_step(self) -> Callable[[], Coroutine[None, None, None]] | None:
        if self.has_given_up:
            return None
        if self._unscanned or self._needs_full_scan:
            return self._scan
        if not self._engine.ready:
            return None
        if self._to_forget:
            return self._forget
        if not self._may_remember or self.paused:
            return None
        is_first = self._definitions.is_due and not self._queue.has_urgent
        return self._read_definitions if is_first else self._remember_next

    @property
    def _may_remember(self) -> bool:
        """Whether a file in the queue may be remembered now."""
        return self._queue.has_urgent if self.spares_battery else len(self._queue) > 0

    # Scanning the disk.

    async def _scan(self) -> None:
        paths, self._unscanned = self._unscanned, {}
        is_full, self._needs_full_scan = self._needs_full_scan, False
        self._to_forget |= self._failed_to_forget
        self._failed_to_forget.clear()
        try:
            await self._take_in(paths, is_full=is_full)
        except Exception:  # the same is to be scanned again
            self._unscanned = {**paths, **self._unscanned}
            self._needs_full_scan |= is_full
            raise
        self.error = None

    async def _take_in(self, paths: dict[Path, Urgency], *, is_full: bool) -> None:
        """Scan paths, or the whole workspace, and decide what becomes of what is found."""
        paths = await asyncio.to_thread(all_changed, self._workspace, paths)
        entries, is_full = await asyncio.to_thread(
            scan, self._workspace, paths, self._ignore_file_names, is_full=is_full
        )
        n_tokens = self.files.totals().tokens
        for file in self._gone(paths, entries, is_full=is_full):
            self._drop(file)
        for number, entry in enumerate(entries.values(), start=1):
            self._classify(entry, paths.get(entry.path, Urgency.REST))
            if number % _ENTRIES_PER_TURN == 0:
                await asyncio.sleep(0)
        await self._fit_budget(has_room=self.files.totals().tokens < n_tokens, is_full=is_full)

    def _gone(
        self, paths: Collection[Path], entries: Collection[Path], *, is_full: bool
    ) -> list[TrackedFile]:
        """Return the files that the scan did not find any more."""
        if is_full:
            return [file for file in self.files if file.path not in entries]
        return self.files.below(path for path in paths if path not in entries)

    def _classify(self, entry: Entry, urgency: Urgency) -> None:
        """Queue a file that was found, leave it out, or keep it as it is."""
        name, known = self.name_of(entry.path), self.files.get(entry.path)
        if known is not None and known.name != name:  # a workspace folder was added or removed
            self._drop(known)
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
        self._drop(file)
        self.files.put(replace(file, state=FileState.LEFT_OUT, reason=reason, n_tokens=0))

    def _drop(self, file: TrackedFile) -> None:
        self._queue.discard(file.path)
        self.files.drop(file.path)
        self._budget.drop(file.path)
        if self._definitions.drop(file) or file.n_tokens:
            self._to_forget.add(file.name)

    # Keeping to the budget.

    async def _fit_budget(self, *, has_room: bool, is_full: bool) -> None:
        """Exchange files after a scan, if others are open now or there is room again."""
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

    def _exchange(self, leaving: Iterable[TrackedFile], coming: Iterable[TrackedFile]) -> None:
        for file in leaving:
            self._leave_out(file, BUDGET)
        for file in coming:
            self._enqueue_again(file)

    # Requests to the engine.

    async def _forget(self) -> None:
        names, self._to_forget = sorted(self._to_forget), set()
        try:
            await self._engine.forget(names)
        except EngineGone:
            return  # and all of its memory with it
        except Exception:
            logger.exception("%d files could not be forgotten; the next scan retries", len(names))
            self._failed_to_forget.update(names)

    async def _read_definitions(self) -> None:
        """Have the engine know what the next files define, unless ``clear`` comes meanwhile."""
        n_clearances = self._n_clearances
        await self._definitions.read_next(self.files)
        if n_clearances != self._n_clearances:
            self._to_forget |= self._definitions.drain()

    async def _remember_next(self) -> None:
        """Remember the most urgent file, or a few if the store had all of the last ones."""
        chosen = self._next_files()
        were_stored = await asyncio.gather(*(self._remember(*each) for each in chosen))
        if were_stored:
            self._n_concurrent = MAX_CONCURRENT if all(were_stored) else 1

    def _next_files(self) -> list[tuple[TrackedFile, Urgency]]:
        """Take files off the queue that fit into the budget; one that crashed the engine, alone."""
        chosen: list[tuple[TrackedFile, Urgency]] = []
        free_tokens = self._budget.free_tokens()
        for _ in range(self._n_concurrent):
            if not self._may_remember:
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

    async def _remember(self, file: TrackedFile, urgency: Urgency) -> bool:
        """Remember a file, or leave it out. Return whether the store had all of it."""
        n_clearances = self._n_clearances
        try:
            text = await self._reader.read(file.path)
            folder = self._workspace.folder_in_name(file.path)
            result = await self._engine.remember(file.name, text, folder)
        except Exception as error:
            self._handle_error(file, urgency, error)
            return False
        self._note_remembered(file, urgency, result, is_late=n_clearances != self._n_clearances)
        return not result.n_encoded

    def _handle_error(self, file: TrackedFile, urgency: Urgency, error: Exception) -> None:
        if isinstance(error, EngineGone) and not isinstance(error, EngineAway):
            self._crashes[file.path] += 1
        elif not isinstance(error, EngineAway | SourceError):
            logger.error("%s could not be remembered", file.name, exc_info=error)
        decision = after_error(error, self._crashes[file.path])
        if decision.action is Action.LEAVE_OUT:
            self._leave_out(file, decision.reason)
        else:
            self._queue.put(file.path, urgency)

    def _note_remembered(
        self, file: TrackedFile, urgency: Urgency, result: RememberResult, *, is_late: bool
    ) -> None:
        """Note that a file is in memory, or is to be forgotten if ``clear`` came in between."""
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
