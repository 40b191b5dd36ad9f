"""The workspace folders of a client: which of their files count, and news of changes on disk."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from longllama_code.source_files.ignore import IgnoreRules
from longllama_code.source_files.workspace import Limits, Workspace
from lsp_server.settings.declarations import Memory
from lsp_server.watcher import Watcher


class WorkspaceFolders:
    """Owner of the folders, of the rules for their files, and of the watcher.

    Args:
        on_change: called on the event loop with the paths that changed on disk.
        warn: called on the event loop with problems that the user should know of.
    """

    def __init__(
        self, on_change: Callable[[Sequence[Path]], None], warn: Callable[[str], None]
    ) -> None:
        self.roots: list[Path] | None = None
        """None before the session begins and after it ends."""
        self.workspace = Workspace()
        """Rules for the files of the folders."""
        self._on_change = on_change
        self._warn = warn
        self._watcher: Watcher | None = None

    def configure(self, memory: Memory) -> Workspace:
        """Replace the rules for the files, and return them."""
        rules = partial(
            IgnoreRules,
            respect_gitignore=memory.respect_gitignore,
            ignore_file=memory.ignore_file,
            include=tuple(memory.include),
            exclude=tuple(memory.exclude),
        )
        limits = Limits(memory.max_file_bytes)
        self.workspace = Workspace(self.roots or (), rules=rules, limits=limits)
        return self.workspace

    async def change(self, added: Sequence[Path], removed: Sequence[Path]) -> None:
        """Add and remove folders; while nothing is watched, only note them."""
        kept = [root for root in self.roots or () if root not in removed]
        self.roots = [*kept, *(root for root in added if root not in kept)]
        if self._watcher is None:
            return
        for root in removed:
            self.workspace.remove(root)
            await asyncio.to_thread(self._watcher.remove, root)
        for root in added:
            self.workspace.add(root)
        await self._add_to(self._watcher, added)

    async def watch(self) -> None:
        """Report changes on disk from now on."""
        loop = asyncio.get_running_loop()

        def on_change(paths: frozenset[Path]) -> None:
            loop.call_soon_threadsafe(self._on_change, sorted(paths))

        def on_polling(message: str) -> None:
            loop.call_soon_threadsafe(self._warn, message)

        self._watcher = Watcher(
            [], on_change, is_ignored_dir=self._ignores_folder, on_polling=on_polling
        )
        await self._add_to(self._watcher, self.roots or ())

    async def stop_watching(self) -> None:
        """Report no further changes."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            await asyncio.to_thread(watcher.stop)

    def _ignores_folder(self, path: Path) -> bool:
        return self.workspace.ignores_folder(path)

    async def _add_to(self, watcher: Watcher, roots: Sequence[Path]) -> None:
        """Watch folders; on a thread, as the system takes a while over large trees."""
        for root in roots:
            try:
                await asyncio.to_thread(watcher.add, root)
            except OSError as error:
                self._warn(f"{root} cannot be watched for changes: {error}")
