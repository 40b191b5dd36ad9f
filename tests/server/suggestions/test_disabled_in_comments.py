"""Suggestions that are disabled in comments: texts are read on a thread."""

import asyncio
import threading

import pytest

from lsp_server.settings.layers import resolve
from lsp_server.suggestions import cursor_context
from lsp_server.suggestions.suggester import Suggester
from tests.server.suggestions.cursors import cursor
from tests.server.suggestions.slow_engine import SlowEngine, until

SETTINGS, _ = resolve([{"trigger": {"debounceMs": 0}, "completion": {"disableInComments": True}}])


@pytest.fixture
def engine():
    engine = SlowEngine()
    engine.may_answer.set()
    return engine


async def test_a_comment_gets_none_and_code_does(engine):
    suggester = Suggester()
    in_comment = await suggester.suggest(cursor("x = 1  # so|"), SETTINGS, engine)
    assert in_comment.reason == "in_comment"
    assert (await suggester.suggest(cursor("x = '# no|"), SETTINGS, engine)).text == "text"


async def test_no_text_is_read_on_the_event_loop(engine, monkeypatch):
    threads = []

    def ends_in_comment(text, language):
        threads.append(threading.current_thread())
        return False

    monkeypatch.setattr(cursor_context, "ends_in_comment", ends_in_comment)
    for automatic in (True, False):
        place = cursor("x = |", automatic=automatic)
        assert (await Suggester().suggest(place, SETTINGS, engine)).text == "text"
    await until(lambda: engine.aheads.count(True) == 2)  # what would follow is asked for ahead
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_requests_go_on_in_the_order_in_which_they_came(engine, monkeypatch):
    first_may_end = threading.Event()

    def ends_in_comment(text, language):
        return text == "x" and not first_may_end.wait(30)

    monkeypatch.setattr(cursor_context, "ends_in_comment", ends_in_comment)
    engine.may_answer.clear()
    suggester = Suggester()
    requests = [
        asyncio.create_task(suggester.suggest(cursor(text, automatic=True), SETTINGS, engine))
        for text in ("x", "y")
    ]
    await asyncio.sleep(0.05)
    first_may_end.set()
    assert (await requests[0]).reason == "superseded"
    engine.may_answer.set()
    assert (await requests[1]).text == "text"


async def test_a_lexer_that_fails_finds_no_comment(engine, monkeypatch):
    def failing(text, lexer):
        raise IndexError

    monkeypatch.setattr("lsp_server.documents.lexing._tokenized", failing)
    place = cursor("x # y|", language="ruby")
    assert (await Suggester().suggest(place, SETTINGS, engine)).text == "text"
