"""Requests that run: the newest wins, and what is turned off ends with its reason at once."""

import asyncio

import pytest

from longllama_code.protocol import CompletionResult, Timings
from lsp_server.completion import Cursor
from lsp_server.documents import Snapshot
from lsp_server.engine_client import EngineError, EngineGone, EngineState
from lsp_server.settings import resolve
from lsp_server.suggester import MAX_EXPLAINED, Suggester

SETTINGS, _ = resolve([{"trigger": {"debounceMs": 0}}])


class SlowEngine:
    """Answers once it may; notes what was asked and what was cancelled."""

    def __init__(self):
        self.state = EngineState.READY
        self.may_answer = asyncio.Event()
        self.asked = asyncio.Event()
        self.n_cancelled = 0
        self.error = None

    async def complete(self, request):
        self.asked.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return CompletionResult("text", "line", Timings())


def cursor(*, automatic=True, language="python"):
    return Cursor(Snapshot("untitled:a", language, 1, "x = "), 4, automatic)


@pytest.fixture
def engine():
    return SlowEngine()


@pytest.fixture
def suggester():
    return Suggester()


async def begin(suggester, engine, **options):
    """A request that the engine works on."""
    engine.asked.clear()
    task = asyncio.create_task(suggester.suggest(cursor(**options), "a.py", SETTINGS, engine))
    await asyncio.wait_for(engine.asked.wait(), 5)
    return task


async def test_a_newer_request_supersedes_an_automatic_one_alone(suggester, engine):
    typed = await begin(suggester, engine)
    asked_for = await begin(suggester, engine, automatic=False)
    newest = await begin(suggester, engine)
    assert (await typed).reason == "superseded"
    engine.may_answer.set()
    assert [(await task).text for task in (asked_for, newest)] == ["text", "text"]
    assert engine.n_cancelled == 1


async def test_ending_what_runs(suggester, engine):
    python = await begin(suggester, engine, automatic=False)
    go = await begin(suggester, engine, automatic=False, language="go")
    suggester.end_running("language_disabled", lambda cursor: cursor.snapshot.language == "go")
    ended = await go
    assert (ended.text, ended.reason) == ("", "language_disabled")
    suggester.end_running("disabled")
    suggester.end_running("too late")
    assert (await python).reason == suggester.last_reason == "disabled"
    assert engine.n_cancelled == 2


async def test_a_cancelled_request_is_cancelled_in_the_engine(suggester, engine):
    task = await begin(suggester, engine)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert engine.n_cancelled == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(EngineGone("died"), "engine_restarting"), (EngineError("no"), "engine_error")],
)
async def test_failures_have_reasons(suggester, engine, error, reason):
    engine.error = error
    engine.may_answer.set()
    suggestion = await suggester.suggest(cursor(), "a.py", SETTINGS, engine)
    assert suggestion.reason == suggester.last_reason == reason


async def test_an_engine_that_is_not_there(suggester, engine):
    assert (await suggester.suggest(cursor(), "a", SETTINGS, None)).reason == "engine_stopped"
    engine.state = EngineState.LOADING
    assert (await suggester.suggest(cursor(), "a", SETTINGS, engine)).reason == "engine_loading"


async def test_secret_and_disabled_files_reach_no_engine(suggester, engine):
    settings, problems = resolve([{"disabledGlobs": ["gen/", "*.sql"]}])
    assert problems == []
    for name, reason in [
        ("config/.env", "secret_file"),
        ("gen/a.py", "glob_disabled"),
        ("a.sql", "glob_disabled"),
    ]:
        assert (await suggester.suggest(cursor(), name, settings, engine)).reason == reason
    assert not engine.asked.is_set()


async def test_explaining(suggester, engine):
    assert suggester.explain(None) is None
    engine.may_answer.set()
    first = await suggester.suggest(cursor(), "a.py", SETTINGS, engine)
    empty = await suggester.suggest(cursor(), "a.py", SETTINGS, None)
    assert suggester.explain(None)["reason"] == "engine_stopped"
    assert suggester.explain(empty.id)["timings"] is None
    explained = suggester.explain(first.id)
    assert (explained["reason"], explained["stopReason"]) == (None, "line")
    for _ in range(MAX_EXPLAINED):
        await suggester.suggest(cursor(), "a.py", SETTINGS, None)
    assert suggester.explain(first.id) is None
