"""The watcher on real folders. Every wait ends with what it waits for, or at a deadline."""

import ctypes
import errno
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from watchdog.observers import inotify_c

from lsp_server import watcher as watcher_module
from lsp_server.watcher import Watcher

DEADLINE_S = 10.0

# watchdog 7.1 says so when folders appear inside new folders while it sets out to watch them. No
# harm comes of it, but as an error it would end watchdog's thread.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux")


class Recorder:
    """Keeps the batches and waits for paths to show up in them."""

    def __init__(self) -> None:
        self.batches: queue.SimpleQueue[frozenset[Path]] = queue.SimpleQueue()
        self.seen: set[Path] = set()

    def __call__(self, batch: frozenset[Path]) -> None:
        self.batches.put(batch)

    def wait_for(self, *paths: Path) -> set[Path]:
        """Wait until all of `paths` were reported; give all that was reported so far."""
        end_s = monotonic() + DEADLINE_S
        while not self.seen.issuperset(paths):
            try:
                self.seen |= self.batches.get(timeout=max(0.0, end_s - monotonic()))
            except queue.Empty:
                pytest.fail(f"not reported: {set(paths) - self.seen}; reported: {self.seen}")
        return self.seen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("a")
    (folder / "sub" / "b.py").write_text("b")
    return folder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def watch(recorder: Recorder) -> Iterator[Callable[..., Watcher]]:
    """Makes watchers that report to `recorder`; checks that they leave no thread behind."""
    before = set(threading.enumerate())
    watchers: list[Watcher] = []

    def make(*roots: Path, debounce_ms: int = 20, **options: Callable[[Path], bool]) -> Watcher:
        watchers.append(Watcher(roots, recorder, debounce_ms, **options))
        return watchers[-1]

    yield make
    for watcher in watchers:
        watcher.stop()
    assert set(threading.enumerate()) <= before


