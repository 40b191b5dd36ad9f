"""The indexer on real files, with an engine that only keeps a list."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest_asyncio

from longllama_code.protocol import RememberResult
from lsp_server.engine_client import EngineError, EngineGone
from lsp_server.indexer import Indexer, Urgency
from lsp_server.settings import resolve
from lsp_server.tracked import FileState, TrackedFile, TrackedFiles
from lsp_server.workspace import Workspace

DEADLINE_S = 10


class ListEngine:
    """Remembers texts by path, one token a character; may be slow, unready, or die."""

    def __init__(self):
        self.ready = True
        self.texts = {}
        self.asked = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.errors = {}

    async def remember(self, path, text):
        self.asked.append(path)
        await self.may_answer.wait()
        if errors := self.errors.get(path):
            raise errors.pop(0)
        self.texts[path] = text
        return RememberResult(path, len(text), 1, 1, 0, 0)

    async def forget(self, paths):
        for path in paths:
            del self.texts[path]  # what was never remembered must not be forgotten


class Bench:
    """An indexer, its engine, its folder, and the open documents."""

    def __init__(self, root):
        self.root = root
        self.engine = ListEngine()
        self.open = {}
        self.changed = asyncio.Event()
        self.indexer = None

    def start(self, *roots, **memory):
        settings, problems = resolve([{"memory": memory}])
        assert not problems
        self.workspace = Workspace(roots or [self.root])
        self.indexer = Indexer(
            self.engine, self.workspace, self.open.get, settings.memory, self.changed.set
        )
        self.indexer.start()

    def write(self, name, text="x = 1\n"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    async def until(self, is_so):
        """Wait for a change of the indexer to make it so."""

        async def wait():
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

        await asyncio.wait_for(wait(), DEADLINE_S)

    async def idle(self):
        await self.until(lambda: not self.indexer.busy)

    async def asked(self, n):
        """Wait for the engine to be asked so often; only for questions it does not answer yet."""

        async def wait():
            while len(self.engine.asked) < n:
                await asyncio.sleep(0)

        await asyncio.wait_for(wait(), DEADLINE_S)

    def states(self):
        return {file.name: file.reason or file.state.value for file in self.indexer.files}


@pytest_asyncio.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    if bench.indexer is not None:
        await bench.indexer.stop()


async def test_everything_is_remembered(bench):
    bench.write("a.py", "a = 1\r\n")
    bench.write("sub/b.py")
    bench.start()
    assert bench.indexer.busy  # at once, before anything was looked at
    await bench.idle()
    assert bench.engine.texts == {"a.py": "a = 1\n", "sub/b.py": "x = 1\n"}
    assert bench.states() == {"a.py": "in_memory", "sub/b.py": "in_memory"}
    totals = bench.indexer.files.totals()
    assert (totals.in_memory, totals.tokens, totals.segments_encoded) == (2, 12, 2)


async def test_open_files_come_first_then_changed_ones(bench):
    _, _, c, d = (bench.write(f"{name}.py") for name in "abcd")
    bench.open[d] = "live"
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    bench.indexer.changed([c])
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.engine.asked == ["d.py", "c.py", "a.py", "b.py"]
    assert bench.engine.texts["d.py"] == "live"


async def test_an_empty_workspace_comes_to_rest(bench):
    bench.start()
    await bench.idle()
    assert bench.states() == {}


async def test_it_rests_while_the_engine_is_not_ready_and_goes_on_by_refill(bench):
    bench.write("a.py")
    bench.engine.ready = False
    bench.start()
    await bench.until(lambda: bench.states() == {"a.py": "waiting"})
    assert bench.indexer.busy
    bench.engine.ready = True
    bench.indexer.refill()
    await bench.idle()
    assert bench.engine.asked == ["a.py"]


async def test_changes_are_looked_at_though_the_engine_is_not_ready(bench):
    bench.engine.ready = False
    path = bench.write("a.py")
    bench.start()
    await bench.until(lambda: bench.states() == {"a.py": "waiting"})
    path.unlink()
    bench.indexer.changed([path])
    await bench.until(lambda: bench.states() == {})
    assert not bench.indexer.busy


async def test_a_pause_ends_with_resume(bench):
    bench.write("a.py")
    bench.start()
    bench.indexer.pause()
    await bench.until(lambda: bench.states() == {"a.py": "waiting"})
    assert (bench.engine.asked, bench.indexer.busy) == ([], True)
    bench.indexer.resume()
    await bench.idle()
    assert bench.engine.asked == ["a.py"]


async def test_what_is_deleted_is_forgotten_in_a_pause_too(bench):
    path = bench.write("a.py")
    bench.start()
    await bench.idle()
    bench.indexer.pause()
    path.unlink()
    bench.indexer.changed([path])
    await bench.idle()
    assert bench.engine.texts == {}


async def test_deleted_while_it_waits(bench):
    first, second = bench.write("a.py"), bench.write("b.py")
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    second.unlink()
    bench.indexer.changed([second])
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.engine.texts.keys() == {"a.py"}
    assert bench.states() == {"a.py": "in_memory"}
    assert first.exists()


async def test_deleted_while_it_is_encoded(bench):
    path = bench.write("a.py")
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    path.unlink()
    bench.indexer.changed([path])
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.engine.texts == {}
    assert bench.states() == {}


async def test_written_while_it_is_encoded(bench):
    path = bench.write("a.py", "old\n")
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    path.write_text("new!\n")
    bench.indexer.changed([path])
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.engine.texts == {"a.py": "new!\n"}


async def test_gone_before_anybody_noticed(bench):
    """The scan saw it, but it cannot be read when its turn comes."""
    bench.write("a.py")
    path = bench.write("b.py")
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    path.unlink()
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory", "b.py": "unreadable"}
    bench.indexer.changed([path])
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory"}


async def test_a_file_over_which_the_engine_dies_comes_again(bench):
    bench.write("a.py")
    bench.write("b.py")
    bench.engine.errors["b.py"] = [EngineGone("killed")]
    bench.start()
    await bench.idle()
    assert bench.engine.asked == ["a.py", "b.py", "b.py"]
    assert bench.states() == {"a.py": "in_memory", "b.py": "in_memory"}


async def test_a_file_over_which_the_engine_always_dies_is_left_out(bench):
    bench.write("a.py")
    bench.write("b.py")
    bench.engine.errors["a.py"] = [EngineGone("killed"), EngineGone("killed")]
    bench.start()
    await bench.idle()
    assert bench.states() == {"a.py": "crashes_engine", "b.py": "in_memory"}


async def test_a_file_that_fails_is_left_out_until_it_changes(bench, caplog):
    path = bench.write("a.py")
    bench.write("b.py")
    bench.engine.errors["a.py"] = [EngineError("no")]
    with caplog.at_level(logging.CRITICAL, "lsp_server"):
        bench.start()
        await bench.idle()
    assert bench.states() == {"a.py": "failed", "b.py": "in_memory"}
    path.write_text("x = 22\n")
    bench.indexer.changed([path])
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory", "b.py": "in_memory"}


async def test_what_crashes_the_engine_or_fails_is_not_tried_by_a_scan(bench, caplog):
    path = bench.write("a.py")
    bench.write("b.py")
    bench.engine.errors["a.py"] = [EngineGone("killed"), EngineGone("killed")]
    bench.engine.errors["b.py"] = [EngineError("no")]
    with caplog.at_level(logging.CRITICAL, "lsp_server"):
        bench.start()
        await bench.idle()
    bench.engine.asked.clear()
    bench.indexer.rescan()
    await bench.idle()
    bench.indexer.changed([path])  # somebody says so, but size and time are the same
    await bench.idle()
    assert bench.states() == {"a.py": "crashes_engine", "b.py": "failed"}
    assert bench.engine.asked == []
    bench.indexer.reindex()  # the user wants it
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory", "b.py": "in_memory"}


async def test_after_a_crash_everything_is_remembered_again(bench):
    for name in "ab":
        bench.write(f"{name}.py")
    bench.write("binary.py", "\0")
    open_path = bench.write("c.py")
    bench.start()
    await bench.idle()
    bench.open[open_path] = "live"
    bench.engine.texts.clear()
    bench.engine.asked.clear()
    bench.indexer.refill()
    assert bench.indexer.busy
    assert bench.indexer.files.totals().tokens == 0
    await bench.idle()
    assert bench.engine.asked == ["c.py", "a.py", "b.py"]
    assert bench.engine.texts["c.py"] == "live"
    assert bench.states()["binary.py"] == "binary"


async def test_a_second_scan_asks_for_nothing_that_nobody_wrote(bench):
    bench.write("a.py")
    changed = bench.write("b.py")
    bench.start()
    await bench.idle()
    bench.engine.asked.clear()
    changed.write_text("x = 22\n")
    bench.indexer.rescan()
    await bench.idle()
    assert bench.engine.asked == ["b.py"]
    bench.indexer.reindex()
    await bench.idle()
    assert bench.engine.asked == ["b.py", "a.py", "b.py"]


async def test_the_budget(bench):
    a, _, c = (bench.write(f"{name}.py", "x" * 60) for name in "abc")
    bench.start(maxTokens=130)
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory", "b.py": "in_memory", "c.py": "budget"}
    a.unlink()
    bench.indexer.changed([a])
    await bench.idle()
    assert bench.states() == {"b.py": "in_memory", "c.py": "in_memory"}
    # A file that is in memory may change without being counted twice.
    c.write_text("y" * 60)
    bench.indexer.changed([c])
    await bench.idle()
    assert bench.engine.texts == {"b.py": "x" * 60, "c.py": "y" * 60}


async def test_a_full_budget_makes_room_for_what_is_opened_or_changed(bench):
    a, b, c, d = (bench.write(f"{name}.py", "x" * 60) for name in "abcd")
    bench.start(maxTokens=130)
    await bench.idle()
    # A change takes the place of a file that nobody touched, and keeps its own.
    b.write_text("y" * 66)
    bench.indexer.changed([b])
    await bench.idle()
    assert bench.engine.texts == {"a.py": "x" * 60, "b.py": "y" * 66}
    b.write_text("y" * 90)
    bench.indexer.changed([b])
    await bench.idle()
    assert bench.engine.texts == {"b.py": "y" * 90}
    assert bench.states()["a.py"] == "budget"
    # What was refused gets in once it is opened; what changed longest ago goes.
    bench.open[c] = "live" * 20
    bench.indexer.changed([c], Urgency.OPEN)
    await bench.idle()
    assert bench.engine.texts == {"c.py": "live" * 20}
    # What is open stays.
    for path in (d, a):
        bench.indexer.changed([path])
        await bench.idle()
    assert bench.engine.texts == {"c.py": "live" * 20, "a.py": "x" * 60}
    totals = bench.indexer.files.totals()
    assert (totals.in_memory, totals.left_out, totals.tokens) == (2, 2, 140)


async def test_a_large_file_does_not_overshoot_the_budget(bench):
    large = bench.write("a.py", "x = 1\n" * 100)
    bench.write("b.py", "x" * 60)
    bench.start(maxTokens=100)
    await bench.idle()
    assert bench.states() == {"a.py": "budget", "b.py": "in_memory"}
    bench.indexer.changed([large])  # nobody else would make room for it
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory", "b.py": "budget"}


async def test_room_is_offered_to_no_more_files_than_it_may_hold(bench):
    for number in range(10):
        path = bench.write(f"{number}.py", "x" * 60)
    first = bench.root / "0.py"
    bench.start(maxTokens=60)
    await bench.idle()
    assert bench.states()["0.py"] == "in_memory"
    bench.engine.ready = False
    first.unlink()
    bench.indexer.changed([first])
    await bench.until(lambda: bench.indexer.files.totals().waiting > 0)
    assert bench.indexer.files.totals().waiting == 3  # 20 tokens each, it is guessed
    assert path.exists()


async def test_what_cannot_be_forgotten_is_tried_again(bench, caplog, monkeypatch):
    a, b = bench.write("a.py"), bench.write("b.py")
    bench.start()
    await bench.idle()
    forget = bench.engine.forget

    async def fail(paths):
        raise EngineError("no")

    monkeypatch.setattr(bench.engine, "forget", fail)
    a.unlink()
    bench.indexer.changed([a])
    await bench.idle()
    assert "1 files could not be forgotten" in caplog.text
    monkeypatch.setattr(bench.engine, "forget", forget)
    bench.indexer.changed([b])
    await bench.idle()
    assert bench.engine.texts.keys() == {"b.py"}


async def test_what_is_remembered_again_is_not_forgotten_late(bench, monkeypatch):
    a = bench.write("a.py")
    bench.start()
    await bench.idle()
    forget = bench.engine.forget

    async def fail(paths):
        raise EngineError("no")

    monkeypatch.setattr(bench.engine, "forget", fail)
    a.unlink()
    bench.indexer.changed([a])
    await bench.idle()
    bench.write("a.py", "y = 1\n")
    bench.indexer.changed([a])
    await bench.idle()
    monkeypatch.setattr(bench.engine, "forget", forget)
    bench.indexer.rescan()
    await bench.idle()
    assert bench.engine.texts == {"a.py": "y = 1\n"}


async def test_odd_paths_do_not_lose_the_others(bench, caplog):
    bench.start()
    await bench.idle()
    too_long, impossible = bench.root / ("x" * 300 + ".py"), bench.root / "a\0.py"
    bench.indexer.changed([too_long, impossible, bench.write("b.py")])
    await bench.idle()
    assert bench.states()["b.py"] == "in_memory"
    assert "could not be looked at" in caplog.text


async def test_a_deleted_folder_and_files_that_nobody_knew(bench):
    folder = bench.write("sub/deep/a.py").parents[1]
    b = bench.write("b.py")
    bench.write("subway.py")
    bench.start()
    await bench.idle()
    shutil.rmtree(folder)
    b.unlink()
    bench.indexer.changed([folder, b, bench.root / "unknown.py"])
    await bench.idle()
    assert bench.engine.texts.keys() == {"subway.py"}


def test_many_paths_are_looked_for_in_one_pass(monkeypatch):
    """47 ms for each path, times some thousand, made the server look dead."""
    files, passes = TrackedFiles(), []
    for number in range(100):
        path = Path(f"/ws/{number % 10}/{number}.py")
        files.put(TrackedFile(path, path.name, FileState.IN_MEMORY))
    iterate = TrackedFiles.__iter__
    monkeypatch.setattr(TrackedFiles, "__iter__", lambda self: passes.append(1) or iterate(self))
    assert len(files.below([Path("/ws/3/3.py"), Path("/ws/4/4.py")])) == 2
    assert passes == []  # all of them are known
    unknown = [Path(f"/ws/{number}.js") for number in range(100)]
    assert len(files.below([*unknown, Path("/ws/3"), Path("/ws/4/4.py")])) == 11
    assert len(passes) <= 2


async def test_the_event_loop_has_its_turns_while_files_are_refused(bench):
    n_files, n_turns = 600, 0
    for number in range(n_files):
        bench.write(f"{number}.py", "x" * 60)
    bench.start(maxTokens=1)

    async def count():
        nonlocal n_turns
        while bench.indexer.files.totals().left_out < n_files:
            n_turns += bench.indexer.files.totals().left_out > 0
            await asyncio.sleep(0)

    await asyncio.wait_for(count(), DEADLINE_S)
    assert n_turns > n_files / 2


async def test_the_event_loop_has_its_turns_while_a_scan_is_considered(bench):
    for number in range(600):
        bench.write(f"{number}.py")
    bench.engine.ready = False
    bench.start()
    seen = set()

    async def watch():
        while len(seen) < 2 or max(seen) < 600:
            seen.add(bench.indexer.files.totals().waiting)
            await asyncio.sleep(0)

    await asyncio.wait_for(watch(), DEADLINE_S)
    assert len(seen) > 3


async def test_a_file_that_is_left_out_now_is_forgotten(bench):
    path = bench.write("a.py")
    bench.start()
    await bench.idle()
    path.write_bytes(b"x\0")
    bench.indexer.changed([path])
    await bench.idle()
    assert bench.engine.texts == {}
    assert bench.states() == {"a.py": "binary"}


async def test_names_tell_several_folders_apart(bench):
    one, two = bench.root / "one" / "app", bench.root / "two" / "app"
    other = bench.root / "other"
    for folder in (one, two, other):
        folder.mkdir(parents=True)
        (folder / "a.py").write_text("x = 1\n")
    bench.start(one)
    assert bench.indexer.name_of(one / "sub" / "a.py") == "sub/a.py"
    assert bench.indexer.name_of(other / "a.py") == (other / "a.py").as_posix()
    await bench.idle()
    bench.workspace.add(other)
    bench.indexer.rescan()
    await bench.idle()
    assert bench.engine.texts.keys() == {"app/a.py", "other/a.py"}
    bench.workspace.add(two)
    bench.indexer.rescan()
    await bench.idle()
    twins = {f"{one.as_posix()}/a.py", f"{two.as_posix()}/a.py"}
    assert bench.engine.texts.keys() == twins | {"other/a.py"}


async def test_stopping_gives_up_what_is_under_way(bench):
    bench.write("a.py")
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    await asyncio.wait_for(bench.indexer.stop(), DEADLINE_S)
    assert bench.states() == {"a.py": "waiting"}


async def test_a_path_outside_of_every_folder_is_nobodys_business(bench, tmp_path):
    (tmp_path / "ws").mkdir()
    outside = bench.write("a.py")
    bench.start(tmp_path / "ws")
    bench.indexer.changed([outside], Urgency.OPEN)
    await bench.idle()
    assert bench.states() == {}
