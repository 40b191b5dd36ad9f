"""All mutable state of one client: settings, documents, workspace, memory, engine.

Lives on the event loop, which owns it. It takes and gives plain values; what it has to say to the
client goes through ``Client``, so that nothing here knows LSP.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from longllama_code.protocol import CompletionResult
from lsp_server.completion import (
    Cursor,
    Suggestion,
    build_request,
    no_suggestion,
    refuse,
    to_suggestion,
)
from lsp_server.documents import Documents
from lsp_server.engine_client import (
    EngineClient,
    EngineError,
    EngineGone,
    EngineOptions,
    EngineState,
)
from lsp_server.ignore import IgnoreRules
from lsp_server.indexer import Indexer, Urgency
from lsp_server.pace import Pace
from lsp_server.settings import Memory, Model, Problem, Settings, resolve
from lsp_server.tracked import Kind, Phase, Status, Totals
from lsp_server.watcher import Watcher
from lsp_server.workspace import Limits, Workspace

logger = logging.getLogger(__name__)

EDIT_QUIET_S = 1.0
"""How long an open document must rest before its changed segments are encoded."""
STATUS_EVERY_S = 0.1
"""Least time between two announcements that differ in their counts alone."""
MAX_EXPLAINED = 50

T = TypeVar("T")


class Client(Protocol):
    """What the session tells its client."""

    def status_changed(self, status: Status) -> None:
        """The status is another one now."""
        ...

    def warn(self, message: str) -> None:
        """Something that the user should know, once."""
        ...


class Session:
    """One client's state, from ``begin`` to ``end``."""

    def __init__(self, client: Client, overrides: Mapping[str, Any] | None = None) -> None:
        self.documents = Documents()
        self.settings = Settings()
        self.engine: EngineClient | None = None
        self.indexer: Indexer | None = None
        self._pace = Pace()
        self._client = client
        self._overrides = overrides
        self._layers: list[Mapping[str, Any] | None] = [None, None]
        self._paths: dict[str, Path] = {}
        self._roots: list[Path] | None = None
        self._workspace = Workspace()
        self._watcher: Watcher | None = None
        self._runs_on: tuple[Model, Memory] | None = None
        self._life = asyncio.Lock()
        self._warned: set[str] = set()
        self._explained: OrderedDict[str, Suggestion] = OrderedDict()
        self._superseded = asyncio.Event()
        self._edit_timers: dict[Path, asyncio.TimerHandle] = {}
        self._settled = asyncio.Event()
        self._told: Status | None = None
        self._tell_timer: asyncio.TimerHandle | None = None
        self._last_reason: str | None = None

    # Life.

    def configure(self, *, options: Any = None, configuration: Any = None) -> None:
        """Take in ``initializationOptions`` or ``workspace/configuration``; None keeps a layer."""
        if options is not None:
            self._layers[0] = options
        if configuration is not None:
            self._layers[1] = configuration
        self.settings, problems = resolve([*self._layers, self._overrides])
        for problem in problems:
            self._warn_once(str(problem))
        logging.getLogger("lsp_server").setLevel(self.settings.log.level.upper())

    async def begin(self, roots: Sequence[Path]) -> None:
        """Work on these workspace folders."""
        self._roots = list(roots)
        await self.apply_settings()

    async def apply_settings(self) -> None:
        """Start what the settings ask for, or stop it, or start it again with other settings."""
        async with self._life:
            if self._roots is None:
                return
            settings = self.settings
            wanted = (settings.model, settings.memory) if settings.enable else None
            if wanted != self._runs_on:
                await self._stop()
                self._runs_on = wanted
                if settings.enable:
                    await self._start(self._roots)
        self._announce()

    async def end(self) -> None:
        """Stop everything that was begun."""
        async with self._life:
            self._roots = None
            await self._stop()

    async def restart(self) -> None:
        """Start the engine anew, after the user mended what kept it from loading."""
        async with self._life:
            self._warned.clear()
            if self._roots is not None and self.settings.enable:
                await self._stop()
                await self._start(self._roots)

    async def change_roots(self, added: Sequence[Path], removed: Sequence[Path]) -> None:
        """Workspace folders came and went."""
        async with self._life:
            kept = [root for root in self._roots or () if root not in removed]
            self._roots = [*kept, *(root for root in added if root not in kept)]
            if self.indexer is None or self._watcher is None:
                return
            for root in removed:
                self._workspace.remove(root)
                await asyncio.to_thread(self._watcher.remove, root)
            for root in added:
                self._workspace.add(root)
            await self._watch(self._watcher, added)
            self.indexer.rescan()

    async def _start(self, roots: Sequence[Path]) -> None:
        settings = self.settings
        cache_dir = settings.memory.cache_dir
        options = EngineOptions(
            model=settings.model.path,
            cache_dir=Path(cache_dir).expanduser() if cache_dir else None,
            persist=settings.memory.persist,
            max_store_bytes=settings.memory.max_store_bytes,
            threads=settings.model.threads,
        )
        limits = Limits(settings.memory.max_file_bytes)
        self._workspace = Workspace(roots, rules=self._rules, limits=limits)
        self.engine = EngineClient(options, self._engine_state)
        self.indexer = Indexer(
            self.engine,
            self._workspace,
            lambda: self._paths.values(),
            self._open_text,
            settings.memory,
            self._announce,
        )
        await self.engine.start()
        loop = asyncio.get_running_loop()

        def on_change(paths: frozenset[Path]) -> None:
            loop.call_soon_threadsafe(self.files_changed, sorted(paths))

        self._watcher = Watcher(
            [],
            on_change,
            is_ignored_dir=self._workspace.ignores_folder,
        )
        # First watch, then scan: what changes in between is seen twice, not missed.
        await self._watch(self._watcher, roots)
        self.indexer.start()

    async def _stop(self) -> None:
        for timer in self._edit_timers.values():
            timer.cancel()
        self._edit_timers.clear()
        engine, indexer, watcher = self.engine, self.indexer, self._watcher
        self.engine = self.indexer = self._watcher = None
        if watcher is not None:
            await asyncio.to_thread(watcher.stop)
        if indexer is not None:
            await indexer.stop()
        if engine is not None:
            await engine.stop()

    # Documents.

    def document_opened(self, uri: str, path: Path | None) -> None:
        """A document's live text now stands for its file."""
        if path is not None:
            self._paths[uri] = path
            self._reread(path)

    def document_changed(self, uri: str) -> None:
        """Encode the changed segments once typing rests."""
        path = self._paths.get(uri)
        if path is None:
            return
        if path in self._edit_timers:
            self._edit_timers[path].cancel()
        loop = asyncio.get_running_loop()
        self._edit_timers[path] = loop.call_later(EDIT_QUIET_S, self._reread, path)

    def document_closed(self, uri: str) -> None:
        """The disk counts again."""
        path = self._paths.pop(uri, None)
        if path is not None:
            self._reread(path)

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Files changed on disk, says the watcher or the client; both saying so costs nothing."""
        if self.indexer is not None:
            self.indexer.changed(paths)

    def _reread(self, path: Path) -> None:
        timer = self._edit_timers.pop(path, None)
        if timer is not None:
            timer.cancel()
        if self.indexer is not None:
            self.indexer.changed([path], Urgency.OPEN)

    def _open_text(self, path: Path) -> str | None:
        for uri, open_path in self._paths.items():
            if open_path == path and (document := self.documents.get(uri)) is not None:
                return document.text
        return None

    # Suggestions.

    async def suggest(self, cursor: Cursor) -> Suggestion:
        """A suggestion, or the reason for none. A newer request supersedes an automatic one."""
        self._superseded.set()
        self._superseded = asyncio.Event()
        suggestion = await self._suggest(cursor, self._superseded)
        self._last_reason = suggestion.reason
        self._explained[suggestion.id] = suggestion
        while len(self._explained) > MAX_EXPLAINED:
            self._explained.popitem(last=False)
        return suggestion

    async def _suggest(self, cursor: Cursor, superseded: asyncio.Event) -> Suggestion:
        reason = refuse(cursor, self.settings)
        if reason is not None:
            return no_suggestion(reason)
        engine, indexer = self.engine, self.indexer
        if engine is None or indexer is None or not engine.ready:
            return no_suggestion(f"engine_{engine.state.value if engine else 'stopped'}")
        request = build_request(cursor, self._name_in_memory(cursor.snapshot.uri), self.settings)
        try:
            if cursor.automatic:
                work = _after(self.settings.trigger.debounce_ms, engine.complete(request))
                result = await _unless(superseded, work)
            else:
                result = await engine.complete(request)
        except EngineGone:
            return no_suggestion("engine_restarting")
        except EngineError as error:
            logger.error("no suggestion for %s: %s", request.path, error)
            return no_suggestion("engine_error")
        return no_suggestion("superseded") if result is None else to_suggestion(result, cursor)

    def _name_in_memory(self, uri: str) -> str:
        path = self._paths.get(uri)
        if path is not None and self.indexer is not None:
            return self.indexer.name_of(path)
        return uri.rpartition("/")[2].rpartition(":")[2]  # untitled:Untitled-1

    def explain(self, suggestion_id: str | None) -> dict[str, Any] | None:
        """Sources and timings of a suggestion (the last one by default), or why it was empty."""
        if suggestion_id is None and self._explained:
            suggestion_id = next(reversed(self._explained))
        suggestion = self._explained.get(suggestion_id or "")
        if suggestion is None:
            return None
        result: CompletionResult | None = suggestion.result
        return {
            "id": suggestion.id,
            "reason": suggestion.reason,
            "stopReason": result.stop_reason if result else None,
            "timings": asdict(result.timings) if result else None,
            "sources": [asdict(source) for source in result.sources] if result else [],
        }

    # Status.

    def status(self) -> Status:
        """The server now."""
        kind, phase, message, busy = self._phase()
        totals = self.indexer.files.totals() if self.indexer else Totals()
        restarts = self.engine.n_restarts if self.engine else 0
        if phase == "indexing":
            self._pace.note(totals)
        else:
            self._pace.rest()
        pace = self._pace.tokens_per_second, self._pace.seconds_left
        return Status(kind, phase, message, busy, totals, restarts, self._last_reason, *pace)

    async def wait_until_settled(self) -> Status:
        """Wait until memory is up to date, with the last edits, or cannot come to be so."""
        for path in list(self._edit_timers):
            self._reread(path)
        while self.status().busy:
            self._settled.clear()
            await self._settled.wait()
        return self.status()

    def _phase(self) -> tuple[Kind, Phase, str, bool]:
        if not self.settings.enable:
            return "Inactive", "off", "turned off by longllama.enable", False
        if self.engine is None or self.indexer is None:
            return "Normal", "loading", "starting", True
        if self.engine.state is EngineState.FAILED:
            return "Error", "failed", self.engine.message, False
        if not self.engine.ready:
            kind = "Warning" if self.engine.n_restarts else "Normal"
            return kind, "loading", self.engine.message, True
        if self.indexer.paused:
            return "Inactive", "paused", "indexing is paused", False
        if self.indexer.busy:
            return "Normal", "indexing", "taking the repository into memory", True
        return "Normal", "ready", "the repository is in memory", False

    def _announce(self) -> None:
        """Tell the client of a new phase at once, and of new counts before long."""
        if self._roots is None:  # before `initialized` a client must not be told anything
            return
        status = self.status()
        if not status.busy:
            self._settled.set()
        if self._told is None or status.message != self._told.message:
            self._tell()
        elif self._tell_timer is None and status != self._told:
            loop = asyncio.get_running_loop()
            self._tell_timer = loop.call_later(STATUS_EVERY_S, self._tell)

    def _tell(self) -> None:
        if self._tell_timer is not None:
            self._tell_timer.cancel()
            self._tell_timer = None
        status = self.status()
        if status != self._told and self._roots is not None:
            self._told = status
            self._client.status_changed(status)

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._client.warn(message)

    # The engine and the disk.

    def _engine_state(self, state: EngineState, message: str) -> None:
        if state is EngineState.FAILED:
            self._warn_once(message)
        if state is EngineState.READY and self.indexer is not None:
            self.indexer.refill()
        self._announce()

    def _rules(self, root: Path) -> IgnoreRules:
        memory = self.settings.memory
        rules = partial(IgnoreRules, root, memory.respect_gitignore, memory.ignore_file)
        try:
            return rules(include=tuple(memory.include), exclude=tuple(memory.exclude))
        except ValueError as error:
            patterns = [*memory.include, *memory.exclude]
            remedy = f"{error}; they do not count until they are gitignore patterns."
            self._warn_once(str(Problem("memory.include or exclude", patterns, remedy)))
            return rules()

    async def _watch(self, watcher: Watcher, roots: Sequence[Path]) -> None:
        """Watch folders; on a thread, as large trees take the system a while."""
        for root in roots:
            try:
                await asyncio.to_thread(watcher.add, root)
            except OSError as error:
                self._warn_once(f"{root} cannot be watched for changes: {error}")


async def _after(delay_ms: int, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, begun after a while."""
    with closing(work):  # it may never begin
        await asyncio.sleep(delay_ms / 1000)
        return await work


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of the work; None, and the work is cancelled, if the event comes first."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([waiting, working], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        waiting.cancel()
        working.cancel()
