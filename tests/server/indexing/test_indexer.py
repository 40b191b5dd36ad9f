"""The indexer: what is remembered, in which order, and what a crash leaves."""

import logging

from lsp_server.engine.client import EngineError, EngineGone


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
    assert bench.engine.asked == ["a.py", "b.py", "b.py", "a.py"]
    assert bench.engine.texts.keys() == {"a.py", "b.py"}
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


async def test_on_battery_only_open_and_changed_files_are_remembered(bench):
    paths = [bench.write(f"{name}.py") for name in "abc"]
    bench.open[paths[0]] = "opened = 1\n"
    bench.start()
    bench.indexer.spare_battery(True)
    await bench.until(lambda: bench.indexer.waits_for_power)
    assert list(bench.engine.texts) == ["a.py"]
    assert bench.indexer.busy
    bench.write("b.py", "changed = 1\n")
    bench.indexer.changed([paths[1]])
    await bench.until(lambda: "b.py" in bench.engine.texts and bench.indexer.waits_for_power)
    assert "c.py" not in bench.engine.texts
    bench.indexer.resume()  # the user has it go on all the same
    await bench.idle()
    assert len(bench.engine.texts) == 3
    assert not bench.indexer.waits_for_power


async def test_an_indexer_that_gave_up_does_not_wait_for_power(bench):
    bench.write("a.py")
    bench.engine.ready = False
    bench.start()
    await bench.until(lambda: bench.indexer.files.totals().waiting == 1)
    bench.indexer.give_up()
    bench.engine.ready = True
    assert not bench.indexer.waits_for_power
