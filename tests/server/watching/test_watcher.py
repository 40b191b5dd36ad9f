"""The watcher on real folders. Every wait ends with what it waits for, or at a deadline."""

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from lsp_server.watching.watcher import Watcher
from tests.deadline import DEADLINE_S
from tests.server.watching.recorder import Recorder, make_tree

# watchdog 7.1 says so when folders appear inside new folders while it sets out to watch them. No
# harm comes of it, but as an error it would end watchdog's thread.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path)


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


@pytest.mark.parametrize("removed", ["root", "link"])
def test_of_two_roots_that_are_one_by_a_link_either_may_go(
    root: Path, recorder: Recorder, watch: Callable[..., Watcher], removed: str
) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    watcher = watch(root, link)
    (root / "a.py").write_text("x")
    recorder.wait_for(root / "a.py", link / "a.py")
    gone, kept = (root, link) if removed == "root" else (link, root)
    watcher.remove(gone)
    watcher.remove(gone)  # which does nothing
    (root / "new.py").write_text("x")
    assert gone / "new.py" not in recorder.wait_for(kept / "new.py")
    watcher.add(gone)
    (root / "again.py").write_text("x")
    recorder.wait_for(root / "again.py", link / "again.py")
    watcher.remove(gone)
    watcher.remove(kept)


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

    monkeypatch.setattr(watch(root), "_check_watches_left", fail)
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
    watch(root)._add_change(root, too_long, is_dir=False)
    recorder.wait_for(root / too_long)
    assert not caplog.records


def test_stop_drops_what_waits(root: Path, recorder: Recorder) -> None:
    watcher = Watcher([root], recorder, debounce_ms=4_000 * int(DEADLINE_S))
    (root / "a.py").write_text("x")
    begin_s = monotonic()
    watcher.stop()
    assert monotonic() - begin_s < DEADLINE_S
    assert recorder.batches.empty()


def test_a_missing_folder_of_temporary_files_is_no_reason_not_to_watch(
    watch, recorder, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    watch(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    recorder.wait_for(tmp_path / "a.py")
