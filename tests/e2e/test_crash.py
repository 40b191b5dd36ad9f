"""The engine dies, or never comes to life; the server lives on and says so."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing

import pytest
from lsprotocol import types

from tests.e2e.editor import capabilities, soon

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")

LIB = "def frobnicate(left, right):\n    return left * 31 + right\n"


def phases(editor):
    """The phases that the server went through, each stretch once."""
    told = [status["phase"] for status in editor.statuses]
    return [phase for number, phase in enumerate(told) if told[number - 1 : number] != [phase]]


async def test_killed_while_it_completes(start, root, model_settings):
    (root / "lib.py").write_text(LIB)
    editor = await start(settings=model_settings)
    before = await editor.indexed()
    uri = editor.open("untitled:a", "x = frob")
    suggestion = await editor.suggestion(uri, 0, 8)
    editor.statuses.clear()

    os.kill(before["engine_pid"], signal.SIGSTOP)  # so that the request is in flight for sure
    request = asyncio.create_task(editor.request(uri, 0, 8))
    await editor.memory()  # answered after the request was taken in
    os.kill(before["engine_pid"], signal.SIGKILL)
    assert await soon(request) == []

    await editor.until(lambda: editor.phase == "ready")
    assert phases(editor) == ["loading", "indexing", "ready"]
    assert editor.statuses[0]["kind"] == "Warning"
    assert "the engine ended unexpectedly (signal 9" in editor.statuses[0]["message"]
    after = await editor.status()
    assert after["engine_restarts"] == 1
    assert after["engine_pid"] != before["engine_pid"]
    assert (after["engine"]["encoded_segments"], after["engine"]["loaded_segments"]) == (0, 1)
    assert await editor.suggestion(uri, 0, 8) == suggestion != ""
    assert editor.messages == []  # the status says it all


async def test_requests_of_between_two_engines_are_answered(start):
    editor = await start()
    engine = (await editor.indexed())["engine_pid"]
    uri = editor.open("untitled:a", "x = ")
    os.kill(engine, signal.SIGKILL)
    await editor.until(lambda: editor.phase == "loading")
    assert await editor.items(uri, 0, 4) == []
    assert await editor.last_reason() == "engine_loading"
    await editor.indexed()
    assert await editor.suggestion(uri, 0, 4)


async def test_killed_while_it_indexes(start, root, many_files, model_settings, tmp_path):
    editor = await start(settings=model_settings)
    await editor.until(lambda: editor.n_in_memory > 0)
    engine = (await editor.status())["engine_pid"]
    os.kill(engine, signal.SIGSTOP)
    (manifest,) = (tmp_path / "cache").rglob("manifest.sqlite")
    with closing(sqlite3.connect(manifest)) as connection:
        ((stored,),) = connection.execute("SELECT COUNT(*) FROM segments")
    assert 0 < stored < 4 * many_files
    os.kill(engine, signal.SIGKILL)

    status = await editor.indexed()
    assert (status["phase"], status["engine_restarts"]) == ("ready", 1)
    held = status["engine"]
    left_out = {file.get("reason") for file in (await editor.memory()).values()} - {None}
    assert left_out == set()
    assert (status["files"]["in_memory"], held["n_files"]) == (many_files, many_files), status
    # All but the segment in flight came from disk; that one may have been on its way there.
    assert stored - 1 <= held["loaded_segments"] <= stored
    assert held["encoded_segments"] + held["loaded_segments"] == held["n_segments"]
    assert held["damaged_segments"] == 0


async def test_open_documents_are_remembered_again_as_they_are(start, root):
    (root / "lib.py").write_text(LIB)
    editor = await start()
    engine = (await editor.indexed())["engine_pid"]
    editor.open((root / "lib.py").as_uri(), LIB + "\n\nmore = True\n")
    tokens = (await editor.indexed())["engine"]["n_tokens"]
    os.kill(engine, signal.SIGKILL)
    await editor.until(lambda: editor.phase == "loading")
    assert (await editor.indexed())["engine"]["n_tokens"] == tokens > len(LIB)


@pytest.mark.parametrize(
    ("model", "told"),
    [("script:/nowhere/at/all", "/nowhere/at/all"), ("auto", "run `longllama pull ")],
)
async def test_a_model_that_is_not_there(start, settings, tmp_path, model, told):
    broken = {**settings, "model": {"path": model}}
    editor = await start(settings=broken, env={"LONGLLAMA_CACHE": str(tmp_path / "empty")})
    status = await editor.indexed()
    assert (status["kind"], status["phase"]) == ("Error", "failed")
    assert told in status["message"]
    assert editor.messages == [status["message"]]
    editor.messages.clear()
    uri = editor.open("untitled:a", "x = ")
    assert await editor.items(uri, 0, 4) == []
    assert await editor.last_reason() == "engine_failed"

    # Other settings, and all is well.
    value = {"longllama": settings}
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(value))
    await editor.until(lambda: editor.phase == "ready")
    assert await editor.suggestion(uri, 0, 4)
    assert editor.messages == []


@pytest.mark.parametrize("model", ["script:/nowhere/at/all", "auto"])
async def test_a_client_that_shows_failures_is_sent_no_message(start, settings, tmp_path, model):
    can = capabilities()
    can.experimental = {"longllama": {"failures": True}}
    broken = {**settings, "model": {"path": model}}
    editor = await start(settings=broken, can=can, env={"LONGLLAMA_CACHE": str(tmp_path / "empty")})
    assert (await editor.indexed())["phase"] == "failed"
    assert editor.statuses[-1]["phase"] == "failed"
    assert editor.messages == []


async def test_a_failed_engine_can_be_started_again(start, settings, tmp_path):
    """As after `longllama pull`; the same cause is told again, as it is news."""
    editor = await start(settings={**settings, "model": {"path": "script:/nowhere"}})
    await editor.until(lambda: bool(editor.messages))
    message = editor.messages.pop()
    await editor.command("longllama.restart")
    await editor.until(lambda: bool(editor.messages))
    assert editor.messages.pop() == message
