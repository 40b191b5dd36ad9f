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

from lsp_server.backend import Backend
from lsp_server.documents.document import Documents
from lsp_server.documents.notebooks import Notebooks
from lsp_server.documents.open_files import OpenFiles
from lsp_server.engine.client import EngineState
from lsp_server.indexing.file_table import IgnoredSetting, Status, Urgency
from lsp_server.indexing.indexer import Indexer
from lsp_server.problems import (
    ENGINE,
    REPOSITORY_SETTINGS,
    SCANNING,
    STATISTICS,
    STORE,
    Problem,
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

SHOWS_SETTINGS, SHOWS_FAILURES = "ignoredSettings", "failures"
"""Capabilities of clients that show by themselves what the status says of these."""


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
        self.problems = Problems(self._warn_of)
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
        self.backend = Backend(
            lambda: self.settings,
            self.folders,
            self.open_files,
            self.suggester,
            self.problems,
            self._engine_changed,
            self._indexer_changed,
        )
        self._report = StatusReport()
        self._was_busy = False
        """Whether the indexer was busy when it last changed."""
        self._knew_definitions = False
        """Whether the engine had the definitions of all files then."""
        self._unrequested: str | None = None
        """Document opened last; None once a suggestion was requested in it."""
        self.repository_problem: str | None = None
        """What is not read of the repository's own settings."""
        self._lifecycle = asyncio.Lock()
        self._background = BackgroundTasks()

    @property
    def settings(self) -> Settings:
        """The settings now."""
        return self.configuration.settings

    @property
    def engine(self) -> Engine | None:
        """The engine; None while it is stopped."""
        return self.backend.engine

    @property
    def indexer(self) -> Indexer | None:
        """The indexer; None while it is stopped, or if it could not be made."""
        return self.backend.indexer

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
        self.backend.give_up()
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
            await self.backend.apply_settings(roots)
        self.announcer.announce()

    async def end(self) -> None:
        """Stop everything that was started."""
        self.announcer.end()
        self.suggester.end_requests("shutting_down")
        self.snooze.end()
        with stopping("statistics"):
            await self.statistics.end()
        async with self._lifecycle:
            self.folders.roots = None
            await self.backend.stop()

    async def restart(self) -> None:
        """Restart the engine, after the user solved what kept it from loading."""
        self.announcer.forget_warnings()
        self.backend.restart_next()
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
            self.announcer.warn_once(str(problem), unless_client_can=SHOWS_SETTINGS)
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
        self.backend.encode_definitions()
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
            self.backend.encode_definitions()

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
        if state is EngineState.FAILED:
            self.announcer.warn_once(message, unless_client_can=SHOWS_FAILURES)
        elif self.engine is not None and self.engine.hung:
            self.announcer.warn_once(message)
        if state is EngineState.READY and self.indexer is not None:
            self.indexer.refill()
        if state is EngineState.READY and self.engine is not None:
            self._note_store(self.engine.store_problem)
        self.announcer.announce()

    def _warn_of(self, problem: Problem) -> None:
        shown_by = SHOWS_FAILURES if problem.part.is_needed else ""
        self.announcer.warn_once(str(problem), unless_client_can=shown_by)

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
            self.backend.encode_definitions()
        else:
            self._background.start(self._prepare(self._unrequested))
