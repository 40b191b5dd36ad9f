"""A suggestion from a short prompt, and the reading of the whole behind it."""

import asyncio
from dataclasses import replace

import pytest

from lsp_server.settings.layers import resolve
from lsp_server.suggestions.request import build_request
from lsp_server.suggestions.suggester import Suggester
from tests.deadline import DEADLINE_S
from tests.server.suggestions.cursors import cursor as cursor_at
from tests.server.suggestions.slow_engine import SlowEngine

QUICK = {"trigger": {"debounceMs": 0}}
SETTINGS, _ = resolve([{**QUICK, "completion": {"shortFirst": "always"}}])


class ShortEngine(SlowEngine):
    """Answers at once whoever waits, from a short prompt; others once it may."""

    async def complete(self, request, tell):
        if request.is_ahead:
            return replace(await super().complete(request, tell), text="textual")
        self.prefixes.append(request.prefix)
        self.aheads.append(request.is_ahead)
        self.may_answer.set()
        result = await super().complete(request, tell)
        self.prefixes.pop()
        self.aheads.pop()
        self.may_answer.clear()
        self.asked.clear()
        return replace(result, is_short=request.short_after_ms == 0)


@pytest.fixture
def engine():
    return ShortEngine()


def cursor(text):
    return cursor_at(text, automatic=True)


async def test_the_whole_is_read_behind_it_and_answers_from_then_on(engine):
    suggester = Suggester()
    assert (await suggester.suggest(cursor("x = "), SETTINGS, engine)).text == "text"
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    assert (engine.prefixes, engine.aheads) == (["x = ", "x = "], [False, True])
    engine.may_answer.set()
    await asyncio.sleep(0.01)
    assert (await suggester.suggest(cursor("x = "), SETTINGS, engine)).text == "textual"
    assert engine.aheads == [False, True]


async def test_a_key_that_comes_before_ends_the_reading_until_it_is_answered(engine):
    suggester = Suggester()
    await suggester.suggest(cursor("x = "), SETTINGS, engine)
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    await suggester.suggest(cursor("x = y"), SETTINGS, engine)
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    assert engine.n_cancelled == 1
    assert engine.prefixes == ["x = ", "x = ", "x = y", "x = y"]
    assert engine.aheads == [False, True, False, True]


def test_it_is_asked_for_by_a_setting():
    for chosen, timeout_ms, typing, asking in (
        ("always", 6000, 0, 0),
        ("auto", 6000, 2000, 3000),
        ("auto", 1000, 500, 500),
        ("never", 6000, None, None),
    ):
        layer = {"completion": {"shortFirst": chosen, "timeoutMs": timeout_ms}}
        settings, _ = resolve([QUICK, layer])
        at = cursor("x = ")
        assert build_request(at, settings).short_after_ms == typing
        by_key = replace(at, is_automatic=False)
        assert build_request(by_key, settings).short_after_ms == asking
    assert resolve([])[0].completion.short_first == "auto"
