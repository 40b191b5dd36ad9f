"""News of git's rules that lie in no workspace folder, or in its `.git`: `info/exclude` and others.

The watcher of the workspace folders sees what is below `.git` anyway. The folders of the other
files, such as the user's own, are watched one by one, without what lies deeper. Only where that
cannot be done, the files are looked at every two seconds.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from longllama_code.source_files.workspace import Workspace
from lsp_server.watching.watcher import EVENTS

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""Time between two looks at files that cannot be watched; each takes a few calls of the system."""
QUIET_S = 0.1
"""Time after the first of several changes before the files are looked at."""
MAX_FOLDERS = 16
"""Most folders that are watched; on Linux each takes one of 128 watchers that a user may have."""
CAN_WATCH = sys.platform != "darwin"
"""Whether a folder can be watched without all that lies below it; macOS reports a whole home."""


class OutsideRules:
    """Watches the files of rules that no watcher of the workspace folders reports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: set[Path] = set()
        self._news: Callable[[], object] = _ignore
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, ObservedWatch] = {}
        self._gone: set[Path] = set()
        """Watched folders that were deleted or moved, and perhaps made again."""

    def add(self, files: Iterable[Path]) -> None:
        """Take in files of rules that were met, which need not exist; from any thread."""
        with self._lock:
            before = len(self._files)
            self._files.update(files)
            if len(self._files) == before:
                return
        self._news()

    def note(self, path: Path) -> None:
        """Note a change that was seen; from any thread."""
        with self._lock:
            is_one = any(path == file or path in file.parents for file in self._files)
        if is_one:
            self._news()

    async def follow(
        self,
        workspace: Callable[[], Workspace],
        is_reported: Callable[[Path], bool],
        on_change: Callable[[], None],
    ) -> None:
        """Call `on_change` whenever such rules change, until cancelled.

        Args:
            workspace: returns the rules of the folders.
            is_reported: whether changes of a file come to `note` from elsewhere.
            on_change: called on the event loop.
        """
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        self._news = lambda: loop.call_soon_threadsafe(news.set)
        news.set()
        sees_all = True
        try:
            while True:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(news.wait(), None if sees_all else INTERVAL_S)
                await asyncio.sleep(QUIET_S)
                news.clear()
                # Watch before the look: changes in between are then seen.
                sees_all = await asyncio.to_thread(self._watch, is_reported)
                if await asyncio.to_thread(_look, workspace):
                    on_change()
        finally:
            self._news = _ignore
            observer, self._observer = self._observer, None
            self._watches.clear()
            if observer is not None:
                await asyncio.shield(asyncio.to_thread(_end, observer))

    def _watch(self, is_reported: Callable[[Path], bool]) -> bool:
        """Watch the folders that changes can come from; return whether all are watched."""
        with self._lock:
            files = list(self._files)
            gone, self._gone = self._gone, set()
        wanted = {_nearest_folder(file) for file in files if not is_reported(file)}
        for folder in (self._watches.keys() - wanted) | (self._watches.keys() & gone):
            watch = self._watches.pop(folder)
            if self._observer is not None:
                with suppress(KeyError, OSError):  # it ended with its folder
                    self._observer.unschedule(watch)
        if not CAN_WATCH or len(wanted) > MAX_FOLDERS:
            return not wanted
        return all([self._watches_folder(folder) for folder in wanted])

    def _watches_folder(self, folder: Path) -> bool:
        if folder in self._watches:
            return True
        try:
            if self._observer is None:
                self._observer = Observer()
                self._observer.start()
            handler = _Handler(self, folder)
            watch = self._observer.schedule(handler, str(folder), event_filter=EVENTS)
            self._watches[folder] = watch
        except Exception as error:  # no watches are left, or the folder is gone
            logger.info("%s is looked at every %g s: %s", folder, INTERVAL_S, error)
            return False
        return True

    def note_gone(self, folder: Path) -> None:
        """Note that a watched folder was deleted or moved."""
        with self._lock:
            self._gone.add(folder)
        self._news()


class _Handler(FileSystemEventHandler):
    """Passes on the changes in one folder."""

    def __init__(self, rules: OutsideRules, folder: Path) -> None:
        self._rules, self._folder = rules, folder

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = {Path(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path}
        if self._folder in paths and event.event_type in ("deleted", "moved"):
            self._rules.note_gone(self._folder)
        for path in paths:
            self._rules.note(path)


def _nearest_folder(file: Path) -> Path:
    """Return the deepest folder above a file that exists."""
    return next(_existing(file.parents), Path(file.anchor))


def _existing(folders: Iterable[Path]) -> Iterator[Path]:
    # `Path.is_dir` may raise before Python 3.14.
    return (folder for folder in folders if os.path.isdir(folder))  # noqa: PTH112


def _look(workspace: Callable[[], Workspace]) -> bool:
    """Whether rules changed since they were read."""
    try:
        return workspace().renew()
    except Exception:  # the next look may succeed
        logger.exception("git's rules outside of the workspace could not be looked at")
        return False


def _end(observer: BaseObserver) -> None:
    observer.stop()
    observer.join()


def _ignore() -> None:
    """Do nothing: nobody follows."""
