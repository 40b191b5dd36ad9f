"""The engine ends, and that is noticed some time later: until then it counts as ready."""

import asyncio

import pytest

from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.definition_pass import BATCH_FILES

MANY = [f"{number:02}.py" for number in range(3 * BATCH_FILES)]


def end_unnoticed(bench):
    """Every request fails from now on, as the engine has ended, and nobody starts it again yet."""
    bench.engine.on_end = lambda: None
    for what in ("define", "forget", *(path.name for path in bench.root.iterdir())):
        bench.engine.errors[what] = [EngineGone("killed") for _ in range(9)]


def restart(bench):
    bench.engine.errors.clear()
    bench.restart()


async def asked_anything(bench):
    """Whether there was another request while there was time for many."""
    n_before = len(bench.engine.events)
    await asyncio.sleep(0.05)
    return len(bench.engine.events) > n_before


async def failed(bench):
    """Wait for the first request, which fails."""
    await bench.until(lambda: bench.engine.events)


async def delete(bench, path):
    path.unlink()
    bench.indexer.changed([path])
    await bench.until(lambda: path.name not in bench.states())


async def test_no_file_is_left_out_for_it(bench):
    names = ["a.py", "b.py", "c.py"]
    for name in names:
        bench.write(name)
    end_unnoticed(bench)
    bench.start()
    await failed(bench)
    assert not await asked_anything(bench)
    assert bench.states() == dict.fromkeys(names, "waiting")
    assert bench.engine.asked == ["a.py"]
    restart(bench)
    await bench.idle()
    assert bench.states() == dict.fromkeys(names, "in_memory")


async def test_work_is_taken_up_when_the_engine_is_ready_again(bench):
    bench.write("a.py")
    end_unnoticed(bench)
    bench.start()
    await failed(bench)
    added = bench.write("b.py")
    bench.indexer.changed([added])
    await bench.until(lambda: bench.states() == {"a.py": "waiting", "b.py": "waiting"})
    assert not await asked_anything(bench)  # though what changes on the disk is looked at
    assert bench.indexer.busy
    assert not bench.indexer.waits_for_power
    restart(bench)
    await bench.idle()
    assert bench.engine.texts.keys() == {"a.py", "b.py"}


async def test_on_battery_it_is_not_power_that_is_waited_for(bench):
    bench.open[bench.write("a.py")] = "live"
    bench.write("b.py")
    end_unnoticed(bench)
    bench.start()
    bench.indexer.spare_battery(True)
    await failed(bench)
    assert not await asked_anything(bench)
    assert not bench.indexer.waits_for_power
    restart(bench)
    await bench.until(lambda: bench.indexer.waits_for_power)


async def test_definitions_of_one_batch_are_suspect(bench):
    for name in MANY:
        bench.write(name)
    end_unnoticed(bench)
    bench.start()
    await failed(bench)
    assert not await asked_anything(bench)
    assert bench.indexer.busy
    restart(bench)
    await bench.idle()
    kinds = [kind for kind, _ in bench.engine.events]
    assert kinds == ["define"] * 3 + ["remember"] * len(MANY)
    assert bench.engine.texts.keys() == set(MANY)


async def test_what_could_not_be_forgotten_is_gone(bench):
    first, second = bench.write("a.py"), bench.write("b.py")
    bench.start()
    await bench.idle()
    end_unnoticed(bench)
    bench.engine.events.clear()
    await delete(bench, first)
    await failed(bench)
    await delete(bench, second)
    assert not await asked_anything(bench)
    assert bench.engine.events == [("forget", ("a.py",))]
    restart(bench)
    await bench.idle()
    assert bench.engine.texts == {}


async def test_the_end_of_a_former_engine_stops_nothing(bench):
    """A cluster takes over while this machine's engine is at work."""
    bench.write("a.py")
    bench.write("b.py")
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    bench.restart()
    bench.engine.on_end = lambda: None
    bench.engine.errors["a.py"] = [EngineGone("it was stopped")]
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory", "b.py": "in_memory"}


@pytest.mark.parametrize("what", ["a.py", "forget"])
async def test_one_that_is_away_comes_back_by_itself(bench, what):
    gone = bench.write("gone.py")
    bench.start()
    await bench.idle()
    bench.engine.on_end = lambda: pytest.fail("it has not ended")
    bench.engine.errors[what] = [EngineAway("no answer")]
    bench.write("a.py")
    gone.unlink()
    bench.indexer.rescan()
    await bench.idle()
    assert bench.states() == {"a.py": "in_memory"}


async def test_one_that_was_away_forgets_with_the_next_scan(bench):
    gone = bench.write("gone.py")
    bench.start()
    await bench.idle()
    bench.engine.on_end = lambda: pytest.fail("it has not ended")
    bench.engine.errors["forget"] = [EngineAway("no answer")]
    gone.unlink()
    for _ in range(2):
        bench.indexer.rescan()
        await bench.idle()
    assert bench.engine.texts == {}
