"""Clients of one shared engine: a memory for each, one crash, one restart, fair to all."""

import asyncio
import dataclasses
import os
import sys

import psutil
import pytest

from longllama_code.protocol import CompletionRequest
from lsp_server.engine import connection as engine_connection
from lsp_server.engine import shared_launcher
from lsp_server.engine.client import EngineGone, EngineState
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.shared_transport import CannotShare
from tests.server.engine.conftest import addresses
from tests.server.engine.light_engine import LightOptions, light
from tests.server.waiting_client import WaitingClient, soon

REQUEST = CompletionRequest("a.py", "x = ", "")


@pytest.fixture
async def open_window(folder):
    """Opens windows on an engine that ends with the last of them."""
    windows = []

    async def open_one(name="ws", **options):
        options = {"is_shared": True, "hang_timeout_s": 20, "name": name, **options}
        window = WaitingClient(light("light", **options))
        windows.append(window)
        await window.start()
        await window.until(EngineState.READY)
        return window

    yield open_one
    for window in windows:
        await soon(window.stop())
    assert not addresses(folder)


async def until(is_so):
    while not is_so():
        await asyncio.sleep(0.01)


async def test_each_has_a_repository_of_its_own(open_window):
    one, other = await open_window("one"), await open_window("other")
    assert one.pid == other.pid != os.getpid()
    await soon(one.remember("one.py", "x = 1\n"))
    await soon(other.remember("other.py", "y = 2\nz = 3\n"))
    assert (await soon(one.complete(REQUEST))).text == "one.py"
    assert (await soon(other.complete(REQUEST))).text == "other.py"
    users = (await soon(one.status())).users
    assert [(u.name, u.n_files, u.n_tokens, u.is_asking) for u in users] == [
        ("one", 1, 6, True),
        ("other", 1, 12, False),
    ]
    await soon(other.stop())
    assert [user.name for user in (await soon(one.status())).users] == ["one"]
    assert (await soon(one.complete(REQUEST))).text == "one.py"


async def test_a_completion_waits_for_no_file_of_another(open_window):
    one, other = await open_window(), await open_window()
    many = asyncio.create_task(one.remember("many.py", "x = 1\n" * 20_000))
    await asyncio.sleep(0.05)
    assert (await soon(other.complete(REQUEST))).text == ""
    await soon(other.remember("few.py", "y = 2\n" * 10))
    assert not many.done()
    await soon(one.stop())
    with pytest.raises(EngineGone):
        await many
    assert (await soon(other.status())).n_segments == 1  # whose files are no longer worked on


@pytest.mark.parametrize("how", ["killed", "hangs"])
async def test_all_notice_its_end_and_one_of_them_starts_it_again(open_window, how, caplog):
    timeouts = {"hang_timeout_s": 2 if how == "hangs" else 20}
    windows = [await open_window(**timeouts) for _ in range(3)]
    former = windows[0].pid
    if how == "killed":
        psutil.Process(former).kill()
    else:
        psutil.Process(former).suspend()
        with pytest.raises(EngineGone):
            await soon(windows[0].complete(REQUEST))
        assert windows[0].hung
    for window in windows:
        await window.until(EngineState.LOADING)
    for window in windows:
        await window.until(EngineState.READY)
    assert {window.n_restarts for window in windows} == {1}
    (pid,) = {window.pid for window in windows}
    assert pid != former
    assert (await soon(windows[2].status())).n_segments == 3
    killed = "signal 9" if os.name == "posix" else "exit code"
    assert ("did not answer for 2 s" if how == "hangs" else killed) in caplog.text


@pytest.mark.parametrize("error", [OSError(113, "no route"), ValueError("a line without end")])
async def test_a_connection_that_breaks_in_any_way_is_made_again(open_window, error):
    window, _other = await open_window(), await open_window()
    await soon(window.remember("a.py", "x = 1\n"))
    pid = window.pid
    asked = asyncio.create_task(window.complete(REQUEST))
    await asyncio.sleep(0)  # it has been sent
    window._connection._writer.transport.get_protocol()._stream_reader.set_exception(error)
    with pytest.raises(EngineGone):
        await soon(asked)
    await window.until(EngineState.LOADING)
    await window.until(EngineState.READY)
    assert window.pid == pid
    assert (await soon(window.status())).n_files == 0  # and is to be filled again


