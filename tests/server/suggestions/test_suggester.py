"""Requests that run: the newest wins, and what is turned off ends with its reason at once."""

import asyncio

import pytest

from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.settings.layers import resolve
from lsp_server.suggestions.suggestion import MAX_EXPLAINED
from tests.deadline import DEADLINE_S
from tests.server.suggestions.cursors import cursor as cursor_at
from tests.server.suggestions.slow_engine import until

SETTINGS, _ = resolve([{"trigger": {"debounceMs": 0}}])


def cursor(before="x = ", *, automatic=True, **options):
    return cursor_at(before, automatic=automatic, **options)


async def begin(suggester, engine, before="x = ", **options):
    """A request that the engine works on."""
    engine.asked.clear()
    place = cursor(before, **options)
    task = asyncio.create_task(suggester.suggest(place, SETTINGS, engine))
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    return task


async def test_a_newer_request_supersedes_an_automatic_one_alone(suggester, engine):
    typed = await begin(suggester, engine)
    asked_for = await begin(suggester, engine, automatic=False)
    newest = await begin(suggester, engine, "y = ")
    assert (await typed).reason == "superseded"
    engine.may_answer.set()
    assert [(await task).text for task in (asked_for, newest)] == ["text", "text"]
    assert engine.n_cancelled == 1


async def test_ending_what_runs(suggester, engine):
    python = await begin(suggester, engine, automatic=False)
    go = await begin(suggester, engine, automatic=False, language="go")
    suggester.end_requests("language_disabled", lambda cursor: cursor.language == "go")
    ended = await go
    assert (ended.text, ended.reason) == ("", "language_disabled")
    suggester.end_requests("disabled")
    suggester.end_requests("too late")
    assert (await python).reason == suggester.last_reason == "disabled"
    assert engine.n_cancelled == 2


async def test_a_cancelled_request_is_cancelled_in_the_engine(suggester, engine):
    task = await begin(suggester, engine)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert engine.n_cancelled == 1


async def test_a_request_that_follows_a_cancelled_one_at_once_is_asked_anew(suggester, engine):
    cancelled = await begin(suggester, engine)
    cancelled.cancel()  # as one message, and the next request as another, of one read
    again = asyncio.create_task(suggester.suggest(cursor(), SETTINGS, engine))
    engine.may_answer.set()
    assert (await again).text == "text"
    assert cancelled.cancelled()
    assert engine.prefixes == ["x = ", "x = "]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(EngineGone("died"), "engine_restarting"), (EngineError("no"), "engine_error")],
)
async def test_failures_have_reasons(suggester, engine, error, reason):
    engine.error = error
    engine.may_answer.set()
    suggestion = await suggester.suggest(cursor(), SETTINGS, engine)
    assert suggestion.reason == suggester.last_reason == reason


async def test_an_engine_that_is_not_there(suggester, engine):
    assert (await suggester.suggest(cursor(), SETTINGS, None)).reason == "engine_stopped"
    engine.state = EngineState.LOADING
    assert (await suggester.suggest(cursor(), SETTINGS, engine)).reason == "engine_loading"


async def test_secret_and_disabled_files_reach_no_engine(suggester, engine):
    settings, problems = resolve([{"disabledGlobs": ["gen/", "*.sql"]}])
    assert problems == []
    for name, reason in [
        ("config/.env", "secret_file"),
        ("gen/a.py", "glob_disabled"),
        ("a.sql", "glob_disabled"),
    ]:
        assert (await suggester.suggest(cursor(path=name), settings, engine)).reason == reason
    assert not engine.asked.is_set()


async def test_explaining(suggester, engine):
    assert suggester.explain(None) is None
    engine.may_answer.set()
    first = await suggester.suggest(cursor(), SETTINGS, engine)
    empty = await suggester.suggest(cursor(), SETTINGS, None)
    assert suggester.explain(None)["reason"] == "engine_stopped"
    assert suggester.explain(empty.id)["timings"] is None
    explained = suggester.explain(first.id)
    assert (explained["reason"], explained["stopReason"]) == (None, "line")
    for _ in range(MAX_EXPLAINED):
        await suggester.suggest(cursor(), SETTINGS, None)
    assert suggester.explain(first.id) is None


async def suggest(suggester, engine, before, **options):
    """A finished request."""
    engine.may_answer.set()
    place = cursor(before, **options)
    return await asyncio.wait_for(suggester.suggest(place, SETTINGS, engine), DEADLINE_S)


