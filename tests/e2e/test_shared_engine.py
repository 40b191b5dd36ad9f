"""Two windows, one engine: each completes from its own repository, and outlives the other's end.

Over Unix sockets, and over loopback as on Windows.
"""

import functools
import os
from pathlib import Path

import psutil
import pytest

from lsp_server.engine.shared_unix import has_unix_sockets
from tests.e2e.editor import is_running, soon, until_ended

LIB = "def frobnicate(left, right):\n    return left * 31 + right\n"


def shared_logs():
    """Logs of the shared engines of this session."""
    return Path(os.environ["XDG_RUNTIME_DIR"]).rglob("*.log")


@pytest.fixture(params=["lsp_server", "tests.e2e.loopback_server"], ids=["unix", "loopback"])
def start(start, request):
    """Starts editors whose servers share their engine in one way."""
    is_unix = request.param == "lsp_server"
    if is_unix and not has_unix_sockets():
        pytest.skip("this system has no Unix sockets")
    before = set(shared_logs())
    yield functools.partial(start, module=request.param)
    used = {log.parent.name for log in shared_logs() if log not in before}
    assert used == {"longllama" if is_unix else "loopback"}


@pytest.fixture
def two_roots(root, tmp_path):
    """Two workspace folders with a file of the same name."""
    other = tmp_path / "other"
    other.mkdir()
    (root / "lib.py").write_text(LIB)
    (other / "lib.py").write_text("class Harbour:\n    depth_in_metres = 12\n")
    (other / "more.py").write_text("TIDES = 2\n")
    return root, other


async def held(editor):
    """Files and tokens in its memory, and who else is there."""
    engine = (await editor.status())["engine"]
    others = [user["name"] for user in engine["users"] if not user["is_asking"]]
    return engine["n_files"], engine["n_tokens"], others


def has_it_back(status):
    return status["phase"] == "ready" and status["engine_restarts"] == 1


async def sources(editor, uri, text):
    """The files that a suggestion at the end of a text drew on."""
    await editor.suggestion(uri, 0, len(text))
    explained = await editor.ask("longllama/explain")
    assert explained["timings"]["memory_tokens"] > 0
    return {source["path"] for source in explained["sources"]}


async def test_two_windows_share_an_engine_and_no_memory(start, two_roots, model_settings):
    root, other_root = two_roots
    one, other = (
        await start(root, settings=model_settings),
        await start(other_root, settings=model_settings),
    )
    engine = (await one.indexed())["engine_pid"]
    assert (await other.indexed())["engine_pid"] == engine
    n_tokens = len(LIB)
    assert await held(one) == (1, n_tokens, ["other"])
    assert (await held(other))[::2] == (2, ["ws"])
    uri = one.open("untitled:a", "x = frob")
    assert await sources(one, uri, "x = frob") == {"lib.py"}
    suggestion = await one.suggestion(uri, 0, 8)
    other_uri = other.open("untitled:a", "x = TI")
    assert await sources(other, other_uri, "x = TI") <= {"lib.py", "more.py"}
    assert await one.suggestion(uri, 0, 8) == suggestion  # whatever the other one asked meanwhile

    # The engine dies: both have it back, with their memory from disk.
    psutil.Process(engine).kill()
    for editor in (one, other):
        await editor.until(lambda editor=editor: has_it_back(editor.statuses[-1]))
    status = await one.indexed()
    again = status["engine_pid"]
    assert again not in (None, engine)
    assert (await other.indexed())["engine_pid"] == again
    assert (status["engine_restarts"], status["engine"]["encoded_segments"]) == (1, 0)
    assert await held(one) == (1, n_tokens, ["other"])
    assert await one.suggestion(uri, 0, 8) == suggestion

    # A window dies: its memory goes, the other one does not notice.
    other.process.kill()
    await soon(other._gone())
    while await held(one) != (1, n_tokens, []):
        pass
    assert await one.suggestion(uri, 0, 8) == suggestion
    assert (await one.status())["engine_restarts"] == 1
    assert [one.messages, other.messages] == [[], []]

    # The last one out.
    await one.close()
    await until_ended(again)


async def test_the_window_that_started_it_ends_first(start, two_roots, model_settings):
    root, other_root = two_roots
    one = await start(root, settings=model_settings)
    engine = (await one.indexed())["engine_pid"]
    other = await start(other_root, settings=model_settings)
    assert (await other.indexed())["engine_pid"] == engine
    await soon(one.shutdown_async(None))
    one.exit(None)
    assert await soon(one._gone()) == 0
    assert is_running(engine)
    assert await held(other) == (2, (await held(other))[1], [])
    third = await start(root, settings=model_settings)
    await third.indexed()
    n_kept = len(LIB) * (await third.status())["engine"]["token_bytes"]
    await other.command("longllama.clearStore")
    # What another window holds stays, and nothing else.
    assert f" {n_kept / 1e6:,.1f} MB that other windows use stay." in other.messages.pop()
    status = await other.status()
    assert (status["phase"], status["engine"]["stored_bytes"]) == ("paused", n_kept)

    # One that must not share has its own.
    own = await start(root, settings={**model_settings, "engine": {"shared": False}})
    assert (await own.indexed())["engine_pid"] != engine
    assert (await held(own))[2] == []
