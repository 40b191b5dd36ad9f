"""Watching workspace folders for changes, which are reported in batches.

A thread of watchdog collects paths. A second thread delivers them once no more have come for a
moment. If the system refuses to watch (inotify's limits on Linux), the folders are polled instead.
"""

import errno
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from time import monotonic

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserverVFS

_log = logging.getLogger(__name__)

_MAX_DELAY_S = 1.0
_POLL_INTERVAL_S = 1.0
_POLLING = (
    f"The system has no file watches left, so folders are polled every {_POLL_INTERVAL_S:g} s;"
    " on Linux, raise fs.inotify.max_user_watches and max_user_instances."
)
_OUT_OF_WATCHES = frozenset({errno.ENOSPC, errno.EMFILE})

# Other events, such as opening a file, would be sent for every file that the server reads.
EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]


class Watcher:
    """Watches folders and everything below them until it is stopped.

    A batch holds the paths that were created, written, deleted or moved (source and target). If it
    holds a folder, anything below that may have changed. Changes below `.git` are not reported.

    `add`, `remove` and `stop` may be called from any thread except the one that delivers batches.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        on_change: Callable[[frozenset[Path]], None],
        debounce_ms: int = 100,
        is_ignored_dir: Callable[[Path], bool] = lambda _: False,
        on_polling: Callable[[str], None] = _log.warning,
        on_git_change: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """Start to watch.

        Args:
            roots: folders to watch.
            on_change: called with each batch, on a thread of the watcher.
            debounce_ms: milliseconds without a change before a batch is delivered. While changes
                do not stop, a path waits one second at most.
            is_ignored_dir: returns whether changes in a folder are not to be reported, because of
                the folder itself or of one above it. Called from any thread.
            on_polling: called with a message for the user, on any thread, when the watcher changes
                to polling.
            on_git_change: called, on any thread, with each path below `.git` that changed. Folders
                that are polled have none.

        Raises:
            OSError: a root cannot be watched; usually it does not exist.
        """
        self.polling = False
        """Whether folders are polled, because the system cannot watch them."""
        self._on_change = on_change
        self._on_polling = on_polling
        self._on_git_change = on_git_change
        # Thousands of changes in `node_modules` concern few folders.
        self._is_ignored_dir = lru_cache(maxsize=4096)(is_ignored_dir)
        self._pending = _Pending(debounce_ms / 1000)
        self._lock = threading.Lock()
        self._watches: dict[Path, tuple[ObservedWatch, FileSystemEventHandler]] = {}
        self._observer = self._start_observer()
        self._thread = threading.Thread(target=self._deliver, name="watcher", daemon=True)
        self._thread.start()
        try:
            for root in roots:
                self.add(root)
        except OSError:
            self.stop()
            raise

    def add(self, root: Path) -> None:
        """Watch another folder, unless it is watched already.

        Raises:
            OSError: the folder cannot be watched; usually it does not exist.
        """
        with self._lock:
            if root not in self._watches:
                self._ensure_watched(root)

    def remove(self, root: Path) -> None:
        """Stop watching a folder, if it is watched."""
        with self._lock:
            known = self._watches.pop(root, None)
            if known is None:
                return
            watch, handler = known
            # Two roots may be one folder by a link, and then have one watch.
            if any(other == watch for other, _ in self._watches.values()):
                self._observer.remove_handler_for_watch(handler, watch)
            else:
                self._observer.unschedule(watch)

    def watches(self, path: Path) -> bool:
        """Whether changes of a path are seen; links on the way to it are not followed."""
        return any(root in path.parents for root in list(self._watches))

    def stop(self) -> None:
        """End all threads. Changes that are not delivered yet are dropped."""
        self._pending.close()
        self._thread.join()
        with self._lock:
            _end(self._observer)

    def _deliver(self) -> None:
        while batch := self._pending.next_batch():
            # A file of ignore rules may have changed.
            self._is_ignored_dir.cache_clear()
            # Before delivery, or a file that appears in a new folder in between would be missed.
            try:
                self._check_new_folders(batch)
            except Exception:  # the batch must be delivered all the same
                _log.exception("could not find out whether new folders are watched")
            try:
                self._on_change(batch)
            except Exception:  # the next batch must be delivered all the same
                _log.exception("could not deliver %d changed paths", len(batch))

    def _check_new_folders(self, batch: frozenset[Path]) -> None:
        # `Path.is_dir` may raise before Python 3.14.
        if any(os.path.isdir(path) for path in batch):  # noqa: PTH112
            with self._lock:
                self._ensure_watched()

    def _ensure_watched(self, *new_roots: Path) -> None:
        """Watch new roots, and change to polling if the system has no watches left for all."""
        try:
            for root in new_roots:
                self._watch(root)
            self._check_watches_left()
        except OSError as error:
            if self.polling or error.errno not in _OUT_OF_WATCHES:
                raise
            self._poll(new_roots)

    def _poll(self, new_roots: tuple[Path, ...]) -> None:
        _end(self._observer)
        self._observer = self._start_polling()
        known_roots, self._watches = set(self._watches), {}
        for root in known_roots.difference(new_roots):
            with suppress(OSError):  # the root was deleted
                self._watch(root)
        for root in new_roots:
            self._watch(root)

    def _watch(self, root: Path) -> None:
        # inotify would watch a symlink itself, and other systems report the target's path.
        watched = root if self.polling else root.resolve()
        handler = _Handler(watched, partial(self._add_change, root))
        watch = self._observer.schedule(handler, str(watched), recursive=True, event_filter=EVENTS)
        self._watches[root] = watch, handler

    def _check_watches_left(self) -> None:
        """Check that there are watches left, by watching a new folder.

        watchdog does not report that it could not watch a folder below a root.

        Raises:
            OSError: there are none.
        """
        if sys.platform == "linux" and not self.polling:
            try:
                folder = tempfile.mkdtemp()
            except OSError as error:  # without a place for it, nothing is known; all may be well
                _log.info("whether there are file watches left is not checked: %s", error)
                return
            try:
                self._observer.unschedule(self._observer.schedule(FileSystemEventHandler(), folder))
            finally:
                with suppress(OSError):
                    os.rmdir(folder)  # noqa: PTH106

    def _add_change(self, root: Path, relative: Path, is_dir: bool) -> None:
        path = root / relative
        folder = path if is_dir else path.parent
        if ".git" in relative.parts:
            self._on_git_change(path)
        elif not self._is_ignored_dir(folder):
            self._pending.add(path)

    def _start_observer(self) -> BaseObserver:
        try:
            observer = Observer()
        except OSError as error:
            if error.errno not in _OUT_OF_WATCHES:
                raise
            return self._start_polling()
        observer.start()
        return observer

    def _start_polling(self) -> BaseObserver:
        self._on_polling(_POLLING)
        self.polling = True
        # `lstat` does not follow symlinks, which may form a cycle.
        observer = PollingObserverVFS(os.lstat, self._scan, polling_interval=_POLL_INTERVAL_S)
        observer.start()
        return observer

    def _scan(self, folder: str | None) -> Iterator[os.DirEntry[str]]:
        """Yield the entries of a folder that is polled, without ignored folders."""
        with os.scandir(folder) as items:
            for item in items:
                is_dir = item.is_dir(follow_symlinks=False)
                if item.name != ".git" and not (is_dir and self._is_ignored_dir(Path(item.path))):
                    yield item


class _Handler(FileSystemEventHandler):
    """Converts events below one root to paths relative to it."""

    def __init__(self, watched: Path, on_path: Callable[[Path, bool], None]) -> None:
        self._watched = watched
        self._on_path = on_path

    def on_any_event(self, event: FileSystemEvent) -> None:
        for raw_path in (event.src_path, event.dest_path):
            path = Path(os.fsdecode(raw_path))
            # A move may begin or end outside of the root; without a move, `dest_path` is empty.
            if path.is_relative_to(self._watched):
                self._on_path(path.relative_to(self._watched), event.is_directory)


class _Pending:
    """Changed paths that wait for delivery, shared by the two threads."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._changed = threading.Condition()
        self._paths: set[Path] = set()
        self._first_s = self._last_s = 0.0
        self._is_closed = False

    def add(self, path: Path) -> None:
        with self._changed:
            self._last_s = monotonic()
            if not self._paths:
                self._first_s = self._last_s
                self._changed.notify()
            self._paths.add(path)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def next_batch(self) -> frozenset[Path]:
        """Wait until no more paths come, then return them; empty once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._paths or self._is_closed)
            while not self._is_closed and (left_s := self._due_s() - monotonic()) > 0:
                self._changed.wait(left_s)
            batch = frozenset[Path]() if self._is_closed else frozenset(self._paths)
            self._paths.clear()
            return batch

    def _due_s(self) -> float:
        return min(self._last_s + self._quiet_s, self._first_s + _MAX_DELAY_S)


def _end(observer: BaseObserver) -> None:
    observer.stop()
    observer.join()
