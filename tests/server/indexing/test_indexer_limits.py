"""The indexer: the budget, odd paths, thousands of files, several folders."""

import asyncio
import shutil
from pathlib import Path

from lsp_server.engine.client import EngineError
from lsp_server.engine.connection import EngineAway
from lsp_server.indexing.file_table import FileState, FileTable, TrackedFile, Urgency
from tests.deadline import DEADLINE_S


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


async def test_the_budget_in_bytes(bench):
    for name in "abc":
        bench.write(f"{name}.py", "x" * 60)
    bench.start(maxTokens=1_000, maxBytes=1_300)  # of ten bytes a token
    await bench.idle()
    assert sorted(bench.states().values()) == ["budget", "in_memory", "in_memory"]


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
    bench.open[c] = "live" * 30
    bench.indexer.changed([c], Urgency.OPEN)
    await bench.idle()
    assert bench.engine.texts == {"c.py": "live" * 30}
    # What is open stays.
    for path in (d, a):
        bench.indexer.changed([path])
        await bench.idle()
    assert bench.engine.texts == {"c.py": "live" * 30, "a.py": "x" * 60}
    totals = bench.indexer.files.totals()
    assert (totals.in_memory, totals.left_out, totals.tokens) == (2, 2, 180)


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
    assert "could not be scanned" in caplog.text


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
    files, passes = FileTable(), []
    for number in range(100):
        path = Path(f"/ws/{number % 10}/{number}.py")
        files.put(TrackedFile(path, path.name, FileState.IN_MEMORY))
    iterate = FileTable.__iter__
    monkeypatch.setattr(FileTable, "__iter__", lambda self: passes.append(1) or iterate(self))
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
        await bench.scanned.wait()
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
        await bench.scanned.wait()
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


async def test_a_memory_elsewhere_has_no_budget_here(bench):
    for name in "abc":
        bench.write(f"{name}.py", "x" * 60)
    bench.engine.is_limited = False
    bench.start(maxTokens=130)
    await bench.idle()
    assert set(bench.states().values()) == {"in_memory"}
    bench.engine.is_limited = True  # this machine's engine takes over
    bench.engine.texts.clear()
    bench.indexer.refill()
    await bench.idle()
    assert sorted(bench.states().values()) == ["budget", "in_memory", "in_memory"]
    bench.engine.is_limited = False
    bench.engine.texts.clear()
    bench.indexer.refill()
    await bench.idle()
    assert set(bench.states().values()) == {"in_memory"}


async def test_an_engine_that_cannot_be_reached_is_no_files_fault(bench):
    bench.write("a.py")
    bench.engine.errors["a.py"] = [EngineAway("no answer") for _ in range(9)]
    bench.start()
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory"}
