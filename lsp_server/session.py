"""One client's state: its settings, documents, workspace folders, memory and engine.

Lives on the event loop. Takes and returns plain values; reports to the client go through
``Client``, so that nothing here knows LSP.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from longllama_code.protocol import ClearedStore
from longllama_code.source_files.clean_texts import CleanTexts
from lsp_server.documents.document import Documents
from lsp_server.documents.notebooks import Notebooks
from lsp_server.documents.open_files import OpenFiles
from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.engine.team.selection import engine_choice, make_engine
from lsp_server.indexing.definition_encoding import DefinitionEncoding
from lsp_server.indexing.file_table import IgnoredSetting, Status, Urgency
from lsp_server.indexing.indexer import Indexer
from lsp_server.indexing.power import follow_power, must_spare_battery
from lsp_server.problems import (
    ENGINE,
    INDEXING,
    POWER,
    REPOSITORY_SETTINGS,
    SCANNING,
    SEARCHED,
    STATISTICS,
    STORE,
    WATCHING,
    Problems,
    reason_of,
    stopping,
)
from lsp_server.settings.configuration import FILE_NAME, Configuration, Layer, repository_settings
from lsp_server.settings.declarations import Settings
from lsp_server.statistics.owner import Statistics
from lsp_server.status.announcer import Announcer, Client
from lsp_server.status.report import Engine, StatusReport
from lsp_server.suggestions.cursor_context import CursorContext
from lsp_server.suggestions.document_cursors import DocumentCursors
from lsp_server.suggestions.preparation import prepare
from lsp_server.suggestions.snooze import Snooze
from lsp_server.suggestions.suggester import Suggester
from lsp_server.suggestions.suggestion import Suggestion
from lsp_server.tasks import BackgroundTasks
from lsp_server.watching.workspace_folders import WorkspaceFolders


class Session:
    """One client's state, from `begin` to `end`."""

    def __init__(self, client: Client, command_line: Mapping[str, Any] | None = None) -> None:
        self.configuration = Configuration(command_line)
        self.documents = Documents()
        self.notebooks = Notebooks(self.documents)
        self.open_files = OpenFiles(
            self.documents,
            self._reread,
            lambda path: self.folders.workspace.locate(path),
            lambda path: self.folders.workspace.identity(path),
        )
        self.suggester = Suggester(lambda: self.statistics.min_confidence)
        self.announcer = Announcer(client, self.status)
        self.problems = Problems(self.announcer.warn_once)
        self.folders = WorkspaceFolders(self.files_changed, self.announcer.warn_once, self.problems)
        self._cursors = DocumentCursors(
            self.documents,
            self.notebooks,
            self.open_files,
            self.folders,
            lambda path: self.indexer is not None and self.indexer.files.remembers(path),
            lambda: self.indexer is None or self.indexer.busy or self.indexer.paused,
        )
        self.statistics = Statistics(self._text_of, self.problems, self.announcer.warn_once)
        self.snooze = Snooze(self._snooze_changed)
        self.cursor = self._cursors.at
        """Returns the context of a cursor in a document; see `DocumentCursors.at`."""
        self.engine: Engine | None = None
        self.indexer: Indexer | None = None
        self._report = StatusReport()
        self._power: asyncio.Task[None] | None = None
        self._clean_texts = CleanTexts(None)
        self._running: Settings | None = None
        """Settings that engine and indexer were started with; None while they are stopped."""
        self._was_busy = False
        """Whether the indexer was busy when it last changed."""
        self._knew_definitions = False
        """Whether the engine had the definitions of all files then."""
        self._unrequested: str | None = None
        """Document opened last; None once a suggestion was requested in it."""
        self.repository_problem: str | None = None
        """What is not read of the repository's own settings."""
        self._begins_paused = False
        """Whether indexing was paused before there was an indexer."""
        self._lifecycle = asyncio.Lock()
        self._background = BackgroundTasks()
        self._encoding = DefinitionEncoding(self._encoding_engine, self.suggester.memory_changed)

    @property
    def settings(self) -> Settings:
        """The settings now."""
        return self.configuration.settings

    # Start and stop.

    def configure(self, layer: Layer, values: Any) -> None:
        """Apply ``initializationOptions`` or ``workspace/configuration``."""
        self.configuration.set_layer(layer, values)
        self._configuration_changed()

    async def begin(self, roots: Sequence[Path]) -> None:
        """Start work on these workspace folders."""
        self.folders.roots = list(roots)
        self.announcer.begin()
        await self.apply_settings()

    def fail(self, error: Exception) -> None:
        """Note that the session could not begin, so that nobody waits for it."""
        self.problems.note(ENGINE, reason_of(error))
        if self.indexer is not None:
            self.indexer.give_up()  # it may not have been started
        self.announcer.begin()
        self.announcer.announce()

    async def apply_settings(self) -> None:
        """Bring engine and indexer in line with the settings; restart only what must be."""
        async with self._lifecycle:
            roots = self.folders.roots
            if roots is None:
                return
            with self.problems.without(REPOSITORY_SETTINGS):
                await self._read_repository_settings(roots)
            with self.problems.without(STATISTICS):
                await self.statistics.begin(self.settings)
            running, self._running = self._running, None
            self.problems.solved(ENGINE)
            with self.problems.without(ENGINE):
                await self._change_to(roots, running)
            if self.problems.failure and self.indexer is not None:
                self.indexer.give_up()  # it may not have been started
        self.announcer.announce()

    async def _change_to(self, roots: Sequence[Path], running: Settings | None) -> None:
        """Bring engine and indexer from the settings they run with to those of now."""
        wanted = self.settings if self.settings.enable else None
        if (
            wanted is None
            or running is None
            or engine_choice(wanted, roots) != engine_choice(running, roots)
        ):
            await self._stop()
            if wanted is not None:
                await self._start(roots)
        elif wanted.memory != running.memory and self.indexer is not None:
            self.indexer.reconfigure(self.folders.configure(wanted.memory), wanted.memory)
            self.indexer.changed(self.open_files.paths(), Urgency.OPEN)  # limits hold for these
        self._running = wanted

    async def end(self) -> None:
        """Stop everything that was started."""
        self.announcer.end()
        self.suggester.end_requests("shutting_down")
        self.snooze.end()
        with stopping("statistics"):
            await self.statistics.end()
        async with self._lifecycle:
            self.folders.roots = self._running = None
            await self._stop()

    async def restart(self) -> None:
        """Restart the engine, after the user solved what kept it from loading."""
        self.announcer.forget_warnings()
        self._running = None
        await self.apply_settings()

    async def change_roots(self, added: Sequence[Path], removed: Sequence[Path]) -> None:
        """Add and remove workspace folders."""
        async with self._lifecycle:
            await self.folders.change(added, removed)
            self.open_files.relocate()
            if self.indexer is None:
                return
            self.indexer.rescan()
        await self.apply_settings()

    async def _start(self, roots: Sequence[Path]) -> None:
        """Start engine, watcher and indexer; what fails of the latter is left out."""
        settings, without = self.settings, self.problems.without
        self.problems.retry()
        engine = self.engine = make_engine(engine_choice(settings, roots), self._engine_changed)
        self.suggester.times.clear()
        with without(SEARCHED):
            self._clean_texts = CleanTexts(
                settings.memory.folder if settings.memory.persist else None
            )
        with without(INDEXING):
            self.indexer = self._make_indexer(engine, settings)
            if self._begins_paused:
                self.pause_indexing()
        with without(ENGINE):
            await engine.start()
        # Watch before the first scan: changes in between are then seen twice instead of never.
        with without(WATCHING):
            await self.folders.watch()
        await self._start_indexing()

    async def _start_indexing(self) -> None:
        indexer = self.indexer
        if indexer is None:
            return
        with self.problems.without(POWER):
            await self._follow_power(indexer)
        try:
            indexer.start()
        except Exception as error:
            indexer.give_up()
            self.problems.note(INDEXING, reason_of(error))

    def _make_indexer(self, engine: Engine, settings: Settings) -> Indexer:
        workspace = self.folders.configure(settings.memory)
        self.open_files.relocate()
        return Indexer(
            engine,
            workspace,
            self.open_files.paths,
            self.open_files.text,
            settings.memory,
            self._indexer_changed,
            self._clean_texts.refuse_secrets,
        )

    async def _follow_power(self, indexer: Indexer) -> None:
        pause_on_battery = self.settings.indexing.pause_on_battery
        indexer.spare_battery(await must_spare_battery(pause_on_battery))
        self._power = asyncio.create_task(
            follow_power(indexer, lambda: self.settings.indexing.pause_on_battery)
        )

    async def _stop(self) -> None:
        """Stop what runs; if one part cannot be stopped, the others are all the same."""
        engine, indexer, power = self.engine, self.indexer, self._power
        self.engine = self.indexer = self._power = None
        with stopping("timers"):
            self.open_files.cancel_timers()
            if power is not None:
                power.cancel()
        with stopping("definitions"):
            await self._encoding.stop()
        with stopping("watching"):
            await self.folders.stop_watching()
        with stopping("indexer"):
            if indexer is not None:
                await indexer.stop()
        with stopping("engine"):
            if engine is not None:
                await engine.stop()
        with stopping("searched texts"):
            self._clean_texts.close()

    # Settings.

    async def toggle(self) -> bool:
        """Turn everything off or on; return whether it is on now."""
        self.configuration.toggle()
        self._configuration_changed()
        await self.apply_settings()
        return self.settings.enable

    def toggle_language(self, language: str) -> bool:
        """Turn suggestions in a language off or on; return whether they are on now."""
        self.configuration.toggle_language(language)
        self._configuration_changed()
        self.announcer.announce()
        return self.settings.language_enabled(language)

    def _configuration_changed(self) -> None:
        """Apply at once what needs no restart, above all what is turned off."""
        settings = self.settings
        logging.getLogger("lsp_server").setLevel(settings.log.level.upper())
        for problem in self.configuration.problems:
            self.announcer.warn_once(str(problem), is_in_status=True)
        if not settings.enable:
            self.suggester.end_requests("disabled")
        self.suggester.end_requests(
            "language_disabled", lambda cursor: not settings.language_enabled(cursor.language)
        )

    async def _read_repository_settings(self, roots: Sequence[Path]) -> None:
        self.problems.solved(REPOSITORY_SETTINGS)
        found = await asyncio.to_thread(repository_settings, roots)
        self.repository_problem = found.problem
        if found.problem is not None:
            self.announcer.warn_once(found.problem)
        self.configuration.set_repository(found.values)
        self._configuration_changed()

    # Files.

    def opened(self, uri: str, path: Path | None) -> None:
        """Index a document of `documents` that was opened, if it has a file."""
        self._unrequested = uri
        self._cursors.refresh()
        self.open_files.opened(uri, path)

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Index files that the watcher or the client reports as changed; repeats cost nothing."""
        self._cursors.refresh()
        if self.indexer is not None:
            self.indexer.changed(paths)
        roots = self.folders.roots or ()
        locate = self.folders.workspace.locate
        if any(path.name == FILE_NAME and locate(path).parent in roots for path in paths):
            self._background.start(self.apply_settings())

    def pause_indexing(self) -> None:
        """Start no further file; before there is an indexer, begin like that."""
        self._begins_paused = self.indexer is None
        if self.indexer is not None:
            self.indexer.pause()

    def resume_indexing(self) -> None:
        """Continue, on battery too."""
        self._begins_paused = False
        if self.indexer is not None:
            self.indexer.resume()

    async def clear_store(self) -> ClearedStore:
        """Empty the memory, pause, and remove from disk what no other window has in memory.

        Raises:
            EngineGone: the engine cannot be asked now.
            EngineError: the store failed.
        """
        engine, indexer = self.engine, self.indexer
        if engine is None or indexer is None:
            raise EngineGone("the engine is not running")
        was_paused = indexer.paused
        indexer.pause()
        try:
            cleared = await engine.clear_store()
        except (EngineGone, EngineError):
            if not was_paused:
                indexer.resume()
            raise
        indexer.clear()
        await asyncio.to_thread(self._clean_texts.clear)
        return cleared

    def _reread(self, path: Path) -> None:
        if self.indexer is not None:
            self.indexer.changed([path], Urgency.OPEN)

    # Suggestions.

    async def suggest(self, cursor: CursorContext) -> Suggestion:
        """Return a suggestion, and end the automatic requests that are pending."""
        if self._unrequested == cursor.uri:
            self._unrequested = None
        if cursor.is_automatic and self.snooze.is_on:
            suggestion = self.suggester.refuse("snoozed")
        else:
            suggestion = await self.suggester.suggest(
                cursor, self.settings, self.engine, lambda: self._cursors.was_typed_on(cursor)
            )
        self.announcer.announce()
        self._encoding.start()
        return suggestion

    def _snooze_changed(self) -> None:
        if self.snooze.is_on:
            self.suggester.end_requests("snoozed", lambda cursor: cursor.is_automatic)
        self.announcer.announce()

    def _text_of(self, uri: str) -> str | None:
        document = self.documents.get(uri)
        return None if document is None else document.text

    async def _prepare(self, uri: str) -> None:
        """Have the engine read a document before the first request in it."""
        document = self.documents.get(uri)
        if document is not None:
            cursor = self.cursor(document, document.text, "", is_automatic=False)
            await prepare(cursor, self.settings, self.engine)
            self._encoding.start()

    def _encoding_engine(self) -> Engine | None:
        """Return the engine if definitions may be encoded now that nobody waits for."""
        wanted, indexer = self.settings.completion, self.indexer
        if not self.settings.enable or not wanted.ahead or wanted.repository_context != "memory":
            return None
        if indexer is None or indexer.busy or indexer.paused or indexer.spares_battery:
            return None
        return self.engine if self.engine is not None and self.engine.ready else None

    # Status.

    def status(self) -> Status:
        """Return the status now."""
        reason = self.suggester.last_reason
        status = self._report.status(
            self.settings,
            self.engine,
            self.indexer,
            reason,
            self.problems,
            has_folder=self.folders.roots != [],
            snooze_minutes_left=self.snooze.minutes_left,
        )
        problems = self.configuration.problems
        ignored = tuple(IgnoredSetting(problem.name, str(problem)) for problem in problems)
        return replace(status, ignored_settings=ignored)

    async def wait_until_settled(self) -> Status:
        """Wait until the memory has the last edits, or cannot get them; return the status then."""
        self.open_files.flush()
        return await self.announcer.wait_until_settled()

    def _engine_changed(self, state: EngineState, message: str) -> None:
        if state is EngineState.FAILED or (self.engine is not None and self.engine.hung):
            self.announcer.warn_once(message)
        if state is EngineState.READY and self.indexer is not None:
            self.indexer.refill()
        if state is EngineState.READY and self.engine is not None:
            self._note_store(self.engine.store_problem)
        self.announcer.announce()

    def _note_store(self, reason: str | None) -> None:
        self.problems.solved(STORE)
        if reason:
            self.problems.note(STORE, reason)

    def _indexer_changed(self) -> None:
        if self.indexer is not None:
            self._note_indexing(self.indexer.error)
        self.announcer.announce()
        was_busy, knew = self._was_busy, self._knew_definitions
        self._was_busy = self.indexer is not None and self.indexer.busy
        self._knew_definitions = self.indexer is not None and self.indexer.knows_definitions
        if (was_busy and not self._was_busy) or (self._knew_definitions and not knew):
            self._memory_settled()

    def _note_indexing(self, error: BaseException | None) -> None:
        if error is None:
            self.problems.solved(SCANNING)
        else:
            self.problems.note(SCANNING, reason_of(error))

    def _memory_settled(self) -> None:
        """Have the engine read the text that the next request is expected in."""
        if self._unrequested is None:
            self.suggester.memory_changed()
            self._encoding.start()
        else:
            self._background.start(self._prepare(self._unrequested))