async def test_one_that_hangs_is_ended_by_who_comes(open_window):
    window = await open_window(idle_s=60)
    hanging = window.pid
    psutil.Process(hanging).suspend()
    other = WaitingClient(light("light", is_shared=True, hang_timeout_s=1))
    await other.start()
    await other.until(EngineState.READY)
    assert "did not answer for 1 s" in other.told[1][1]
    await window.until(EngineState.READY)
    assert window.pid == other.pid != hanging
    await soon(window.stop())
    await soon(other.stop())


async def test_one_that_hangs_and_cannot_be_ended_is_left_alone(open_window, monkeypatch):
    connect = shared_launcher._connect

    def without_pid(endpoint):
        engine = connect(endpoint)
        return engine and dataclasses.replace(engine, pid=None)

    monkeypatch.setattr(shared_launcher, "_connect", without_pid)
    window = await open_window(hang_timeout_s=1)
    assert window.pid is None
    hanging = window._connection._shared.process
    psutil.Process(hanging.pid).suspend()
    try:
        with pytest.raises(EngineGone):
            await soon(window.complete(REQUEST))
        await window.until(EngineState.LOADING)
        await window.until(EngineState.READY)
        assert window._connection._shared.process.pid != hanging.pid
    finally:
        hanging.kill()


async def test_leaving_one_that_hangs(open_window, monkeypatch):
    monkeypatch.setattr(engine_connection, "LEAVE_TIMEOUT_S", 0.1)
    window = await open_window(idle_s=60)
    hanging = window.pid
    place = window._connection._shared.endpoint
    psutil.Process(hanging).suspend()
    await soon(window.stop())
    again = await open_window()
    assert again.pid != hanging
    assert again._connection._shared.endpoint == place


async def test_one_that_ends_just_now_is_started_again_without_a_word(open_window):
    window = await open_window(idle_s=0)
    for _ in range(5):
        first = window.pid
        leaving = asyncio.create_task(window.stop())
        other = await open_window(idle_s=0)
        await soon(leaving)
        assert [state for state, _ in other.told] == [EngineState.LOADING, EngineState.READY]
        assert other.pid is not None
        window = other
    assert first is not None


async def test_stopping_while_it_is_looked_for(open_window):
    window = WaitingClient(light("light", is_shared=True))
    await window.start()
    assert (window.state, window.pid) == (EngineState.LOADING, None)
    with pytest.raises(EngineGone):
        await window.complete(REQUEST)
    await soon(window.stop())
    assert window.n_restarts == 0
    await (await open_window()).stop()


async def test_where_none_can_be_shared_there_is_one_of_our_own(open_window, monkeypatch, caplog):
    def refuse(_):
        raise CannotShare("for a test")

    monkeypatch.setattr(Endpoint, "for_options", refuse)

    class Own(LightOptions):
        def command(self, address=None):
            assert address is None
            return [sys.executable, "-c", "raise SystemExit(3)"]

    window = WaitingClient(light("light", Own, is_shared=True))
    await window.start()
    await window.until(EngineState.LOADING)
    await soon(until(lambda: window.n_restarts))
    assert "no engine is shared: for a test" in caplog.text
    assert any("exit code 3" in message for _, message in window.told)
    await soon(window.stop())


async def test_a_model_that_is_not_there(open_window):
    windows = [WaitingClient(light("none", is_shared=True)) for _ in range(2)]
    for window in windows:
        await window.start()
    for window in windows:
        await window.until(EngineState.FAILED)
        assert window.message == "no model none"
    place = Endpoint.for_options(windows[0]._options)
    await soon(until(lambda: not place.address.exists()))
    for window in windows:
        await soon(window.stop())
