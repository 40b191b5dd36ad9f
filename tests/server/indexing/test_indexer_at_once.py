"""The indexer asks for several files at once while the store has them, and for one otherwise."""

import asyncio
from collections import Counter

import pytest

from lsp_server.engine.client import EngineGone
from lsp_server.indexing.file_table import Urgency
from lsp_server.indexing.indexer import MAX_CONCURRENT

NAMES = [f"{number:02}.py" for number in range(3 * MAX_CONCURRENT)]


@pytest.mark.parametrize("is_warm", [True, False])
async def test_what_the_store_has_is_asked_for_together(bench, is_warm):
    for name in NAMES:
        bench.write(name)
    bench.engine.is_warm, bench.engine.takes_s = is_warm, 0.05
    bench.start()
    await bench.idle()
    assert sorted(bench.engine.asked) == NAMES  # texts are read beside each other
    assert bench.engine.n_asked_at_once == (MAX_CONCURRENT if is_warm else 1)


async def test_after_a_file_that_was_not_there_one_by_one(bench):
    for name in NAMES:
        bench.write(name)
    bench.engine.is_warm = True
    bench.engine.may_answer.clear()
    bench.start()
    await bench.asked(1)
    bench.engine.is_warm = False
    bench.engine.may_answer.set()
    await bench.idle()
    assert bench.engine.n_asked_at_once == 1


async def test_what_changes_waits_for_no_more_than_was_asked_for(bench):
    for name in NAMES:
        bench.write(name)
    bench.engine.is_warm = True
    bench.start()
    await bench.idle()
    bench.engine.asked.clear()
    bench.engine.may_answer.clear()
    bench.indexer.refill()
    await bench.asked(MAX_CONCURRENT)
    changed = bench.write("99.py", "new = 1\n")
    bench.indexer.changed([changed], Urgency.CHANGED)
    bench.engine.may_answer.set()
    await bench.idle()
    assert (
        MAX_CONCURRENT <= bench.engine.asked.index("99.py") < 2 * MAX_CONCURRENT
    )  # among the next ones


@pytest.mark.parametrize("culprit", [NAMES[1], NAMES[3], NAMES[-1]])
async def test_of_several_files_the_one_over_which_the_engine_dies_is_found(bench, culprit):
    """All that were in flight are suspect, are asked for alone, and all but one are right."""
    for name in NAMES:
        bench.write(name)
    deaths = Counter[str]()
    remember, dead = bench.engine.remember, asyncio.Event()

    def live_again():
        if dead.is_set():  # of several that noticed the death, the first
            dead.clear()
            bench.restart()

    async def die_over_one(path, text, folder):
        if path == culprit:
            deaths[path] += 1
            dead.set()
        answer = asyncio.create_task(remember(path, text, folder))
        death = asyncio.create_task(dead.wait())
        await asyncio.wait([answer, death], return_when=asyncio.FIRST_COMPLETED)
        if dead.is_set():
            answer.cancel()
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(live_again)
            raise EngineGone("killed")
        return answer.result()

    bench.engine.remember = die_over_one
    bench.engine.is_warm = True
    bench.start()
    await bench.idle()
    states = bench.states()
    assert states.pop(culprit) == "crashes_engine"
    assert set(states.values()) == {"in_memory"}
    assert deaths[culprit] == 2


async def test_what_is_asked_for_together_fits_together(bench):
    for name in NAMES:
        bench.write(name, "x" * 60)
    bench.engine.is_warm = True
    bench.start(maxTokens=90)  # guessed to have 20 tokens each, they turn out to have 60
    await bench.idle()
    assert sorted(bench.states().values()).count("in_memory") == 2