async def test_typing_through_a_suggestion_asks_nothing_again(suggester, engine):
    first = await suggest(suggester, engine, "x = ")
    engine.may_answer.clear()
    for typed, left in [("t", "ext"), ("te", "xt"), ("tex", "t")]:
        typed_through = await asyncio.wait_for(
            suggester.suggest(cursor("x = " + typed), SETTINGS, engine), DEADLINE_S
        )
        assert typed_through.text == left
        assert suggester.explain(typed_through.id)["stopReason"] == "line"
    assert (first.text, engine.prefixes) == ("text", ["x = "])


@pytest.mark.parametrize("before", ["x = u", "y = t", "x =", "x = "])
async def test_anything_else_is_asked_for(suggester, engine, before):
    await suggest(suggester, engine, "x = ")
    await suggest(suggester, engine, before)
    assert engine.prefixes == ["x = ", before]


async def test_who_asks_explicitly_gets_a_new_answer(suggester, engine):
    await suggest(suggester, engine, "x = ")
    await suggest(suggester, engine, "x = t", automatic=False)
    assert engine.prefixes == ["x = ", "x = t"]


@pytest.fixture
def joining_takes_long(monkeypatch):
    """Has a running answer waited for longer than tests wait: what comes sooner did not need it."""
    monkeypatch.setattr("lsp_server.suggestions.suggester.JOIN_S", 2 * DEADLINE_S)


@pytest.mark.usefixtures("joining_takes_long")
async def test_a_running_request_serves_what_is_typed_meanwhile(suggester, engine):
    first = await begin(suggester, engine, "x = ")
    then = asyncio.create_task(suggester.suggest(cursor("x = te"), SETTINGS, engine))
    assert (await first).reason == "superseded"
    engine.may_answer.set()
    assert (await then).text == "xt"
    assert (engine.prefixes, engine.n_cancelled) == (["x = "], 0)


async def test_a_running_request_that_says_otherwise_is_followed_by_a_new_one(suggester, engine):
    await begin(suggester, engine, "x = ")
    then = asyncio.create_task(suggester.suggest(cursor("x = no"), SETTINGS, engine))
    await asyncio.sleep(0)
    engine.may_answer.set()
    assert (await then).text == "text"
    assert engine.prefixes == ["x = ", "x = no"]


@pytest.mark.usefixtures("joining_takes_long")
async def test_an_answer_that_contradicts_what_is_typed_ends_at_once(suggester, engine):
    """It was begun, and says something else: nothing is gained by waiting for its end."""
    await begin(suggester, engine, "x = ")
    engine.tell("te")
    engine.asked.clear()
    then = asyncio.create_task(suggester.suggest(cursor("x = no"), SETTINGS, engine))
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    assert (engine.prefixes, engine.n_cancelled) == (["x = ", "x = no"], 1)
    engine.may_answer.set()
    assert (await then).text == "text"


async def test_an_answer_is_waited_for_once_it_is_seen_to_begin_as_typed(
    suggester, engine, monkeypatch
):
    monkeypatch.setattr("lsp_server.suggestions.suggester.JOIN_S", 0.05)
    await begin(suggester, engine, "x = ")
    then = asyncio.create_task(suggester.suggest(cursor("x = te"), SETTINGS, engine))
    await asyncio.sleep(0)
    engine.tell("t")
    engine.tell("tex")
    await asyncio.sleep(0.2)
    assert (engine.prefixes, engine.n_cancelled) == (["x = "], 0)
    engine.may_answer.set()
    assert (await then).text == "xt"


async def test_an_answer_of_which_nothing_is_seen_is_not_waited_for_long(
    suggester, engine, monkeypatch
):
    monkeypatch.setattr("lsp_server.suggestions.suggester.JOIN_S", 0.02)
    await begin(suggester, engine, "x = ")
    engine.tell("t")
    engine.asked.clear()
    then = asyncio.create_task(suggester.suggest(cursor("x = te"), SETTINGS, engine))
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    engine.may_answer.set()
    assert (await then).text == "text"


async def withdraw(suggester, engine, *, typed_on):
    """A request that its client withdrew while the engine worked on it."""
    task = asyncio.create_task(
        suggester.suggest(cursor("x = "), SETTINGS, engine, lambda: typed_on)
    )
    await engine.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)