def test_created(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    assert not watch(root).polling
    (root / "sub" / "new.py").write_text("x")
    assert recorder.wait_for(root / "sub" / "new.py") == {root / "sub" / "new.py"}


def test_modified(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    watch(root)
    (root / "a.py").write_text("changed")
    assert recorder.wait_for(root / "a.py") == {root / "a.py"}


def test_deleted(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    watch(root)
    (root / "sub" / "b.py").unlink()
    recorder.wait_for(root / "sub" / "b.py")


def test_moved_inside(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    watch(root)
    (root / "a.py").rename(root / "sub" / "c.py")
    recorder.wait_for(root / "a.py", root / "sub" / "c.py")


def test_moved_in_and_out(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    outside = root.parent / "outside.py"
    watch(root)
    (root / "a.py").rename(outside)
    recorder.wait_for(root / "a.py")
    outside.rename(root / "back.py")
    assert outside not in recorder.wait_for(root / "back.py")


def test_a_moved_folder(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    watch(root)
    (root / "sub").rename(root / "renamed")
    recorder.wait_for(root / "sub", root / "renamed")
    (root / "renamed" / "b.py").write_text("changed")
    recorder.wait_for(root / "renamed" / "b.py")


def test_a_deleted_folder(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    watch(root)
    (root / "sub" / "b.py").unlink()
    (root / "sub").rmdir()
    recorder.wait_for(root / "sub", root / "sub" / "b.py")


def test_a_new_folder(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    watch(root)
    (root / "x" / "y").mkdir(parents=True)
    (root / "x" / "y" / "z.py").write_text("z")
    recorder.wait_for(root / "x", root / "x" / "y" / "z.py")


def test_reading_is_no_change(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    """A scan must not wake itself up."""
    watch(root)
    (root / "a.py").read_text()
    list(root.iterdir())
    (root / "last.py").write_text("x")
    assert recorder.wait_for(root / "last.py") == {root / "last.py"}


def test_git_and_ignored_folders_are_not_reported(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    (root / ".git").mkdir()
    (root / "node_modules" / "m").mkdir(parents=True)
    watch(root, is_ignored_dir=lambda path: "node_modules" in path.parts)
    (root / ".git" / "index").write_text("x")
    (root / "node_modules" / "m" / "index.js").write_text("x")
    (root / "node_modules" / "new").mkdir()
    (root / "last.py").write_text("x")
    assert recorder.wait_for(root / "last.py") == {root / "last.py"}


def test_rules_may_change(root: Path, recorder: Recorder, watch: Callable[..., Watcher]) -> None:
    ignored = {root / "sub"}
    watch(root, is_ignored_dir=ignored.__contains__)
    (root / "sub" / "b.py").write_text("1")
    (root / "a.py").write_text("1")
    assert recorder.wait_for(root / "a.py") == {root / "a.py"}
    ignored.clear()
    (root / ".gitignore").write_text("")
    recorder.wait_for(root / ".gitignore")
    (root / "sub" / "b.py").write_text("2")
    recorder.wait_for(root / "sub" / "b.py")


def test_a_burst_is_one_batch(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    paths = {root / f"{number}.py" for number in range(50)}
    watch(root, debounce_ms=500)
    for path in paths:
        path.write_text("x")
    assert recorder.batches.get(timeout=DEADLINE_S) == paths


def test_changes_without_end_are_delivered(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    watch(root, debounce_ms=60_000)
    end_s = monotonic() + DEADLINE_S
    while recorder.batches.empty() and monotonic() < end_s:
        (root / "a.py").write_text("again")
        sleep(0.01)
    assert recorder.batches.get_nowait() == {root / "a.py"}


def test_a_root_can_be_added_and_removed(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    other = root.parent / "other"
    other.mkdir()
    watcher = watch(root)
    watcher.add(other)
    watcher.add(other)
    (other / "a.py").write_text("x")
    recorder.wait_for(other / "a.py")
    watcher.remove(other)
    watcher.remove(other)
    (other / "b.py").write_text("x")
    (root / "last.py").write_text("x")
    assert other / "b.py" not in recorder.wait_for(root / "last.py")


def test_a_root_inside_another(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    watch(root, root / "sub").remove(root)
    (root / "a.py").write_text("x")
    (root / "sub" / "b.py").write_text("x")
    assert recorder.wait_for(root / "sub" / "b.py") == {root / "sub" / "b.py"}


def test_a_root_that_is_a_link(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    watch(link)
    (root / "a.py").write_text("x")
    (link / "sub" / "b.py").write_text("x")
    assert recorder.wait_for(link / "a.py", link / "sub" / "b.py") == {
        *(link / "a.py", link / "sub" / "b.py")
    }


def test_a_root_that_goes_away(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher]
) -> None:
    watcher = watch(root / "sub", root.parent)
    (root / "sub" / "b.py").unlink()
    (root / "sub").rmdir()
    recorder.wait_for(root / "sub")
    watcher.remove(root / "sub")


def test_a_missing_root_is_refused(root: Path, watch: Callable[..., Watcher]) -> None:
    before = set(threading.enumerate())
    with pytest.raises(FileNotFoundError):
        watch(root, root / "missing")
    assert set(threading.enumerate()) <= before


def test_a_failing_callback_is_called_again(
    root: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([RuntimeError("first batch")])

    def on_change(batch: frozenset[Path]) -> None:
        recorder(batch)
        for failure in failures:
            raise failure

    watcher = Watcher([root], on_change, debounce_ms=20)
    try:
        (root / "a.py").write_text("x")
        recorder.wait_for(root / "a.py")
        (root / "sub" / "b.py").write_text("x")
        recorder.wait_for(root / "sub" / "b.py")
    finally:
        watcher.stop()
    assert "could not deliver 1 changed paths" in caplog.text


def test_a_batch_is_delivered_though_new_folders_cannot_be_covered(
    root: Path,
    recorder: Recorder,
    watch: Callable[..., Watcher],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(watch(root), "_try_a_watch", fail)
    (root / "new").mkdir()
    recorder.wait_for(root / "new")
    assert "whether new folders are watched" in caplog.text


def test_a_path_that_cannot_be_looked_at(
    root: Path,
    recorder: Recorder,
    watch: Callable[..., Watcher],
    caplog: pytest.LogCaptureFixture,
) -> None:
    too_long = Path("x" * 300)
    watch(root)._note(root, too_long, is_dir=False)
    recorder.wait_for(root / too_long)
    assert not caplog.records


def test_stop_drops_what_waits(root: Path, recorder: Recorder) -> None:
    watcher = Watcher([root], recorder, debounce_ms=60_000)
    (root / "a.py").write_text("x")
    begin_s = monotonic()
    watcher.stop()
    assert monotonic() - begin_s < DEADLINE_S / 2
    assert recorder.batches.empty()


@pytest.fixture
def few_watches(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets the system run out of watches, as the kernel does at `max_user_watches`."""
    add_watch = inotify_c.inotify_add_watch
    left = iter(range(10_000))

    def add_watch_if_left(*arguments: object) -> int:
        if next(left, None) is None:
            ctypes.set_errno(errno.ENOSPC)
            return -1
        return add_watch(*arguments)

    def leave(count: int) -> None:
        nonlocal left
        left = iter(range(count))

    monkeypatch.setattr(inotify_c, "inotify_add_watch", add_watch_if_left)
    return leave


def check_polling(root: Path, recorder: Recorder, watcher: Watcher) -> None:
    assert watcher.polling
    (root / "sub" / "polled.py").write_text("x")
    (root / "a.py").rename(root / "moved.py")
    recorder.wait_for(root / "sub" / "polled.py", root / "a.py", root / "moved.py")


@on_linux
@pytest.mark.parametrize("count", [0, 1, 2], ids=["the root", "a folder below", "a new one"])
def test_polls_when_there_are_no_watches_left(
    root: Path,
    recorder: Recorder,
    watch: Callable[..., Watcher],
    few_watches: Callable[[int], None],
    caplog: pytest.LogCaptureFixture,
    count: int,
) -> None:
    few_watches(count)
    check_polling(root, recorder, watch(root))
    assert "fs.inotify.max_user_watches" in caplog.text


@on_linux
def test_polls_when_a_new_folder_cannot_be_watched(
    root: Path,
    recorder: Recorder,
    watch: Callable[..., Watcher],
    few_watches: Callable[[int], None],
) -> None:
    watcher = watch(root)
    assert not watcher.polling
    few_watches(0)
    (root / "new").mkdir()
    recorder.wait_for(root / "new")
    check_polling(root, recorder, watcher)
    (root / "new" / "c.py").write_text("x")
    recorder.wait_for(root / "new" / "c.py")


def test_polls_when_there_is_no_inotify_instance_left(
    root: Path,
    recorder: Recorder,
    watch: Callable[..., Watcher],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_observer() -> None:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(watcher_module, "Observer", no_observer)
    check_polling(root, recorder, watch(root))


@on_linux
def test_polling_passes_over_ignored_folders_and_links(
    root: Path,
    recorder: Recorder,
    watch: Callable[..., Watcher],
    few_watches: Callable[[int], None],
) -> None:
    (root / "node_modules").mkdir()
    (root / "sub" / "loop").symlink_to(root)
    few_watches(0)
    asked: set[Path] = set()

    def is_ignored_dir(path: Path) -> bool:
        asked.add(path)
        return path.name == "node_modules"

    watcher = watch(root, is_ignored_dir=is_ignored_dir)
    (root / "node_modules" / "x.js").write_text("x")
    check_polling(root, recorder, watcher)
    assert root / "node_modules" / "x.js" not in recorder.seen
    assert asked == {root, root / "sub", root / "node_modules"}


@on_linux
def test_other_errors_are_not_hidden(
    root: Path, watch: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_observer() -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(watcher_module, "Observer", no_observer)
    with pytest.raises(OSError, match="broken"):
        watch(root)
