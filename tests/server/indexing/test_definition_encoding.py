"""Definitions encoded in advance: when it begins, what it tells, and how it ends."""

import asyncio

import pytest

from longllama_code.protocol import EncodedDefinitions
from lsp_server.engine.connection import EngineGone
from lsp_server.indexing.definition_encoding import DefinitionEncoding


class Steps:
    """An engine with so many files to encode; `allowed` tells whether it may be asked."""

    def __init__(self, *steps: EncodedDefinitions | Exception) -> None:
        self.steps = list(steps)
        self.n_asked = self.n_told = 0
        self.allowed = True
        self.encoding = DefinitionEncoding(lambda: self if self.allowed else None, self.tell)

    def tell(self) -> None:
        self.n_told += 1

    async def encode_definitions(self) -> EncodedDefinitions:
        self.n_asked += 1
        await asyncio.sleep(0)
        step = self.steps.pop(0) if self.steps else EncodedDefinitions()
        if isinstance(step, Exception):
            raise step
        return step

    async def settle(self) -> None:
        while self.encoding._task is not None and not self.encoding._task.done():
            await asyncio.sleep(0)


@pytest.mark.parametrize(("n_encoded", "n_told"), [(3, 1), (0, 0)])
async def test_it_goes_on_until_nothing_is_left_and_tells_of_what_was_lacking(n_encoded, n_told):
    engine = Steps(EncodedDefinitions(n_encoded, 3), EncodedDefinitions(5, 2))
    engine.encoding.start()
    await engine.settle()
    assert (engine.n_asked, engine.n_told) == (3, n_told)


async def test_nothing_is_asked_while_nothing_may_be_encoded():
    engine = Steps(EncodedDefinitions(1, 1))
    engine.allowed = False
    engine.encoding.start()
    await engine.settle()
    assert engine.n_asked == 0
    engine.allowed = True
    engine.encoding.start()
    await engine.settle()
    assert (engine.n_asked, engine.n_told) == (2, 1)


async def test_a_pause_ends_it_and_a_new_start_goes_on():
    engine = Steps(*(EncodedDefinitions(1, 9 - n) for n in range(9)))
    engine.encoding.start()
    while engine.n_asked < 3:
        await asyncio.sleep(0)
    engine.allowed = False
    await engine.settle()
    assert engine.n_asked == 3
    engine.allowed = True
    engine.encoding.start()
    await engine.settle()
    assert engine.n_asked == 10


async def test_starts_while_it_runs_are_one_run():
    engine = Steps(*(EncodedDefinitions(1, 3 - n) for n in range(3)))
    for _ in range(4):
        engine.encoding.start()
        await asyncio.sleep(0)
    await engine.settle()
    assert not engine.steps
    assert engine.n_asked <= 3 + 4


async def test_an_engine_that_dies_ends_it_until_the_next_start():
    engine = Steps(EncodedDefinitions(1, 1), EngineGone("gone"), EncodedDefinitions(1, 1))
    engine.encoding.start()
    await engine.settle()
    assert engine.n_asked == 2
    engine.encoding.start()
    await engine.settle()
    assert not engine.steps


async def test_stopping_leaves_no_task():
    engine = Steps(*(EncodedDefinitions(1, 9) for _ in range(1000)))
    engine.encoding.start()
    await asyncio.sleep(0)
    await engine.encoding.stop()
    n_asked = engine.n_asked
    await asyncio.sleep(0.01)
    assert engine.n_asked == n_asked