@pytest.mark.parametrize("typed_on", [True, False])
async def test_a_withdrawn_request_goes_on_where_the_user_typed_on(
    suggester, engine, monkeypatch, typed_on
):
    monkeypatch.setattr("lsp_server.suggestions.pending_answer.GRACE_S", DEADLINE_S)
    await withdraw(suggester, engine, typed_on=typed_on)
    assert engine.n_cancelled == (not typed_on)
    engine.may_answer.set()


async def test_a_withdrawn_request_ends_in_a_moment_if_nobody_comes_for_the_rest(
    suggester, engine, monkeypatch
):
    monkeypatch.setattr("lsp_server.suggestions.pending_answer.GRACE_S", 0.02)
    await withdraw(suggester, engine, typed_on=True)
    await until(lambda: engine.n_cancelled == 1)


async def test_what_follows_a_suggestion_is_prepared_while_it_is_shown(
    suggester, engine, monkeypatch
):
    monkeypatch.setattr("lsp_server.suggestions.suggester.AHEAD_AFTER_S", 0)
    await suggest(suggester, engine, "x = ")
    await until(lambda: len(engine.prefixes) == 2)
    await asyncio.sleep(0)
    assert (await suggest(suggester, engine, "x = text")).text == "text"
    assert engine.prefixes[:2] == ["x = ", "x = text"]
    assert engine.prefixes.count("x = text") == 1


async def test_nothing_is_prepared_where_that_is_off(suggester, engine, monkeypatch):
    monkeypatch.setattr("lsp_server.suggestions.suggester.AHEAD_AFTER_S", 0)
    settings, _ = resolve([{"trigger": {"debounceMs": 0}, "completion": {"ahead": False}}])
    engine.may_answer.set()
    await suggester.suggest(cursor("x = "), settings, engine)
    await asyncio.sleep(0.05)
    assert engine.prefixes == ["x = "]


async def test_turning_off_ends_what_nobody_waits_for(suggester, engine, monkeypatch):
    monkeypatch.setattr("lsp_server.suggestions.suggester.AHEAD_AFTER_S", 0.02)
    await suggest(suggester, engine, "x = ")
    engine.may_answer.clear()
    await until(lambda: len(engine.prefixes) == 2)
    suggester.end_requests("disabled")
    await until(lambda: engine.n_cancelled == 1)


async def test_the_text_is_read_again_after_memory_has_changed(suggester, engine, monkeypatch):
    monkeypatch.setattr("lsp_server.suggestions.suggester.AHEAD_AFTER_S", 0)
    suggester.memory_changed()  # nothing was asked yet
    await suggest(suggester, engine, "x = ", automatic=False)
    suggester.memory_changed()  # nobody types
    settings, _ = resolve([{"trigger": {"debounceMs": 0}, "completion": {"ahead": False}}])
    await suggester.suggest(cursor("x = "), settings, engine)
    suggester.memory_changed()
    await asyncio.sleep(0.01)
    assert engine.prefixes.count("x = ") == 2
    await suggest(suggester, engine, "y = ")
    suggester.memory_changed()
    await until(lambda: engine.prefixes.count("y = ") == 2)
    await asyncio.sleep(0)
    assert (await suggest(suggester, engine, "y = ")).is_cached
    assert (await suggest(suggester, engine, "y = te")).text == "xt"
    assert engine.prefixes.count("y = ") == 2


async def test_an_answer_that_takes_long_is_not_waited_for(suggester, engine):
    await begin(suggester, engine, "x = ")
    engine.asked.clear()
    then = asyncio.create_task(suggester.suggest(cursor("x = t"), SETTINGS, engine))
    await asyncio.wait_for(engine.asked.wait(), DEADLINE_S)
    assert engine.prefixes == ["x = ", "x = t"]
    assert engine.n_cancelled == 1
    engine.may_answer.set()
    assert (await then).text == "text"


async def test_what_nobody_waits_for_has_time_to_read_other_definitions(
    suggester, engine, monkeypatch
):
    monkeypatch.setattr("lsp_server.suggestions.suggester.AHEAD_AFTER_S", 0.0)
    engine.may_answer.set()
    await suggest(suggester, engine, "x = ")
    await until(lambda: len(engine.aheads) == 2)
    assert engine.aheads == [False, True]
