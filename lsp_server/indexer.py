"""Brings the workspace into memory, one file at a time: open files first, changed ones next.

Lives on the event loop; reading and scanning run in threads. The disk says what there is to
remember, save for open documents, whose live text counts.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from longllama_code.protocol import RememberResult
from lsp_server.completion import well_formed
from lsp_server.engine_client import EngineGone
from lsp_server.settings import Memory
from lsp_server.tracked import FileState, TrackedFile, TrackedFiles
from lsp_server.workspace import Entry, Limits, SourceError, Workspace, read_source

logger = logging.getLogger(__name__)


class Urgency(IntEnum):
    """Which file comes first; lower goes first."""

    OPEN = 0
    CHANGED = 1
    REST = 2


class Rememberer(Protocol):
    """What the indexer needs of the engine."""

    async def wait_ready(self) -> None:
        """Wait until the engine can be asked."""
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
        open_text: Callable[[Path], str | None],
        memory: Memory,
        on_change: Callable[[], None],
    ) -> None:
        self.files = TrackedFiles()
        self._engine = engine
        self._workspace = workspace
        self._open_text = open_text
        self._max_tokens = memory.max_tokens
        self._limits = Limits(max_file_bytes=memory.max_file_bytes)
        self._rules_names = (".gitignore", memory.ignore_file)
        self._on_change = on_change
        self._queue: dict[Path, Urgency] = {}
        self._wake = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._busy = False
        self._idle = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether files wait or are being encoded."""
        return bool(self._queue) or self._busy

    @property
    def paused(self) -> bool:
        """Whether work was stopped by the user."""
        return not self._running.is_set()

    def start(self) -> None:
        """Begin to work off the queue, and scan the workspace."""
        self._spawn(self._run())
        self.rescan()

    async def stop(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def pause(self) -> None:
        """Start no further file until ``resume``."""
        self._running.clear()
        self._on_change()

    def resume(self) -> None:
        """Go on."""
        self._running.set()
        self._on_change()

    async def wait_idle(self) -> None:
        """Wait until nothing is left to do."""
        await self._idle.wait()

    def rescan(self) -> None:
        """Look at every file of the workspace again."""
        self._busy_until(self._scan())

    def changed(self, paths: Iterable[Path]) -> None:
        """Files or folders that were created, written, moved or deleted, by whomever."""
        self._busy_until(self._look_at(list(paths)))

    def touch(self, path: Path, urgency: Urgency) -> None:
        """An open document changed, was opened or closed."""
        self._busy_until(self._look_at([path], urgency))

    def refill(self) -> None:
        """The engine began anew with an empty memory: everything must be remembered again."""
        for file in list(self.files):
            if file.state is FileState.IN_MEMORY:
                self._enqueue(replace(file, state=FileState.WAITING, n_tokens=0), Urgency.REST)

    async def _scan(self) -> None:
        entries = await asyncio.to_thread(lambda: list(self._workspace.scan()))
        found = {entry.path for entry in entries}
        for entry in entries:
            self._consider(entry, Urgency.REST)
        gone = [file for file in list(self.files) if file.path not in found]
        await self._drop(gone)

    async def _look_at(self, paths: list[Path], urgency: Urgency = Urgency.CHANGED) -> None:
        # A folder, or a file of ignore rules, may change what is to be said of any file.
        if any(path.name in self._rules_names or path.is_dir() for path in paths):
            await self._scan()
        for path in paths:
            entry = await asyncio.to_thread(self._workspace.entry, path)
            if entry is None:
                await self._drop(self.files.below(path))
            else:
                self._consider(entry, urgency)

    def _consider(self, entry: Entry, urgency: Urgency) -> None:
        """Queue a file, or note why it is left out."""
        name = self._name(entry)
        if entry.exclusion is not None and not self._is_open_and_allowed(entry):
            file = TrackedFile(entry.path, name, FileState.LEFT_OUT, entry.exclusion.value)
            self._spawn(self._leave_out(file))
            return
        if self._open_text(entry.path) is not None:
            urgency = Urgency.OPEN
        known = self.files.get(entry.path)
        if known is not None and urgency is Urgency.REST and known.state is FileState.IN_MEMORY:
            urgency = Urgency.CHANGED
        waiting = TrackedFile(
            entry.path,
            name,
            FileState.WAITING,
            n_tokens=known.n_tokens if known else 0,
            size_bytes=entry.size_bytes,
        )
        self._enqueue(waiting, urgency)

    def _is_open_and_allowed(self, entry: Entry) -> bool:
        """An empty file on disk may have text in the editor; secrets stay out all the same."""
        return entry.exclusion == "empty" and bool(self._open_text(entry.path))

    def _name(self, entry: Entry) -> str:
        if len(self._workspace.roots) < 2:
            return entry.relative
        root = entry.path.parents[len(Path(entry.relative).parts) - 1]
        return f"{root.name}/{entry.relative}"

    def _enqueue(self, file: TrackedFile, urgency: Urgency) -> None:
        self.files.put(file)
        self._queue[file.path] = min(urgency, self._queue.get(file.path, urgency))
        self._idle.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            if not self._queue:
                self._settle()
                await self._wake.wait()
                self._wake.clear()
                continue
            await self._running.wait()
            await self._engine.wait_ready()
            if self._queue:
                await self._next()
                self._on_change()

    async def _next(self) -> None:
        """Remember the most urgent file; a file that fails is left out, and the next one comes."""
        path = min(self._queue, key=self._queue.__getitem__)
        urgency = self._queue.pop(path)
        file = self.files.get(path)
        if file is None:
            return
        self._busy = True
        try:
            await self._remember(file)
        except SourceError as error:
            await self._leave_out(replace(file, state=FileState.LEFT_OUT, reason=error.exclusion))
        except EngineGone:
            self._queue.setdefault(path, urgency)
        except Exception:
            logger.exception("%s could not be remembered", file.name)
            self.files.put(replace(file, state=FileState.LEFT_OUT, reason="failed", n_tokens=0))
        finally:
            self._busy = False

    async def _remember(self, file: TrackedFile) -> None:
        others = self.files.totals().tokens - file.n_tokens
        if others >= self._max_tokens:
            await self._leave_out(replace(file, state=FileState.LEFT_OUT, reason="budget"))
            return
        text = self._open_text(file.path)
        if text is None:
            text = await asyncio.to_thread(read_source, file.path, self._limits)
        result = await self._engine.remember(file.name, well_formed(text))
        self.files.count(result)
        if self.files.get(file.path) is not None:
            state = FileState.WAITING if file.path in self._queue else FileState.IN_MEMORY
            self.files.put(replace(file, state=state, n_tokens=result.n_tokens))

    async def _leave_out(self, file: TrackedFile) -> None:
        known = self.files.get(file.path)
        self._queue.pop(file.path, None)
        self.files.put(replace(file, n_tokens=0))
        if known is not None and known.n_tokens:
            await self._forget([known])

    async def _drop(self, files: list[TrackedFile]) -> None:
        for file in files:
            self.files.drop(file.path)
            self._queue.pop(file.path, None)
        await self._forget([file for file in files if file.n_tokens])

    async def _forget(self, files: list[TrackedFile]) -> None:
        if files:
            await self._engine.wait_ready()
            await self._engine.forget([file.name for file in files])
            self._on_change()

    def _settle(self) -> None:
        self._on_change()
        if not self.busy and not any(not t.done() for t in self._tasks if t.get_name() == "look"):
            self._idle.set()

    def _busy_until(self, work: Coroutine[None, None, None]) -> None:
        """Run work that may fill the queue; idle only afterwards."""
        self._idle.clear()
        self._spawn(work, name="look").add_done_callback(lambda _: self._wake.set())

    def _spawn(
        self, work: Coroutine[None, None, None], name: str = "index"
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
