"""Brings the workspace into memory, one file at a time: open files, changed ones, those near them.

One task on the event loop does one step after the other: look at what changed on disk, forget what
is gone, remember the most urgent file. So no two steps can be at odds with each other, and what is
said to the indexer meanwhile waits for the end of the step. The disk says what there is to
remember, save for open documents, whose live text counts.
"""

import asyncio
import itertools
import logging
import sys
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from longllama_code.protocol import RememberResult
from lsp_server.budget import BUDGET, fit_again, guessed_tokens, split, too_many
from lsp_server.completion import model_text
from lsp_server.engine_connection import EngineAway, EngineGone
from lsp_server.look import look
from lsp_server.nearness import Nearness, Rank
from lsp_server.settings import Memory
from lsp_server.tracked import FileQueue, FileState, TrackedFile, TrackedFiles, Urgency
from lsp_server.workspace import (
    Entry,
    Exclusion,
    Limits,
    SourceError,
    Workspace,
    read_source,
    refuse_secrets,
)

logger = logging.getLogger(__name__)

FAILED = "failed"
CRASHES_ENGINE = "crashes_engine"
MAX_CRASHES = 2
"""How often the engine may die over one file before the file is left out."""
_ENTRIES_AT_A_TIME = 256


class Rememberer(Protocol):
    """What the indexer needs of the engine."""

    @property
    def ready(self) -> bool:
        """Whether it can be asked; ``Indexer.refill`` must be called when it can be again."""
        ...

    @property
    def token_bytes(self) -> int:
        """Of the record of one token in memory; 0 before it was ready."""
        ...

    @property
    def is_limited(self) -> bool:
        """Whether the budget counts; not where the memory is another machine's."""
        ...

    async def remember(self, path: str, text: str) -> RememberResult:
        """Take a file into memory."""
        ...

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        ...


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
    ) -> None:
        self.files = TrackedFiles()
        self.paused = False
        self.spares_battery = False
        """Whether files wait that nobody opened or changed; see `spare_battery`."""
        self._engine = engine
        self._workspace = workspace
        self._open_paths, self._open_text = open_paths, open_text
        self._memory = memory
        self._limits = Limits(max_file_bytes=memory.max_file_bytes)
        self._rules_names = (".gitignore", memory.ignore_file)
        self._on_change = on_change
        self._unseen: dict[Path, Urgency] = {}
        self._all_unseen = True  # busy from the first: nothing was looked at yet
        self._must_swap = False
        self._stale: set[str] = set()
        self._unforgotten: set[str] = set()  # what the engine failed to forget
        self._touches = itertools.count(1)
        self._touched: dict[Path, int] = {}  # a file's last change; greater is later
        self._queue = FileQueue()
        self._nearness = Nearness({})
        self._crashes: Counter[Path] = Counter()
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
            if file.state is FileState.IN_MEMORY or file.reason in (FAILED, CRASHES_ENGINE):
                again = replace(file, state=FileState.WAITING, reason=None)
                self._enqueue(again, Urgency.REST)
        self.rescan()

    def reconfigure(self, workspace: Workspace, memory: Memory) -> None:
        """Other rules or limits hold: what they now leave out goes, what they let in comes."""
        self._workspace = workspace
        self._memory = memory
        self._limits = Limits(max_file_bytes=memory.max_file_bytes)
        self._rules_names = (".gitignore", memory.ignore_file)
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
                self._take_in(file)
        self._notice()

    def name_of(self, path: Path) -> str:
        """A file's path in memory: relative to its workspace folder, named if there are several."""
        return self._workspace.name_of(path)

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
        may_go_on = self._queue.has_urgent if self.spares_battery else len(self._queue) > 0
        return self._remember_next if may_go_on and not self.paused else None

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
        has_moved = self._must_swap or self._nearness.open != frozenset(self._open_paths())
        self._must_swap = False
        if has_moved or is_whole:
            await self._arrange()
        if has_moved:
            self._swap()
        elif self.files.totals().tokens < n_tokens:
            self._queue_refused()

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
        elif (
            known is not None
            and known.reason in (FAILED, CRASHES_ENGINE)
            and known.same_on_disk(file)
        ):
            return  # it would do so again
        elif known is not None and urgency is Urgency.CHANGED and _is_told_twice(known, file):
            return
        elif (
            known is None
            or urgency is not Urgency.REST
            or known.state is not FileState.IN_MEMORY
            or not known.same_on_disk(file)
        ):
            self._enqueue(file, urgency)

    def _is_written_in_editor(self, entry: Entry) -> bool:
        """An empty file on disk may have text in the editor; secrets stay out all the same."""
        return entry.exclusion is Exclusion.EMPTY and bool(self._open_text(entry.path))

    def _enqueue(self, file: TrackedFile, urgency: Urgency) -> None:
        is_open = self._open_text(file.path) is not None
        if urgency is not Urgency.REST:
            self._touched[file.path] = next(self._touches)
        self.files.put(file)
        self._queue.put(file.path, Urgency.OPEN if is_open else urgency)

    def _leave_out(self, file: TrackedFile, reason: str) -> None:
        self._drop(file)
        self.files.put(replace(file, state=FileState.LEFT_OUT, reason=reason, n_tokens=0))

    def _drop(self, file: TrackedFile) -> None:
        self._queue.discard(file.path)
        self.files.drop(file.path)
        self._touched.pop(file.path, None)
        if file.n_tokens:
            self._stale.add(file.name)

    # Keeping to the budget.

    @property
    def _max_tokens(self) -> int:
        """Most tokens in memory, by their number and by their bytes."""
        memory, token_bytes = self._memory, self._engine.token_bytes
        if not self._engine.is_limited:
            return sys.maxsize
        if not memory.max_bytes or not token_bytes:
            return memory.max_tokens
        return min(memory.max_tokens, memory.max_bytes // token_bytes)

    def _room(self) -> int:
        """How many tokens may yet be remembered."""
        return self._max_tokens - self.files.totals().tokens

    def _make_room(self, newest: Path) -> None:
        """Leave out what changed longest ago, if ever, and what is far; neither open nor newest."""
        closed = [
            file
            for file in self.files
            if file.state is FileState.IN_MEMORY
            and file.path != newest
            and self._open_text(file.path) is None
        ]
        for file in too_many(sorted(closed, key=self._worth), -self._room()):
            self._leave_out(file, BUDGET)

    def _queue_refused(self) -> None:
        """There is room again: queue what may fit of the files that were left out for want of it.

        Not after `_make_room`, or else files would push one another out without end.
        """
        for file in fit_again(sorted(self.files, key=self._worth), self._room()):
            self._take_in(file)

    def _take_in(self, refused: TrackedFile) -> None:
        self._enqueue(replace(refused, state=FileState.WAITING, reason=None), Urgency.REST)

    async def _arrange(self) -> None:
        """Order what waits by its nearness to the open files, as they are now."""
        texts = {path: self._open_text(path) or "" for path in self._open_paths()}
        paths = [file.path for file in self.files]
        self._nearness = await asyncio.to_thread(Nearness, texts, paths)
        self._queue.arrange(self._nearness.rank)

    def _swap(self) -> None:
        """The open files are others now: leave out what is far for what is near and was left out.

        What the store has is not encoded again.
        """
        wanted, unwanted = split(sorted(self.files, key=self._worth), self._max_tokens)
        for file in unwanted:
            if file.state is FileState.IN_MEMORY and self._open_text(file.path) is None:
                self._leave_out(file, BUDGET)
        for file in wanted:
            if file.reason == BUDGET:
                self._take_in(file)

    def _worth(self, file: TrackedFile) -> tuple[bool, int, Rank]:
        """Order of what may stay in memory: open, changed lately, near."""
        is_closed = self._open_text(file.path) is None
        return is_closed, -self._touched.get(file.path, 0), self._nearness.rank(file.path)

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
        """Remember the most urgent file; one that cannot be is left out with the reason."""
        path, urgency = self._queue.pop()
        file = self.files.get(path)
        assert file is not None, "what is dropped leaves the queue as well"
        may_be_refused = urgency is Urgency.REST and not file.n_tokens
        if may_be_refused and self._room() < guessed_tokens(file):
            self._leave_out(file, BUDGET)
            return
        clearances = self._clearances
        try:
            result = await self._engine.remember(file.name, await self._text_of(path))
        except SourceError as error:
            self._leave_out(file, error.exclusion.value)
        except EngineAway:
            self._queue.put(path, urgency)
        except EngineGone:
            self._after_crash(file, urgency)
        except Exception:
            logger.exception("%s could not be remembered", file.name)
            self._leave_out(file, FAILED)
        else:
            self._unforgotten.discard(file.name)
            self.files.count(result)
            if clearances != self._clearances:  # it came in after all was to be forgotten
                self._stale.add(file.name)
                return
            self.files.put(replace(file, state=FileState.IN_MEMORY, n_tokens=result.n_tokens))
            if not may_be_refused:
                self._make_room(path)

    async def _text_of(self, path: Path) -> str:
        text = self._open_text(path)
        if text is None:
            text = await asyncio.to_thread(read_source, path, self._limits)
        await asyncio.to_thread(refuse_secrets, path, text)
        return model_text(text)

    def _after_crash(self, file: TrackedFile, urgency: Urgency) -> None:
        self._crashes[file.path] += 1
        if self._crashes[file.path] >= MAX_CRASHES:
            self._leave_out(file, CRASHES_ENGINE)
        else:
            self._queue.put(file.path, urgency)


def _is_told_twice(known: TrackedFile, now: TrackedFile) -> bool:
    """Whether a change was taken in before: the watcher and the client may both tell of it."""
    return known.state is FileState.IN_MEMORY and known.has_rested and known.same_on_disk(now)
