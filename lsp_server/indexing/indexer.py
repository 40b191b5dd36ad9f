"""Brings the workspace into memory: open files first, then changed ones, then those near them.

One task on the event loop takes one step at a time: scan what changed on disk, forget files that
are gone, have the definitions of many files known, remember the most urgent ones. Steps therefore
never conflict; changes that are reported meanwhile are handled after the step. Texts come from the
disk, those of open documents from the editor. ``MemoryPlan`` keeps what becomes of each file.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from longllama_code.source_files.source_text import Limits, refuse_secrets
from longllama_code.source_files.workspace import Workspace
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.engine_guard import EngineGuard
from lsp_server.indexing.file_table import Totals, TrackedFile, Urgency
from lsp_server.indexing.memory_plan import MemoryPlan
from lsp_server.indexing.memory_writer import MemoryWriter
from lsp_server.indexing.scan import all_changed, scan
from lsp_server.indexing.source_reader import SourceReader
from lsp_server.indexing.step_loop import Step, StepLoop
from lsp_server.settings.declarations import Memory

logger = logging.getLogger(__name__)

MAX_CONCURRENT = 4
"""Files remembered concurrently while the store has them all: most of their time is the round trip
to the engine. A change that comes meanwhile waits for no more than these."""
_ENTRIES_PER_TURN = 256


class Indexer:
    """Owner of what is to be scanned, of the steps and their order."""

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
        self.paused = False
        self.spares_battery = False
        """Whether files wait that nobody opened or changed; see `spare_battery`."""
        self._engine = EngineGuard(engine)
        self._workspace = workspace
        self._reader = SourceReader(open_text, refuse_secrets)
        self._apply_settings(memory)
        self._plan = MemoryPlan(self._engine, self._reader, memory, open_paths, open_text)
        self.files = self._plan.files
        """Records of all files."""
        self._on_change = on_change
        self._loop = StepLoop(self._next_step, lambda: self.busy, on_change)
        self._unscanned: dict[Path, Urgency] = {}
        self._needs_full_scan = True  # nothing was scanned yet, so it is busy from the start
        self._n_concurrent = 1

    @property
    def error(self) -> BaseException | None:
        """Error of the last step, or of the last scan; None if it succeeded."""
        return self._loop.error

    @property
    def waits_for_power(self) -> bool:
        """Whether all files in the queue wait for mains power, and not for the engine."""
        if self.paused or self._loop.has_given_up or self._loop.in_step or not self._engine.ready:
            return False
        return len(self._plan) > 0 and self._next_step() is None

    @property
    def busy(self) -> bool:
        """Whether anything is left to do, or under way."""
        if self._loop.has_given_up:
            return False
        is_scan_due = self._needs_full_scan or bool(self._unscanned)
        return self._loop.in_step or is_scan_due or self._plan.must_forget or len(self._plan) > 0

    @property
    def knows_definitions(self) -> bool:
        """Whether the engine has the definitions of all files that are to be in memory."""
        return not (self._needs_full_scan or self._unscanned) and self._plan.knows_definitions

    def totals(self) -> Totals:
        """Return the current counts."""
        return self._plan.totals()

    def start(self) -> None:
        """Scan the workspace, and work from now on."""
        self.rescan()

    def give_up(self) -> None:
        """Index nothing until a scan is asked for, as steps fail."""
        self._loop.give_up()

    async def stop(self) -> None:
        """Cancel the step that is under way, and end."""
        await self._loop.stop()

    def pause(self) -> None:
        """Start no further file until ``resume``."""
        self.paused = True
        self._on_change()

    def resume(self) -> None:
        """Continue, on battery too."""
        self.paused = self.spares_battery = False
        self._loop.wake_up()

    def spare_battery(self, spares: bool) -> None:
        """Put off files that nobody opened or changed, or take them up again."""
        self.spares_battery = spares
        self._loop.wake_up()

    def rescan(self) -> None:
        """Scan the whole workspace; files of equal size and time are not read again."""
        if not self._loop.is_started:  # the first scan, or the first one since it gave up unstarted
            self._loop.start()
        self._loop.try_again()
        self._needs_full_scan = True
        self._loop.wake_up()

    def reindex(self) -> None:
        """Read every file again, whatever its size and time; also files that failed."""
        self.paused = self.spares_battery = False
        self._plan.read_again()
        self.rescan()

    def reconfigure(self, workspace: Workspace, memory: Memory) -> None:
        """Apply other rules and limits: files leave memory or come into it accordingly."""
        self._workspace = workspace
        self._apply_settings(memory)
        self._plan.limit(memory)
        self.rescan()

    def clear(self) -> None:
        """Forget every file, and remember none until ``resume`` or ``reindex``."""
        self.paused = True
        self._plan.clear()
        self._loop.wake_up()

    def changed(self, paths: Iterable[Path], urgency: Urgency = Urgency.CHANGED) -> None:
        """Scan files and folders that were created, written, moved, deleted, opened or closed."""
        for path in paths:
            self._unscanned[path] = min(urgency, self._unscanned.get(path, urgency))
        self._loop.try_again()
        self._loop.wake_up()

    def refill(self) -> None:
        """Remember all files again, as the engine started with an empty memory."""
        self._engine.note_start()
        self._loop.try_again()
        self._plan.refill()
        self._loop.wake_up()

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

    def _next_step(self) -> Step | None:
        if self._unscanned or self._needs_full_scan:
            return self._scan
        if not self._engine.ready:
            return None
        if self._plan.must_forget:
            return self._forget
        if self.paused or not self._plan.waits(only_urgent=self.spares_battery):
            return None
        return self._plan.read_definitions if self._plan.definitions_first else self._remember_next

    # Scanning the disk.

    async def _scan(self) -> None:
        paths, self._unscanned = self._unscanned, {}
        is_full, self._needs_full_scan = self._needs_full_scan, False
        self._plan.retry_forgetting()
        try:
            await self._take_in(paths, is_full=is_full)
        except Exception:  # the same is to be scanned again
            self._unscanned = {**paths, **self._unscanned}
            self._needs_full_scan |= is_full
            raise
        self._loop.solved()

    async def _take_in(self, paths: dict[Path, Urgency], *, is_full: bool) -> None:
        """Scan paths, or the whole workspace, and decide what becomes of what is found."""
        paths = await asyncio.to_thread(all_changed, self._workspace, paths)
        entries, is_full = await asyncio.to_thread(
            scan, self._workspace, paths, self._ignore_file_names, is_full=is_full
        )
        n_tokens = self.files.totals().tokens
        for file in self._gone(paths, entries, is_full=is_full):
            self._plan.drop(file)
        for number, entry in enumerate(entries.values(), start=1):
            name, urgency = self.name_of(entry.path), paths.get(entry.path, Urgency.REST)
            self._plan.take_in(entry, name, urgency)
            if number % _ENTRIES_PER_TURN == 0:
                await asyncio.sleep(0)
        has_room = self.files.totals().tokens < n_tokens
        await self._plan.fit_budget(has_room=has_room, is_full=is_full)

    def _gone(
        self, paths: Collection[Path], entries: Collection[Path], *, is_full: bool
    ) -> list[TrackedFile]:
        """Return the files that the scan did not find any more."""
        if is_full:
            return [file for file in self.files if file.path not in entries]
        return self.files.below(path for path in paths if path not in entries)

    # Requests to the engine.

    async def _forget(self) -> None:
        names = self._plan.take_names_to_forget()
        try:
            await self._engine.forget(names)
        except EngineAway:
            self._plan.note_unforgotten(names)  # its memory stays; the next scan retries
        except EngineGone:
            return  # and all of its memory with it
        except Exception:
            logger.exception("%d files could not be forgotten; the next scan retries", len(names))
            self._plan.note_unforgotten(names)

    async def _remember_next(self) -> None:
        """Remember the most urgent file, or a few if the store had all of the last ones."""
        chosen = self._plan.next_files(self._n_concurrent, only_urgent=self.spares_battery)
        were_stored = await asyncio.gather(*(self._remember(*each) for each in chosen))
        if were_stored:
            self._n_concurrent = MAX_CONCURRENT if all(were_stored) else 1

    async def _remember(self, file: TrackedFile, urgency: Urgency) -> bool:
        """Remember a file, or leave it out. Return whether the store had all of it."""
        n_clearances = self._plan.n_clearances
        try:
            text = await self._reader.read(file.path)
            folder = self._workspace.folder_in_name(file.path)
            result = await self._engine.remember(file.name, text, folder)
        except Exception as error:
            self._plan.note_error(file, urgency, error)
            return False
        is_late = n_clearances != self._plan.n_clearances
        self._plan.note_remembered(file, urgency, result, is_late=is_late)
        return not result.n_encoded
