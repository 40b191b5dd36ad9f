"""The watcher when the system has no file watches left: it polls, and warns the user."""

import ctypes
import errno
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from watchdog.observers import inotify_c

from lsp_server.watching import watcher as watcher_module
from lsp_server.watching.watcher import Watcher
from tests.server.watching.recorder import Recorder, make_tree

pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is of Linux")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path)


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
