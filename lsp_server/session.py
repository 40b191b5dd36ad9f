"""One client's state: its settings, open documents, workspace, memory and engine, put together.

Lives on the event loop, which owns it. It takes and gives plain values; what it has to say to the
client goes through ``Client``, so that nothing here knows LSP.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from longllama_code.source_files.clean_texts import CleanTexts
from longllama_code.source_files.ignore import IgnoreRules
from longllama_code.source_files.workspace import Limits, Workspace
from lsp_server.documents.document import Documents
from lsp_server.documents.notebooks import Notebooks
from lsp_server.documents.open_files import OpenFiles
from lsp_server.engine.client import EngineClient, EngineGone, EngineState
from lsp_server.engine.shared_endpoint import cache_folder
from lsp_server.engine.team.engine import TeamEngine
from lsp_server.engine.team.selection import engine_choice, make_engine
from lsp_server.indexing.file_table import Kind, Phase, Status, Totals, Urgency
from lsp_server.indexing.indexer import Indexer
from lsp_server.indexing.power import on_battery
from lsp_server.indexing.throughput import Pace
from lsp_server.settings.configuration import FILE_NAME, Configuration, Layer, repository_settings
from lsp_server.settings.declarations import Settings
from lsp_server.status import Announcer, Client
from lsp_server.suggestions.request import Cursor, Suggestion
from lsp_server.suggestions.suggester import Suggester
from lsp_server.watcher import Watcher

POWER_EVERY_S = 10.0
"""How often the machine is asked whether it has mains power."""


class Session:
    """One client's state, from ``begin`` to ``end``."""

    def __init__(self, client: Client, command_line: Mapping[str, Any] | None = None) -> None:
        self.configuration = Configuration(command_line)
        self.documents = Documents()
        self.notebooks = Notebooks(self.documents)
        self.open_files = OpenFiles(self.documents, self._reread)
        self.suggester = Suggester()
        self.announcer = Announcer(client, self.status)
        self.engine: EngineClient | TeamEngine | None = None
        self.indexer: Indexer | None = None
        self.roots: list[Path] | None = None
        """The workspace folders; None before ``begin`` and after ``end``."""
        self._pace = Pace()
        self._workspace = Workspace()
        self._watcher: Watcher | None = None
        self._power: asyncio.Task[None] | None = None
        self._clean_texts = CleanTexts(None)
        self._runs_on: Settings | None = None
        self._was_busy = False
        """Whether the indexer was, when it last changed."""
        self._unasked: str | None = None
        """The document opened last, as long as no suggestion was asked for in it."""
        self._life = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def settings(self) -> Settings:
        """What holds now."""
        return self.configuration.settings

    # Life.

    def configure(self, layer: Layer, values: Any) -> None:
        """Take in ``initializationOptions`` or ``workspace/configuration``."""
        self.configuration.set_layer(layer, values)
        self._heed_configuration()

    async def begin(self, roots: Sequence[Path]) -> None:
        """Work on these workspace folders."""
        self.roots = list(roots)
        self.announcer.begin()
        await self.apply_settings()

    async def apply_settings(self) -> None:
        """Bring what runs in line with the settings, and start again only what must be."""
        async with self._life:
            if self.roots is None:
                return
            await self._read_repository_settings(self.roots)
            wanted = self.settings if self.settings.enable else None
            runs_on, self._runs_on = self._runs_on, wanted
            if (
                wanted is None
                or runs_on is None
                or engine_choice(wanted, self.roots) != engine_choice(runs_on, self.roots)
            ):
                await self._stop()
                if wanted is not None:
                    await self._start(self.roots)
            elif wanted.memory != runs_on.memory and self.indexer is not None:
                self._workspace = self._make_workspace(self.roots)
                self.indexer.reconfigure(self._workspace, wanted.memory)
        self.announcer.announce()

    async def end(self) -> None:
        """Stop everything that was begun."""
        self.announcer.end()
        self.suggester.end_running("shutting_down")
        async with self._life:
            self.roots = self._runs_on = None
            await self._stop()

    async def restart(self) -> None:
        """Start the engine anew, after the user mended what kept it from loading."""
        self.announcer.forget_warnings()
        self._runs_on = None
        await self.apply_settings()

    async def clear_store(self) -> int:
        """Remove from disk what no window has in memory; how many segments there were.

        Raises:
            EngineGone: the engine cannot be asked just now.
            EngineError: the store failed.
        """
        if self.engine is None:
            raise EngineGone("the engine is not running")
        return await self.engine.clear_store()

    async def change_roots(self, added: Sequence[Path], removed: Sequence[Path]) -> None:
        """Workspace folders came and went."""
        async with self._life:
            kept = [root for root in self.roots or () if root not in removed]
            self.roots = [*kept, *(root for root in added if root not in kept)]
            if self.indexer is None or self._watcher is None:
                return
            for root in removed:
                self._workspace.remove(root)
                await asyncio.to_thread(self._watcher.remove, root)
            for root in added:
                self._workspace.add(root)
            await self._watch(self._watcher, added)
            self.indexer.rescan()
        await self.apply_settings()

    async def _start(self, roots: Sequence[Path]) -> None:
        settings = self.settings
        self._workspace = self._make_workspace(roots)
        self.engine = make_engine(engine_choice(settings, roots), self._engine_state)
        self.suggester.times.clear()
        self._clean_texts = CleanTexts(
            cache_folder(settings.memory) if settings.memory.persist else None
        )
        self.indexer = Indexer(
            self.engine,
            self._workspace,
            self.open_files.paths,
            self.open_files.text,
            settings.memory,
            self._indexer_changed,
            self._clean_texts.refuse_secrets,
        )
        await self.engine.start()
        loop = asyncio.get_running_loop()

        def on_change(paths: frozenset[Path]) -> None:
            loop.call_soon_threadsafe(self.files_changed, sorted(paths))

        def on_polling(message: str) -> None:
            loop.call_soon_threadsafe(self.announcer.warn_once, message)

        self._watcher = Watcher(
            [], on_change, is_ignored_dir=self._ignores_folder, on_polling=on_polling
        )
        # First watch, then scan: what changes in between is seen twice, not missed.
        await self._watch(self._watcher, roots)
        self.indexer.spare_battery(await self._must_spare_battery())
        self.indexer.start()
        self._power = asyncio.create_task(self._heed_power(self.indexer))

    async def _stop(self) -> None:
        self.open_files.rest()
        engine, indexer, watcher = self.engine, self.indexer, self._watcher
        self.engine = self.indexer = self._watcher = None
        if self._power is not None:
            self._power.cancel()
        if watcher is not None:
            await asyncio.to_thread(watcher.stop)
        if indexer is not None:
            await indexer.stop()
        if engine is not None:
            await engine.stop()
        self._clean_texts.close()

    # What the user turns on and off.

    async def toggle(self) -> bool:
        """Turn everything off at once, or on again; whether it is on now."""
        self.configuration.toggle()
        self._heed_configuration()
        await self.apply_settings()
        return self.settings.enable

    def toggle_language(self, language: str) -> bool:
        """Turn suggestions off in a language, or on again; whether they are on now."""
        self.configuration.toggle_language(language)
        self._heed_configuration()
        self.announcer.announce()
        return self.settings.language_enabled(language)

    def _heed_configuration(self) -> None:
        """What is turned off is off at once, before anything else is done about the settings."""
        settings = self.settings
        logging.getLogger("lsp_server").setLevel(settings.log.level.upper())
        for problem in self.configuration.problems:
            self.announcer.warn_once(str(problem))
        if not settings.enable:
            self.suggester.end_running("disabled")
        self.suggester.end_running(
            "language_disabled",
            lambda cursor: not settings.language_enabled(cursor.snapshot.language),
        )

    async def _read_repository_settings(self, roots: Sequence[Path]) -> None:
        found = await asyncio.to_thread(repository_settings, roots)
        if found.problem is not None:
            self.announcer.warn_once(found.problem)
        self.configuration.set_repository(found.values)
        self._heed_configuration()

    # Files and suggestions.

    def opened(self, uri: str, path: Path | None) -> None:
        """A document was opened; ``documents`` has it."""
        self._unasked = uri
        self.open_files.opened(uri, path)

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Files changed on disk, says the watcher or the client; both saying so costs nothing."""
        if self.indexer is not None:
            self.indexer.changed(paths)
        if any(path.name == FILE_NAME and path.parent in (self.roots or ()) for path in paths):
            self._begin(self.apply_settings())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done while everything else goes on."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def suggest(self, cursor: Cursor) -> Suggestion:
        """A suggestion, or the reason for none. It supersedes the automatic ones that run."""
        name = self._name_in_memory(cursor.snapshot.uri)
        cursor = replace(cursor, repository=self._repository_of(cursor.snapshot.uri))
        if self._unasked == cursor.snapshot.uri:
            self._unasked = None
        suggestion = await self.suggester.suggest(
            cursor, name, self.settings, self.engine, partial(self._typed_on, cursor)
        )
        self.announcer.announce()
        return suggestion

    def _typed_on(self, cursor: Cursor) -> bool:
        """Whether text was added at a cursor since."""
        document = self.documents.get(cursor.snapshot.uri)
        if document is None:
            return False
        text, then, offset = document.text, cursor.snapshot.text, cursor.offset
        grew = len(text) > len(then) and text.startswith(then[:offset])
        return grew and text.endswith(then[offset:])

    def _indexer_changed(self) -> None:
        self.announcer.announce()
        was_busy, self._was_busy = self._was_busy, self.indexer is not None and self.indexer.busy
        if was_busy and not self._was_busy:
            if self._unasked is None:
                self.suggester.memory_changed()
            else:
                self._begin(self._prepare(self._unasked))

    async def _prepare(self, uri: str) -> None:
        """Have read what prompts in a document begin with, which nobody has asked about so far."""
        document = self.documents.get(uri)
        if document is None:
            return
        snapshot = document.snapshot()
        repository = self._repository_of(uri)
        cursor = Cursor(snapshot, len(snapshot.text), automatic=False, repository=repository)
        name = self._name_in_memory(uri)
        await self.suggester.prepare(cursor, name, self.settings, self.engine)

    def _reread(self, path: Path) -> None:
        if self.indexer is not None:
            self.indexer.changed([path], Urgency.OPEN)

    def _name_in_memory(self, uri: str) -> str:
        path = self.open_files.path_of(uri)
        if path is not None and self.indexer is not None:
            return self.indexer.name_of(path)
        return uri.rpartition("/")[2].rpartition(":")[2]  # untitled:Untitled-1

    def _repository_of(self, uri: str) -> str:
        """Return the name of the workspace folder that a document is in; empty for none."""
        path = self.open_files.path_of(uri)
        if path is None or self.indexer is None:
            return ""
        root = self.indexer.root_of(path)
        return "" if root is None else root.name

    # Status.

    def status(self) -> Status:
        """The server now."""
        kind, phase, message, busy = self._phase()
        if self.engine is not None and self.engine.note:
            message = f"{message}; {self.engine.note}"
            if kind == "Normal" and self.engine.is_limited:  # this machine's, in place of a team's
                kind = "Warning"
        totals = self.indexer.files.totals() if self.indexer else Totals()
        restarts = self.engine.n_restarts if self.engine else 0
        if phase == "indexing":
            self._pace.note(totals)
        else:
            self._pace.rest()
        pace = self._pace.tokens_per_second, self._pace.seconds_left
        reason, languages = self.suggester.last_reason, self.settings.enable_languages
        return Status(kind, phase, message, busy, totals, restarts, reason, *pace, languages)

    async def wait_until_settled(self) -> Status:
        """Wait until memory is up to date, with the last edits, or cannot come to be so."""
        self.open_files.flush()
        return await self.announcer.wait_until_settled()

    def _phase(self) -> tuple[Kind, Phase, str, bool]:
        if not self.settings.enable:
            return "Inactive", "off", "turned off", False
        if self.engine is None or self.indexer is None:
            return "Normal", "loading", "starting", True
        if self.engine.state is EngineState.FAILED:
            return "Error", "failed", self.engine.message, False
        if not self.engine.ready:
            kind = "Warning" if self.engine.n_restarts else "Normal"
            return kind, "loading", self.engine.message, True
        if self.indexer.paused:
            return "Inactive", "paused", "indexing is paused", False
        if self.indexer.held:
            return (
                "Inactive",
                "paused",
                "on battery: only open and changed files are taken in",
                False,
            )
        if self.indexer.busy:
            return "Normal", "indexing", "taking the repository into memory", True
        return "Normal", "ready", "the repository is in memory", False

    # The engine and the disk.

    def _engine_state(self, state: EngineState, message: str) -> None:
        if state is EngineState.FAILED or (self.engine is not None and self.engine.hung):
            self.announcer.warn_once(message)
        if state is EngineState.READY and self.indexer is not None:
            self.indexer.refill()
        self.announcer.announce()

    async def _heed_power(self, indexer: Indexer) -> None:
        """Tell the indexer when the machine goes on battery, and when it is back on mains power."""
        spares = indexer.spares_battery
        while True:
            await asyncio.sleep(POWER_EVERY_S)
            must = await self._must_spare_battery()
            if must != spares:  # not each time: the user may have it go on all the same
                spares = must
                indexer.spare_battery(spares)

    async def _must_spare_battery(self) -> bool:
        wanted = self.settings.indexing.pause_on_battery
        return wanted and await asyncio.to_thread(on_battery)

    def _make_workspace(self, roots: Sequence[Path]) -> Workspace:
        memory = self.settings.memory
        rules = partial(
            IgnoreRules,
            respect_gitignore=memory.respect_gitignore,
            ignore_file=memory.ignore_file,
            include=tuple(memory.include),
            exclude=tuple(memory.exclude),
        )
        return Workspace(roots, rules=rules, limits=Limits(memory.max_file_bytes))

    def _ignores_folder(self, path: Path) -> bool:
        return self._workspace.ignores_folder(path)

    async def _watch(self, watcher: Watcher, roots: Sequence[Path]) -> None:
        """Watch folders; on a thread, as large trees take the system a while."""
        for root in roots:
            try:
                await asyncio.to_thread(watcher.add, root)
            except OSError as error:
                self.announcer.warn_once(f"{root} cannot be watched for changes: {error}")
