"""Engine, indexer and watcher of a session: started, changed and stopped as the settings want.

They are parts that a session can do without: what fails is noted as a problem, and the others work.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from longllama_code.protocol import ClearedStore
from longllama_code.source_files.clean_texts import CleanTexts
from lsp_server.documents.open_files import OpenFiles
from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.engine.team.selection import engine_choice, make_engine
from lsp_server.indexing.definition_encoding import DefinitionEncoding
from lsp_server.indexing.file_table import Urgency
from lsp_server.indexing.indexer import Indexer
from lsp_server.indexing.power import follow_power, must_spare_battery
from lsp_server.problems import (
    ENGINE,
    INDEXING,
    POWER,
    SEARCHED,
    WATCHING,
    Problems,
    reason_of,
    stopping,
)
from lsp_server.settings.declarations import Settings
from lsp_server.status.report import Engine
from lsp_server.suggestions.suggester import Suggester
from lsp_server.watching.workspace_folders import WorkspaceFolders


class Backend:
    """Owner of the engine and of all that keeps its memory up to date.

    The callers of `apply_settings` and `stop` take turns.

    Args:
        settings: returns the settings now.
        folders: the workspace folders.
        open_files: files of the open documents.
        suggester: user of the engine.
        problems: takes the parts that cannot be had.
        on_engine: called with the engine's new state and what to say of it.
        on_indexer: called after each change of the indexer.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        folders: WorkspaceFolders,
        open_files: OpenFiles,
        suggester: Suggester,
        problems: Problems,
        on_engine: Callable[[EngineState, str], None],
        on_indexer: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._folders, self._open_files, self._suggester = folders, open_files, suggester
        self._problems = problems
        self._on_engine, self._on_indexer = on_engine, on_indexer
        self.engine: Engine | None = None
        """None while it is stopped."""
        self.indexer: Indexer | None = None
        """None while it is stopped, or if it could not be made."""
        self._encoding = DefinitionEncoding(self._encoding_engine, suggester.memory_changed)
        self._power: asyncio.Task[None] | None = None
        self._clean_texts = CleanTexts(None)
        self._running: Settings | None = None
        """Settings that engine and indexer were started with; None while they are stopped."""
        self._begins_paused = False
        """Whether indexing was paused before there was an indexer."""

    async def apply_settings(self, roots: Sequence[Path]) -> None:
        """Bring engine and indexer in line with the settings; restart only what must be."""
        running, self._running = self._running, None
        self._problems.solved(ENGINE)
        with self._problems.without(ENGINE):
            await self._change_to(roots, running)
        if self._problems.failure:
            self.give_up()

    def restart_next(self) -> None:
        """Have the next `apply_settings` restart everything."""
        self._running = None

    def give_up(self) -> None:
        """Have nobody wait for an indexer that may not have been started."""
        if self.indexer is not None:
            self.indexer.give_up()

    async def stop(self) -> None:
        """Stop what runs; if one part cannot be stopped, the others are all the same."""
        self._running = None
        engine, indexer, power = self.engine, self.indexer, self._power
        self.engine = self.indexer = self._power = None
        with stopping("timers"):
            self._open_files.cancel_timers()
            if power is not None:
                power.cancel()
        with stopping("definitions"):
            await self._encoding.stop()
        with stopping("watching"):
            await self._folders.stop_watching()
        with stopping("indexer"):
            if indexer is not None:
                await indexer.stop()
        with stopping("engine"):
            if engine is not None:
                await engine.stop()
        with stopping("searched texts"):
            self._clean_texts.close()

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

    def encode_definitions(self) -> None:
        """Have the engine encode definitions in advance, if nobody waits for anything else."""
        self._encoding.start()

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

    async def _change_to(self, roots: Sequence[Path], running: Settings | None) -> None:
        """Bring engine and indexer from the settings they run with to those of now."""
        wanted = self._settings()
        wanted = wanted if wanted.enable else None
        if (
            wanted is None
            or running is None
            or engine_choice(wanted, roots) != engine_choice(running, roots)
        ):
            await self.stop()
            if wanted is not None:
                await self._start(roots)
        elif wanted.memory != running.memory and self.indexer is not None:
            self.indexer.reconfigure(self._folders.configure(wanted.memory), wanted.memory)
            self.indexer.changed(self._open_files.paths(), Urgency.OPEN)  # limits hold for these
        self._running = wanted

    async def _start(self, roots: Sequence[Path]) -> None:
        """Start engine, watcher and indexer; what fails of the latter is left out."""
        settings, without = self._settings(), self._problems.without
        self._problems.retry()
        engine = self.engine = make_engine(engine_choice(settings, roots), self._on_engine)
        self._suggester.times.clear()
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
            await self._folders.watch()
        await self._start_indexing()

    async def _start_indexing(self) -> None:
        indexer = self.indexer
        if indexer is None:
            return
        with self._problems.without(POWER):
            await self._follow_power(indexer)
        try:
            indexer.start()
        except Exception as error:
            indexer.give_up()
            self._problems.note(INDEXING, reason_of(error))

    def _make_indexer(self, engine: Engine, settings: Settings) -> Indexer:
        workspace = self._folders.configure(settings.memory)
        self._open_files.relocate()
        return Indexer(
            engine,
            workspace,
            self._open_files.paths,
            self._open_files.text,
            settings.memory,
            self._on_indexer,
            self._clean_texts.refuse_secrets,
        )

    async def _follow_power(self, indexer: Indexer) -> None:
        pause_on_battery = self._settings().indexing.pause_on_battery
        indexer.spare_battery(await must_spare_battery(pause_on_battery))
        self._power = asyncio.create_task(
            follow_power(indexer, lambda: self._settings().indexing.pause_on_battery)
        )

    def _encoding_engine(self) -> Engine | None:
        """Return the engine if definitions may be encoded now that nobody waits for."""
        settings, indexer = self._settings(), self.indexer
        wanted = settings.completion
        if not settings.enable or not wanted.ahead or wanted.repository_context != "memory":
            return None
        if indexer is None or indexer.busy or indexer.paused or indexer.spares_battery:
            return None
        return self.engine if self.engine is not None and self.engine.ready else None
