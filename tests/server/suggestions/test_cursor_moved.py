"""What the engine reads ahead where a cursor rests."""

import asyncio

from lsp_server.engine.client import EngineState
from lsp_server.settings.layers import resolve
from tests.deadline import DEADLINE_S
from tests.server.suggestions.cursors import cursor as cursor_at

SETTINGS, _ = resolve([{"trigger": {"debounceMs": 0}}])


def cursor(text, **options):
    return cursor_at(text, automatic=True, **options)


async def asked(engine):
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)


async def test_the_text_where_a_cursor_rests_is_read_ahead(suggester, engine):
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    await asked(engine)
    assert (engine.prefixes, engine.aheads) == (["x = "], [True])
    assert suggester.explain(None) is None  # nobody was shown a suggestion


async def test_only_the_place_where_it_comes_to_rest(suggester, engine):
    for text in ("x", "x =", "x = "):
        suggester.cursor_moved(cursor(text), SETTINGS, engine)
    await asked(engine)
    assert engine.prefixes == ["x = "]


async def test_the_key_that_follows_has_the_answer(suggester, engine):
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    engine.may_answer.set()
    await asked(engine)
    await asyncio.sleep(0.01)
    suggestion = await suggester.suggest(cursor("x = t"), SETTINGS, engine)
    assert suggestion.text == "ext"
    assert engine.prefixes == ["x = "]


async def test_a_key_elsewhere_ends_the_reading(suggester, engine):
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    await asked(engine)
    engine.asked.clear()
    task = asyncio.create_task(suggester.suggest(cursor("y = "), SETTINGS, engine))
    await asked(engine)
    assert (engine.prefixes, engine.n_cancelled) == (["x = ", "y = "], 1)
    engine.may_answer.set()
    assert (await task).text == "text"


async def test_a_place_that_is_being_read_is_not_read_again(suggester, engine):
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    await asked(engine)
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    assert engine.n_cancelled == 0
    engine.may_answer.set()
    await asyncio.sleep(0.01)
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    suggestion = await suggester.suggest(cursor("x = "), SETTINGS, engine)
    assert (suggestion.text, engine.prefixes) == ("text", ["x = "])


async def test_a_suggestion_that_somebody_waits_for_is_not_disturbed(suggester, engine):
    task = asyncio.create_task(suggester.suggest(cursor("y = "), SETTINGS, engine))
    await asked(engine)
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    engine.may_answer.set()
    assert ((await task).text, engine.prefixes[:1], engine.n_cancelled) == ("text", ["y = "], 0)


async def test_nothing_is_read_where_nothing_would_be_suggested(suggester, engine):
    none, _ = resolve([{"completion": {"ahead": False}}])
    off, _ = resolve([{"enableLanguages": {"python": False}}])
    suggester.cursor_moved(cursor("x = "), none, engine)
    suggester.cursor_moved(cursor("x = "), off, engine)
    suggester.cursor_moved(cursor("x = ", path=".env"), SETTINGS, engine)
    suggester.cursor_moved(cursor("x = "), SETTINGS, None)
    engine.state = EngineState.LOADING
    suggester.cursor_moved(cursor("x = "), SETTINGS, engine)
    engine.state = EngineState.READY
    suggester.cursor_moved(cursor("z = "), SETTINGS, engine)
    await asked(engine)
    assert engine.prefixes == ["z = "]
