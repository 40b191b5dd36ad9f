"""Requests that nobody wants any more, and many at once. Every one is answered, and once."""

import asyncio
import logging
import os
import signal
import sys

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.e2e.editor import editing, scripted, soon, tiny

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX"),
    pytest.mark.asyncio(loop_scope="module"),
]

CANCELLED = -32800

LONG = {"maxTokens": 2000, "timeoutMs": 600_000, "candidates": 1}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def editor(tmp_path_factory):
    """An editor on an empty folder, whose suggestions may be long and whose engine may hang."""
    folder = tmp_path_factory.mktemp("cancellation")
    (folder / "ws").mkdir()
    settings = {**tiny(folder), "completion": LONG}
    async with editing(folder, folder / "ws", settings=settings) as editor:
        editor.engine = (await editor.indexed())["engine_pid"]
        yield editor


def ask(editor, uri, line, character, request_id):
    """A request whose id we know, for the cancel."""
    params = types.InlineCompletionParams(
        context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
        text_document=types.TextDocumentIdentifier(uri),
        position=types.Position(line, character),
    )
    method = types.TEXT_DOCUMENT_INLINE_COMPLETION
    return asyncio.wrap_future(editor.protocol.send_request(method, params, msg_id=request_id))


def cancel(editor, request_id):
    editor.protocol.notify(types.CANCEL_REQUEST, types.CancelParams(request_id))


async def test_a_cancelled_request_is_answered_though_the_engine_hangs(editor):
    uri = editor.open("untitled:a", "x = ")
    expected = await editor.suggestion(uri, 0, 4)
    os.kill(editor.engine, signal.SIGSTOP)
    request = ask(editor, uri, 0, 4, "doomed")
    await editor.memory()  # answered after the request was taken in
    cancel(editor, "doomed")
    with pytest.raises(JsonRpcException) as caught:
        await soon(request)
    assert caught.value.code == CANCELLED
    assert caught.value.data is None
    os.kill(editor.engine, signal.SIGCONT)
    assert await editor.suggestion(uri, 0, 4) == expected


async def test_cancelling_frees_the_engine(editor):
    """Once cancelled, the longest of completions no longer stands before the next request."""
    uri = editor.open("untitled:a", "x = ")
    os.kill(editor.engine, signal.SIGSTOP)
    doomed = [ask(editor, uri, 0, 4, f"doomed {number}") for number in range(20)]
    await editor.memory()
    for number in range(20):
        cancel(editor, f"doomed {number}")
    answers = await soon(asyncio.gather(*doomed, return_exceptions=True))
    assert {answer.code for answer in answers} == {CANCELLED}
    request = asyncio.create_task(editor.request(uri, 0, 4))
    await editor.memory()
    os.kill(editor.engine, signal.SIGCONT)
    assert await soon(request) != []


async def test_the_cancel_of_a_request_that_was_answered(editor):
    uri = editor.open("untitled:a", "x = ")
    assert (await soon(ask(editor, uri, 0, 4, "done"))).items
    cancel(editor, "done")
    cancel(editor, "never asked")
    assert await editor.suggestion(uri, 0, 4)


async def test_a_newer_request_supersedes_an_automatic_one(editor):
    uri = editor.open("untitled:a", "x = ")
    os.kill(editor.engine, signal.SIGSTOP)
    older = asyncio.create_task(editor.request(uri, 0, 4, automatic=True))
    await editor.memory()
    newer = asyncio.create_task(editor.request(uri, 0, 4, automatic=True))
    assert await soon(older) == []  # while the engine still hangs
    invoked = [asyncio.create_task(editor.request(uri, 0, 4)) for _ in range(2)]
    assert await soon(newer) == []
    os.kill(editor.engine, signal.SIGCONT)
    first, second = await soon(asyncio.gather(*invoked))
    assert first[0].insert_text == second[0].insert_text


async def test_a_suggestion_that_typing_has_overtaken_is_not_shown(editor):
    uri = editor.open("untitled:a", "x = ")
    os.kill(editor.engine, signal.SIGSTOP)
    request = asyncio.create_task(editor.request(uri, 0, 4, automatic=True))
    await editor.memory()
    editor.edit(uri, (0, 4), (0, 4), "y")
    await editor.memory()
    os.kill(editor.engine, signal.SIGCONT)
    assert await soon(request) == []


async def test_a_storm_of_requests_and_cancels(editor, caplog):
    """Pygls warns of an answer to an id that has been answered before, or was never asked."""
    uri = editor.open("untitled:a", "x = ")
    with caplog.at_level(logging.WARNING, "pygls"):
        requests = []
        for number in range(25):
            requests.append(ask(editor, uri, 0, number % 5, f"storm {number}"))
            if number % 3 == 0:
                cancel(editor, f"storm {number}")
            if number % 7 == 0:
                editor.edit(uri, (0, 0), (0, 1), "xyz"[number % 3])
                await asyncio.sleep(0)
        answers = await soon(asyncio.gather(*requests, return_exceptions=True))
        await editor.memory()  # nothing is under way any more
    cancelled = [each for each in answers if getattr(each, "code", None) == CANCELLED]
    assert cancelled
    for number, answer in enumerate(answers):
        may_be_late = number % 3 == 0  # a cancellation that comes after its answer changes nothing
        assert (may_be_late and answer in cancelled) or len(answer.items) == 1
    assert caplog.records == []


async def test_a_completion_does_not_wait_for_the_index(tmp_path, root, many_files):
    settings = scripted(tmp_path, remember_ms=20)
    async with editing(tmp_path, root, settings=settings) as editor:
        uri = editor.open("untitled:a", "x = ")
        await editor.until(lambda: editor.n_in_memory > 0)
        assert await editor.items(uri, 0, 4) != []
        assert editor.phase == "indexing"
        assert (await editor.indexed())["files"]["in_memory"] == many_files


async def test_shutdown_answers_what_is_in_flight(tmp_path, root):
    async with editing(tmp_path, root) as editor:
        engine = (await editor.indexed())["engine_pid"]
        uri = editor.open("untitled:a", "x = ")
        os.kill(engine, signal.SIGSTOP)
        request = asyncio.create_task(editor.request(uri, 0, 4))
        await editor.memory()
        await soon(editor.shutdown_async(None))
        assert await soon(request) == []
        editor.exit(None)
        assert await soon(editor._gone()) == 0
