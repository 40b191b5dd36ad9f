"""All mutable state of one client: settings, documents, workspace, memory, engine.

Lives on the event loop, which owns it. It takes and gives plain values; what it has to say to the
client goes through ``Client``, so that nothing here knows LSP.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

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
from lsp_server.engine_client import EngineClient, EngineGone, EngineOptions, EngineState
from lsp_server.ignore import IgnoreRules
from lsp_server.indexer import Indexer, Urgency
from lsp_server.settings import Problem, Settings, resolve
from lsp_server.tracked import Totals
from lsp_server.watcher import Watcher
from lsp_server.workspace import Limits, Workspace

logger = logging.getLogger(__name__)

EDIT_QUIET_S = 1.0
"""How long an open document must rest before its changed segments are encoded."""
MAX_EXPLAINED = 50

Kind = Literal["Normal", "Warning", "Error", "Inactive"]
Phase = Literal["loading", "indexing", "ready", "paused", "off", "failed"]


@dataclass(frozen=True)
class Status:
    """The server at one moment, as the client sees it."""

    kind: Kind
    phase: Phase
    message: str
    busy: bool
    files: Totals
    engine_restarts: int
    last_reason: str | None
    """Why the last request had no suggestion."""


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
        self._client = client
        self._overrides = overrides
        self._layers: list[Mapping[str, Any] | None] = [None, None]
        self._paths: dict[str, Path] = {}
        self._workspace = Workspace()
        self._watcher: Watcher | None = None
        self._warned: set[str] = set()
        self._explained: OrderedDict[str, Suggestion] = OrderedDict()
        self._newest = 0
        self._edit_timers: dict[Path, asyncio.TimerHandle] = {}
        self._last_status: Status | None = None
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
            self._warn_once(problem)
        logging.getLogger("lsp_server").setLevel(self.settings.log.level.upper())
        self._announce()

    async def begin(self, roots: Sequence[Path]) -> None:
        """Start the engine, the watcher and the indexer on the workspace folders."""
        settings = self.settings
        options = EngineOptions(
            model=settings.model.path,
            cache_dir=Path(settings.memory.cache_dir) if settings.memory.cache_dir else None,
            persist=settings.memory.persist,
            threads=settings.model.threads,
        )
        self._workspace = self._make_workspace(roots)
        self.engine = EngineClient(options, self._engine_ready, self._engine_state)
        self.indexer = Indexer(
            self.engine, self._workspace, self._open_text, settings.memory, self._announce
        )
        await self.engine.start()
        if not settings.enable:
            self.indexer.pause()
        self.indexer.start()
        await self._watch(roots)

    async def end(self) -> None:
        """Stop everything that was begun."""
        for timer in self._edit_timers.values():
            timer.cancel()
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.stop)
        if self.indexer is not None:
            await self.indexer.stop()
        if self.engine is not None:
            await self.engine.stop()

    async def change_roots(self, added: Sequence[Path], removed: Sequence[Path]) -> None:
        """Workspace folders came and went."""
        for root in removed:
            self._workspace.remove(root)
            if self._watcher is not None:
                await asyncio.to_thread(self._watcher.remove, root)
        for root in added:
            self._workspace.add(root)
        await self._watch(added)
        if self.indexer is not None:
            self.indexer.rescan()

    # Documents.

    def document_opened(self, uri: str, path: Path | None) -> None:
        """A document's live text now stands for its file."""
        if path is not None:
            self._paths[uri] = path
            self._touch(path)

    def document_changed(self, uri: str) -> None:
        """Encode the changed segments once typing rests."""
        path = self._paths.get(uri)
        if path is None or self.indexer is None:
            return
        if path in self._edit_timers:
            self._edit_timers[path].cancel()
        loop = asyncio.get_running_loop()
        self._edit_timers[path] = loop.call_later(EDIT_QUIET_S, self._touch, path)

    def document_closed(self, uri: str) -> None:
        """The disk counts again."""
        path = self._paths.pop(uri, None)
        if path is not None:
            self._touch(path)

    def files_changed(self, paths: Sequence[Path]) -> None:
        """The client says that files changed; the watcher may say so too, at no cost."""
        if self.indexer is not None:
            self.indexer.changed(paths)

    # Suggestions.

    async def suggest(self, cursor: Cursor) -> Suggestion:
        """A suggestion, or the reason for none. The newest automatic request wins."""
        self._newest += 1
        number = self._newest
        suggestion = await self._suggest(cursor, number)
        self._last_reason = suggestion.reason
        self._explained[suggestion.id] = suggestion
        while len(self._explained) > MAX_EXPLAINED:
            self._explained.popitem(last=False)
        return suggestion

    async def _suggest(self, cursor: Cursor, number: int) -> Suggestion:
        reason = refuse(cursor, self.settings)
        if reason is not None:
            return no_suggestion(reason)
        if self.engine is None or self.engine.state is not EngineState.READY:
            return no_suggestion("engine_" + (self.engine.state.value if self.engine else "stopped"))
        if cursor.automatic:
            await asyncio.sleep(self.settings.trigger.debounce_ms / 1000)
            if number != self._newest:
                return no_suggestion("superseded")
        request = build_request(cursor, self._name_in_memory(cursor.snapshot.uri), self.settings)
        try:
            result = await self.engine.complete(request)
        except EngineGone:
            return no_suggestion("engine_restarting")
        return to_suggestion(result, cursor)

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
        return Status(kind, phase, message, busy, totals, restarts, self._last_reason)

    def _phase(self) -> tuple[Kind, Phase, str, bool]:
        if not self.settings.enable:
            return "Inactive", "off", "turned off by longllama.enable", False
        if self.engine is None or self.indexer is None:
            return "Normal", "loading", "starting", True
        if self.engine.state is EngineState.FAILED:
            return "Error", "failed", self.engine.message, False
        if self.engine.state is not EngineState.READY:
            return "Normal", "loading", self.engine.message, True
        if self.indexer.paused:
            return "Inactive", "paused", "indexing is paused", False
        if self.indexer.busy:
            return "Normal", "indexing", "taking the repository into memory", True
        return "Normal", "ready", "the repository is in memory", False

    def _announce(self) -> None:
        status = self.status()
        if status != self._last_status:
            self._last_status = status
            self._client.status_changed(status)

    # The engine and the disk.

    def _engine_ready(self) -> None:
        if self.indexer is not None:
            self.indexer.refill()

    def _engine_state(self, state: EngineState, message: str) -> None:
        if state is EngineState.FAILED:
            self._client.warn(message)
        self._announce()

    def _make_workspace(self, roots: Sequence[Path]) -> Workspace:
        memory = self.settings.memory
        rules = partial(
            IgnoreRules,
            respect_gitignore=memory.respect_gitignore,
            ignore_file=memory.ignore_file,
            include=tuple(memory.include),
            exclude=tuple(memory.exclude),
        )
        try:
            return Workspace(roots, rules=rules, limits=Limits(memory.max_file_bytes))
        except ValueError as error:
            problem = Problem("memory.include or memory.exclude", str(error), "correct the pattern.")
            self._warn_once(problem)
            return Workspace(roots, limits=Limits(memory.max_file_bytes))

    async def _watch(self, roots: Sequence[Path]) -> None:
        """Watch folders; on a thread, as large trees take the system a while."""
        loop = asyncio.get_running_loop()

        def on_change(paths: frozenset[Path]) -> None:
            loop.call_soon_threadsafe(self.files_changed, sorted(paths))

        for root in roots:
            try:
                if self._watcher is None:
                    ignored = self._workspace.ignores_folder
                    self._watcher = await asyncio.to_thread(
                        Watcher, [root], on_change, is_ignored_dir=ignored
                    )
                else:
                    await asyncio.to_thread(self._watcher.add, root)
            except OSError as error:
                self._client.warn(f"{root} cannot be watched for changes: {error}")

    def _touch(self, path: Path) -> None:
        self._edit_timers.pop(path, None)
        if self.indexer is not None:
            self.indexer.touch(path, Urgency.OPEN)

    def _open_text(self, path: Path) -> str | None:
        for uri, open_path in self._paths.items():
            if open_path == path and (document := self.documents.get(uri)) is not None:
                return document.text
        return None

    def _name_in_memory(self, uri: str) -> str:
        path = self._paths.get(uri)
        tracked = self.indexer.files.get(path) if self.indexer and path else None
        if tracked is not None:
            return tracked.name
        return path.name if path else uri.rpartition("/")[2].rpartition(":")[2]

    def _warn_once(self, problem: Problem) -> None:
        if str(problem) not in self._warned:
            self._warned.add(str(problem))
            self._client.warn(str(problem))
