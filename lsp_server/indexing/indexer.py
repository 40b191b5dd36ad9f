"""Brings the workspace into memory: open files first, then changed ones, then those near them.

One task on the event loop does one step after the other: look at what changed on disk, forget what
is gone, remember the most urgent files. So no two steps can be at odds with each other, and what is
said to the indexer meanwhile waits for the end of the step. The disk says what there is to
remember, save for open documents, whose live text counts.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import replace
from pathlib import Path

from longllama_code.protocol import RememberResult
from longllama_code.source_files.workspace import (
    Entry,
    Exclusion,
    Limits,
    SourceError,
    Workspace,
    refuse_secrets,
)
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.budget import BUDGET, guessed_tokens
from lsp_server.indexing.file_table import FileQueue, FileState, TrackedFile, TrackedFiles, Urgency
from lsp_server.indexing.memory_budget import Places
from lsp_server.indexing.memory_writer import Rememberer
from lsp_server.indexing.reindex_policy import (
    CRASHES_ENGINE,
    FAILED,
    may_be_refused,
    must_be_read,
    would_fail_again,
)
from lsp_server.indexing.scan import look
from lsp_server.indexing.source_reader import SourceTexts
from lsp_server.settings.declarations import Memory

logger = logging.getLogger(__name__)

MAX_CRASHES = 2
"""How often the engine may die over one file before the file is left out."""
AT_ONCE = 4
"""Files that are asked for together while the store has them all, as most of their time is the way
there and back. What changes meanwhile waits for no more than these."""
_ENTRIES_AT_A_TIME = 256


class Indexer:
    """Owner of the queue and of the files' records."""

    def __init__(
        self,
        engine: Rememberer,
        workspace: Workspace,
        open_paths: Callable[[], Collection[Path]],
        open_text: Callable[[Path], str | None],
        memory: Memory,
        on_change: Callable[[], None],
        refuse_secrets: Callable[[Path, str], None] = refuse_secrets,
    ) -> None:
        self.files = TrackedFiles()
        self.paused = False
        self.spares_battery = False
        """Whether files wait that nobody opened or changed; see `spare_battery`."""
        self._engine = engine
        self._workspace = workspace
        self._texts = SourceTexts(open_text, refuse_secrets)
        self._heed(memory)
        self._places = Places(self.files, memory, engine, open_paths, open_text)
        self._on_change = on_change
        self._unseen: dict[Path, Urgency] = {}
        self._all_unseen = True  # busy from the first: nothing was looked at yet
        self._must_swap = False
        self._stale: set[str] = set()
        self._unforgotten: set[str] = set()  # what the engine failed to forget
        self._queue = FileQueue()
        self._crashes: Counter[Path] = Counter()
        self._n_at_once = 1
        self._in_step = False
        self._clearances = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether all that waits does so for mains power; asked of an engine that is ready."""
        is_waiting = len(self._queue) > 0 and not self.paused
        return is_waiting and not self._in_step and self._next_step() is None

    @property
    def busy(self) -> bool:
        """Whether anything is left to do, or under way."""
        return bool(
            self._in_step or self._all_unseen or self._unseen or self._stale or len(self._queue)
        )

    def start(self) -> None:
        """Scan the workspace, and work from now on."""
        self._task = asyncio.create_task(self._run(), name="indexer")
        self.rescan()

    async def stop(self) -> None:
        """End; what is under way is given up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def pause(self) -> None:
        """Start no further file until ``resume``."""
        self.paused = True
        self._on_change()

    def resume(self) -> None:
        """Go on, on battery as well."""
        self.paused = self.spares_battery = False
        self._notice()

    def spare_battery(self, spares: bool) -> None:
        """Let files wait, or no longer, that nobody opened or changed."""
        self.spares_battery = spares
        self._notice()

    def rescan(self) -> None:
        """Look at every file of the workspace; those that nobody wrote stay as they are."""
        self._all_unseen = True
        self._notice()

    def reindex(self) -> None:
        """Read every file again, whatever its size and time say; also those that failed."""
        self.paused = self.spares_battery = False
        self._crashes.clear()
        for file in self.files:
            if file.state is FileState.IN_MEMORY or would_fail_again(file):
                again = replace(file, state=FileState.WAITING, reason=None)
                self._enqueue(again, Urgency.REST)
        self.rescan()

    def reconfigure(self, workspace: Workspace, memory: Memory) -> None:
        """Other rules or limits hold: what they now leave out goes, what they let in comes."""
        self._workspace, self._places.memory = workspace, memory
        self._heed(memory)
        self._must_swap = True
        self.rescan()

    def clear(self) -> None:
        """Forget every file, and wait for ``resume`` or ``reindex`` to remember any again."""
        self.paused = True
        self._clearances += 1
        for file in self.files:
            if file.state is not FileState.LEFT_OUT:
                self._stale.update([file.name] if file.n_tokens else [])
                waiting = replace(file, state=FileState.WAITING, n_tokens=0)
                self._enqueue(waiting, Urgency.REST)
        self._notice()

    def changed(self, paths: Iterable[Path], urgency: Urgency = Urgency.CHANGED) -> None:
        """Files or folders were created, written, moved, deleted, opened, edited or closed."""
        for path in paths:
            self._unseen[path] = min(urgency, self._unseen.get(path, urgency))
        self._notice()

    def refill(self) -> None:
        """The engine began with an empty memory: what it had must be remembered again."""
        self._stale.clear()
        self._unforgotten.clear()
        for file in self.files:
            if file.state is not FileState.LEFT_OUT:
                emptied = replace(file, state=FileState.WAITING, n_tokens=0)
                self._enqueue(emptied, Urgency.REST)
            elif file.reason == BUDGET and not self._engine.is_limited:
                self._take_in([file])
        self._notice()

    def name_of(self, path: Path) -> str:
        """A file's path in memory: relative to its workspace folder, named if there are several."""
        return self._workspace.name_of(path)

    def _heed(self, memory: Memory) -> None:
        self._texts.limits = Limits(max_file_bytes=memory.max_file_bytes)
        self._rules_names = (".gitignore", memory.ignore_file)

    def _notice(self) -> None:
        """There is news for the task."""
        self._wake.set()
        self._on_change()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            step = self._next_step()
            if step is None:
                self._on_change()
                await self._wake.wait()
                continue
            self._in_step = True
            try:
                await step()
            except Exception:  # whatever goes wrong with one step, the next must be made
                logger.exception("a step of indexing failed")
            finally:
                self._in_step = False
            self._on_change()
            await asyncio.sleep(0)  # a step need not wait for anything; others must have a turn

    def _next_step(self) -> Callable[[], Coroutine[None, None, None]] | None:
        if self._unseen or self._all_unseen:
            return self._look
        if not self._engine.ready:
            return None
        if self._stale:
            return self._forget
        return self._remember_next if self._may_remember and not self.paused else None

    @property
    def _may_remember(self) -> bool:
        """Whether a file waits that may be remembered now."""
        return self._queue.has_urgent if self.spares_battery else len(self._queue) > 0

    # Looking at the disk.

    async def _look(self) -> None:
        paths, self._unseen = self._unseen, {}
        is_whole, self._all_unseen = self._all_unseen, False
        self._stale |= self._unforgotten
        self._unforgotten.clear()
        entries, is_whole = await asyncio.to_thread(
            look, self._workspace, paths, self._rules_names, is_whole=is_whole
        )
        n_tokens = self.files.totals().tokens
        gone = (
            [file for file in self.files if file.path not in entries]
            if is_whole
            else self.files.below(path for path in paths if path not in entries)
        )
        for file in gone:
            self._drop(file)
        for number, entry in enumerate(entries.values(), start=1):
            self._consider(entry, paths.get(entry.path, Urgency.REST))
            if number % _ENTRIES_AT_A_TIME == 0:
                await asyncio.sleep(0)
        has_moved = self._must_swap or self._places.has_moved
        self._must_swap = False
        if has_moved or is_whole:
            await self._places.look()
            self._queue.arrange(self._places.rank)
        if has_moved:
            self._swap()
        elif self.files.totals().tokens < n_tokens:  # there is room again
            self._take_in(self._places.fitting())

    def _consider(self, entry: Entry, urgency: Urgency) -> None:
        """Queue a file, leave it out, or see that nothing is to be done."""
        name, known = self.name_of(entry.path), self.files.get(entry.path)
        if known is not None and known.name != name:  # a workspace folder came or went
            self._drop(known)
            known = None
        n_tokens = known.n_tokens if known else 0
        file = TrackedFile(
            entry.path,
            name,
            FileState.WAITING,
            None,
            n_tokens,
            entry.size_bytes,
            entry.mtime_ns,
            entry.has_rested,
        )
        if entry.exclusion is not None and not self._is_written_in_editor(entry):
            self._leave_out(file, entry.exclusion.value)
        elif must_be_read(known, file, urgency):
            self._enqueue(file, urgency)

    def _is_written_in_editor(self, entry: Entry) -> bool:
        """An empty file on disk may have text in the editor; secrets stay out all the same."""
        return entry.exclusion is Exclusion.EMPTY and self._texts.is_written(entry.path)

    def _enqueue(self, file: TrackedFile, urgency: Urgency) -> None:
        is_open = self._texts.is_open(file.path)
        if urgency is not Urgency.REST:
            self._places.touch(file.path)
        self.files.put(file)
        self._queue.put(file.path, Urgency.OPEN if is_open else urgency)

    def _leave_out(self, file: TrackedFile, reason: str) -> None:
        self._drop(file)
        self.files.put(replace(file, state=FileState.LEFT_OUT, reason=reason, n_tokens=0))

    def _drop(self, file: TrackedFile) -> None:
        self._queue.discard(file.path)
        self.files.drop(file.path)
        self._places.drop(file.path)
        if file.n_tokens:
            self._stale.add(file.name)

    # Keeping to the budget.

    def _swap(self) -> None:
        """The open files are others now: leave out what is far for what is near and was left out.

        What the store has is not encoded again.
        """
        leaving, coming = self._places.swap()
        self._refuse(leaving)
        self._take_in(coming)

    def _refuse(self, files: Iterable[TrackedFile]) -> None:
        for file in files:
            self._leave_out(file, BUDGET)

    def _take_in(self, refused: Iterable[TrackedFile]) -> None:
        for file in refused:
            self._enqueue(replace(file, state=FileState.WAITING, reason=None), Urgency.REST)

    # Asking the engine.

    async def _forget(self) -> None:
        names, self._stale = sorted(self._stale), set()
        try:
            await self._engine.forget(names)
        except EngineGone:
            return  # and all of its memory with it
        except Exception:
            logger.exception("%d files could not be forgotten", len(names))
            self._unforgotten.update(names)  # for the next look; at once it would not go better

    async def _remember_next(self) -> None:
        """Remember the most urgent file, or a few if the last ones were all in the store."""
        chosen = self._next_files()
        found = await asyncio.gather(*(self._remember(*each) for each in chosen))
        if found:
            self._n_at_once = AT_ONCE if all(found) else 1

    def _next_files(self) -> list[tuple[TrackedFile, Urgency]]:
        """Files that fit into what is left of the budget; one that the engine died over, alone."""
        chosen: list[tuple[TrackedFile, Urgency]] = []
        room = self._places.room()
        for _ in range(self._n_at_once):
            if not self._may_remember:
                break
            path, urgency = self._queue.pop()
            file = self.files.get(path)
            assert file is not None, "what is dropped leaves the queue as well"
            if path in self._crashes and chosen:
                self._queue.put(path, urgency)
                break
            if may_be_refused(file, urgency) and room < guessed_tokens(file):
                self._leave_out(file, BUDGET)
                continue
            room -= guessed_tokens(file)
            chosen.append((file, urgency))
            if path in self._crashes:
                break
        return chosen

    async def _remember(self, file: TrackedFile, urgency: Urgency) -> bool:
        """Remember a file, or leave it out with the reason; whether the store had all of it."""
        clearances = self._clearances
        try:
            result = await self._engine.remember(file.name, await self._texts.of(file.path))
        except SourceError as error:
            self._leave_out(file, error.exclusion.value)
        except EngineAway:
            self._queue.put(file.path, urgency)
        except EngineGone:
            self._after_crash(file, urgency)
        except Exception:
            logger.exception("%s could not be remembered", file.name)
            self._leave_out(file, FAILED)
        else:
            self._take(file, urgency, result, came_late=clearances != self._clearances)
            return not result.n_encoded
        return False

    def _take(
        self, file: TrackedFile, urgency: Urgency, result: RememberResult, *, came_late: bool
    ) -> None:
        """Note that a file is in memory; one that came after all was to be forgotten, goes."""
        self._unforgotten.discard(file.name)
        self._crashes.pop(file.path, None)
        self.files.count(result)
        if came_late:
            self._stale.add(file.name)
            return
        self.files.put(replace(file, state=FileState.IN_MEMORY, n_tokens=result.n_tokens))
        if not may_be_refused(file, urgency):
            self._refuse(self._places.excess(file.path))

    def _after_crash(self, file: TrackedFile, urgency: Urgency) -> None:
        self._crashes[file.path] += 1
        if self._crashes[file.path] >= MAX_CRASHES:
            self._leave_out(file, CRASHES_ENGINE)
        else:
            self._queue.put(file.path, urgency)
