"""Notices changes below the workspace folders and reports them in batches.

A thread of watchdog's gathers paths; a thread of ours hands them over once it has been quiet for
a moment. Where the system refuses to watch (the inotify limits of Linux), the folders are listed
once a second instead.
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
    f"The system has no file watches left, so changes are looked for every {_POLL_INTERVAL_S:g} s;"
    " on Linux, raise fs.inotify.max_user_watches and max_user_instances."
)
_OUT_OF_WATCHES = frozenset({errno.ENOSPC, errno.EMFILE})

# Asking for no more than these keeps the kernel from telling us about each file that we read.
_EVENTS: list[type[FileSystemEvent]] = [
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
    """Watches folders, with all that is below them, until it is stopped.

    A batch holds the paths that were created, written, deleted or moved (both ends). A folder in
    it means that anything below it may have changed. Nothing below `.git` is reported.

    `add`, `remove` and `stop` may be called from any thread but the one that delivers batches.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        on_change: Callable[[frozenset[Path]], None],
        debounce_ms: int = 100,
        is_ignored_dir: Callable[[Path], bool] = lambda _: False,
        on_polling: Callable[[str], None] = _log.warning,
    ) -> None:
        """Start to watch.

        Args:
            roots: the folders to watch.
            on_change: gets each batch, on a thread of the watcher's.
            debounce_ms: how long it must be quiet before a batch is delivered. Under changes
                without end, a path waits a second at most.
            is_ignored_dir: whether the contents of a folder need no report. It must answer for
                all that is above the folder as well, and from any thread.
            on_polling: gets a message for people once the system cannot watch any more and the
                folders are listed instead; on any thread.

        Raises:
            OSError: a root cannot be watched; most often it does not exist.
        """
        self.polling = False
        """Whether the folders are listed once a second, because the system cannot watch them."""
        self._on_change = on_change
        self._on_polling = on_polling
        # A storm in `node_modules` asks about the same folders again and again.
        self._is_ignored_dir = lru_cache(maxsize=4096)(is_ignored_dir)
        self._pending = _Pending(debounce_ms / 1000)
        self._lock = threading.Lock()
        self._watches: dict[Path, ObservedWatch] = {}
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
        """Watch one more folder; nothing happens if it is watched already.

        Raises:
            OSError: the folder cannot be watched; most often it does not exist.
        """
        with self._lock:
            if root not in self._watches:
                self._cover(root)

    def remove(self, root: Path) -> None:
        """Watch a folder no more; nothing happens if it is not watched."""
        with self._lock:
            if watch := self._watches.pop(root, None):
                self._observer.unschedule(watch)

    def stop(self) -> None:
        """End all threads. Changes that were not delivered yet are dropped."""
        self._pending.close()
        self._thread.join()
        with self._lock:
            _end(self._observer)

    def _deliver(self) -> None:
        while batch := self._pending.next_batch():
            # Rules may be among what changed.
            self._is_ignored_dir.cache_clear()
            # First, or else what appears in a new folder between the two would go unseen.
            try:
                self._cover_new_folders(batch)
            except Exception:  # the batch must be delivered all the same
                _log.exception("could not find out whether new folders are watched")
            try:
                self._on_change(batch)
            except Exception:  # whatever goes wrong with one batch, the next must not go unseen
                _log.exception("could not deliver %d changed paths", len(batch))

    def _cover_new_folders(self, batch: frozenset[Path]) -> None:
        # `Path.is_dir` raises errors before Python 3.14.
        if any(os.path.isdir(path) for path in batch):  # noqa: PTH112
            with self._lock:
                self._cover()

    def _cover(self, *new_roots: Path) -> None:
        """Watch new roots, or else poll all; without one, see whether there is need to poll."""
        try:
            for root in new_roots:
                self._watch(root)
            self._try_a_watch()
        except OSError as error:
            if self.polling or error.errno not in _OUT_OF_WATCHES:
                raise
            self._poll(new_roots)

    def _poll(self, new_roots: tuple[Path, ...]) -> None:
        _end(self._observer)
        self._observer = self._start_polling()
        known_roots, self._watches = set(self._watches), {}
        for root in known_roots.difference(new_roots):
            with suppress(OSError):  # a root that is gone has nothing more to tell
                self._watch(root)
        for root in new_roots:
            self._watch(root)

    def _watch(self, root: Path) -> None:
        # Of a link inotify would watch the link, and the system may report where it leads to.
        seen_as = root if self.polling else root.resolve()
        handler = _Handler(seen_as, partial(self._note, root))
        self._watches[root] = self._observer.schedule(
            handler, str(seen_as), recursive=True, event_filter=_EVENTS
        )

    def _try_a_watch(self) -> None:
        """Find out whether watchdog ran out of watches: of folders below a root it does not tell.

        Raises:
            OSError: it did, so that there is none for a fresh folder either.
        """
        if sys.platform == "linux" and not self.polling:
            with tempfile.TemporaryDirectory() as folder:
                self._observer.unschedule(self._observer.schedule(FileSystemEventHandler(), folder))

    def _note(self, root: Path, relative: Path, is_dir: bool) -> None:
        path = root / relative
        folder = path if is_dir else path.parent
        if ".git" not in relative.parts and not self._is_ignored_dir(folder):
            self._pending.put(path)

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
        # `lstat` does not follow links, which could lead around in circles.
        observer = PollingObserverVFS(os.lstat, self._listed, polling_interval=_POLL_INTERVAL_S)
        observer.start()
        return observer

    def _listed(self, folder: str | None) -> Iterator[os.DirEntry[str]]:
        """What a poll of `folder` sees: all but the folders that need no report."""
        with os.scandir(folder) as items:
            for item in items:
                is_dir = item.is_dir(follow_symlinks=False)
                if item.name != ".git" and not (is_dir and self._is_ignored_dir(Path(item.path))):
                    yield item


class _Handler(FileSystemEventHandler):
    """Turns the events below one root into paths relative to it."""

    def __init__(self, seen_as: Path, note: Callable[[Path, bool], None]) -> None:
        self._seen_as = seen_as
        self._note = note

    def on_any_event(self, event: FileSystemEvent) -> None:
        for end in (event.src_path, event.dest_path):
            path = Path(os.fsdecode(end))
            # A move may begin or end outside; `dest_path` is empty where nothing moved.
            if path.is_relative_to(self._seen_as):
                self._note(path.relative_to(self._seen_as), event.is_directory)


class _Pending:
    """Changed paths that wait for a quiet moment, between the two threads."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._changed = threading.Condition()
        self._paths: set[Path] = set()
        self._first_s = self._last_s = 0.0
        self._is_closed = False

    def put(self, path: Path) -> None:
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
        """Wait for paths, then for quiet, and take them; nothing once it is closed."""
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
