"""The workspace folders of a client: which of their files count, and news of changes on disk."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from longllama_code.source_files.ignore import IgnoreRules
from longllama_code.source_files.source_text import Limits
from longllama_code.source_files.workspace import Workspace
from lsp_server.problems import RULES, WATCHING, Problems, reason_of, stopping
from lsp_server.settings.declarations import Memory
from lsp_server.watching.outside_rules import OutsideRules
from lsp_server.watching.watcher import Watcher


class WorkspaceFolders:
    """Owner of the folders, of the rules for their files, and of the watcher.

    Args:
        on_change: called on the event loop with the paths that changed on disk.
        warn: called on the event loop with messages that the user should know of.
        problems: takes the folders that cannot be used.
    """

    def __init__(
        self,
        on_change: Callable[[Sequence[Path]], None],
        warn: Callable[[str], None],
        problems: Problems,
    ) -> None:
        self.roots: list[Path] | None = None
        """None before the session begins and after it ends."""
        self.workspace = Workspace()
        """Rules for the files of the folders."""
        self._on_change = on_change
        self._warn = warn
        self._problems = problems
        self._watcher: Watcher | None = None
        self._outside_rules = OutsideRules()
        self._following: asyncio.Task[None] | None = None

    def configure(self, memory: Memory) -> Workspace:
        """Replace the rules for the files, and return them, without folders that have none."""
        rules = partial(
            IgnoreRules,
            respect_gitignore=memory.respect_gitignore,
            ignore_file=memory.ignore_file,
            include=tuple(memory.include),
            exclude=tuple(memory.exclude),
            on_met=self._outside_rules.add,
        )
        limits = Limits(memory.max_file_bytes)
        self.workspace = Workspace(rules=rules, limits=limits)
        self._add_rules(self.roots or ())
        return self.workspace

    def _add_rules(self, roots: Sequence[Path]) -> None:
        for root in roots:
            part = RULES.of(root)
            self._problems.solved(part)
            with self._problems.without(part):
                self.workspace.add(root)

    async def change(self, added: Sequence[Path], removed: Sequence[Path]) -> None:
        """Add and remove folders; while nothing is watched, only note them."""
        kept = [root for root in self.roots or () if root not in removed]
        self.roots = [*kept, *(root for root in added if root not in kept)]
        if self._watcher is None:
            return
        for root in removed:
            self.workspace.remove(root)
            with stopping(f"watching {root}"):
                await asyncio.to_thread(self._watcher.remove, root)
        self._add_rules(added)
        await self._add_to(self._watcher, added)

    async def watch(self) -> None:
        """Report changes on disk from now on."""
        loop = asyncio.get_running_loop()

        def on_change(paths: frozenset[Path]) -> None:
            loop.call_soon_threadsafe(self._on_change, sorted(paths))

        def on_polling(message: str) -> None:
            loop.call_soon_threadsafe(self._warn, message)

        self._watcher = Watcher(
            [],
            on_change,
            is_ignored_dir=self._ignores_folder,
            on_polling=on_polling,
            on_git_change=self._outside_rules.note,
        )
        self._following = asyncio.create_task(
            self._outside_rules.follow(
                lambda: self.workspace,
                self._is_reported,
                lambda: self._on_change(self.workspace.roots),
            )
        )
        await self._add_to(self._watcher, self.roots or ())

    async def stop_watching(self) -> None:
        """Report no further changes."""
        if self._following is not None:
            self._following.cancel()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            await asyncio.to_thread(watcher.stop)

    def _is_reported(self, file: Path) -> bool:
        """Whether the watcher of the folders sees a file of git's rules."""
        watcher = self._watcher
        return watcher is not None and not watcher.polling and watcher.watches(file)

    def _ignores_folder(self, path: Path) -> bool:
        return self.workspace.ignores_folder(path)

    async def _add_to(self, watcher: Watcher, roots: Sequence[Path]) -> None:
        """Watch folders; on a thread, as the system takes a while over large trees."""
        for root in roots:
            try:
                await asyncio.to_thread(watcher.add, root)
            except Exception as error:  # such as RecursionError, for very deep folders
                reason = f"{root} cannot be watched for changes: {reason_of(error)}"
                self._problems.note(WATCHING.of(root), reason)
