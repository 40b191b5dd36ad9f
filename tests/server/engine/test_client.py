"""The engine client with real engine stdio, and with children that die at once."""

import asyncio
import logging
import os
import shutil
import signal
import sys
from itertools import pairwise

import pytest
import pytest_asyncio

from longllama_code.engine_options import EngineOptions
from longllama_code.protocol import CompletionRequest
from lsp_server.engine import client as engine_client
from lsp_server.engine import stdio
from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.engine.connection import EngineConnection
from lsp_server.engine.options import ClientOptions
from tests.server.waiting_client import COMPILED_S, WaitingClient, soon

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST = CompletionRequest("a.py", "x = ", "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory):
    options = EngineOptions("tiny", tmp_path_factory.mktemp("cache"), threads=1)
    engine = WaitingClient(ClientOptions(options))
    await engine.start()
    await engine.until(EngineState.READY)
    yield engine
    await soon(engine.stop())


class DyingOptions(ClientOptions):
    """An engine that ends as soon as it is started."""

    def command(self):
        return [sys.executable, "-c", "raise SystemExit(3)"]


async def test_remember_complete_and_forget(engine):
    result = await soon(engine.remember("lib.py", "def f(x):\n    return x\n"))
    assert (result.path, result.n_tokens, result.n_segments) == ("lib.py", 23, 1)
    completed = await soon(engine.complete(REQUEST))
    assert completed.text
    assert completed.timings.memory_tokens == 23
    assert (await soon(engine.status())).n_files == 1
    await soon(engine.forget(["lib.py", "never.py"]))
    assert (await soon(engine.status())).n_files == 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
async def test_layers_are_compiled_before_the_engine_is_ready(engine, monkeypatch, tmp_path):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    options = EngineOptions("tiny", persist=False, threads=1, dtype="float32", compile=True)
    compiled = WaitingClient(ClientOptions(options))
    await compiled.start()
    await compiled.until(EngineState.READY, COMPILED_S)
    assert any((tmp_path / "compiled").rglob("*.so"))
    status = await soon(compiled.status())
    assert (status.compiled, status.not_compiled) == (True, None)
    for each in (engine, compiled):
        await soon(each.remember("lib.py", "def f(x):\n    return x\n"))
    expected, found = [await soon(each.complete(REQUEST)) for each in (engine, compiled)]
    assert found.text == expected.text
    places = [[(s.path, s.first_line) for s in each.sources] for each in (found, expected)]
    assert places[0] == places[1]
    await soon(engine.forget(["lib.py"]))
    await soon(compiled.stop())


async def test_an_answer_is_told_as_it_grows(engine):
    told = []
    completed = await soon(engine.complete(REQUEST, told.append))
    assert len(told) > 1
    assert all(later.startswith(earlier) for earlier, later in pairwise([*told, completed.text]))
    assert not engine._on_progress
    engine.handle_partial_result({"number": -1, "text": "nobody waits for it"})


async def test_a_failing_job_is_an_error_with_its_message(engine, capfd):
    with pytest.raises(EngineError, match="KeyError: 'text'") as caught:
        await soon(engine._ask("engine/remember", {"path": "a.py"}))
    assert caught.value.__suppress_context__
    with pytest.raises(EngineError, match="no_such_method"):
        await soon(engine._ask("engine/no_such_method", {}))
    assert (await soon(engine.complete(REQUEST))).text


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
async def test_a_cancelled_request_leaves_the_engine_to_others(engine):
    os.kill(engine.pid, signal.SIGSTOP)
    cancelled = [asyncio.create_task(engine.complete(REQUEST)) for _ in range(3)]
    wanted = asyncio.create_task(engine.complete(REQUEST))
    await asyncio.sleep(0)  # they have been sent
    for task in cancelled:
        task.cancel()
    await soon(asyncio.wait(cancelled))
    assert all(task.cancelled() for task in cancelled)
    os.kill(engine.pid, signal.SIGCONT)
    assert (await soon(wanted)).text


async def test_a_text_larger_than_a_pipe_gets_through(engine):
    text = "x = 1\n" * 20_000
    result = await soon(engine.remember("large.py", text))
    assert result.n_segments > 1
    await soon(engine.forget(["large.py"]))


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
async def test_a_crash_is_followed_by_a_new_start(engine, caplog):
    await soon(engine.remember("lib.py", "x = 1\n"))
    engine.told.clear()
    former = engine.pid
    os.kill(former, signal.SIGSTOP)
    request = asyncio.create_task(engine.complete(REQUEST))
    await asyncio.sleep(0)  # it has been sent
    os.kill(former, signal.SIGKILL)
    with pytest.raises(EngineGone):
        await soon(request)
    with pytest.raises(EngineGone, match="is started again"):
        await engine.complete(REQUEST)
    await engine.until(EngineState.READY)
    assert engine.pid not in (None, former)
    assert engine.n_restarts == 1
    assert engine.states == [EngineState.LOADING, EngineState.LOADING, EngineState.READY]
    assert "signal 9" in engine.told[0][1]
    assert (await soon(engine.status())).n_files == 0
    again = await soon(engine.remember("lib.py", "x = 1\n"))
    assert (again.n_encoded, again.n_loaded) == (0, 1)
    assert [record.message for record in caplog.records] == [
        "the engine ended unexpectedly (signal 9, often for want of memory) and is started again"
    ]


async def test_an_engine_that_dies_again_and_again_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr(engine_client, "BACK_OFF_S", (0.0, 0.0))
    engine = WaitingClient(DyingOptions(EngineOptions("tiny")))
    with caplog.at_level(logging.ERROR):
        await engine.start()
        await engine.until(EngineState.FAILED)
    assert engine.n_restarts == 2
    assert "(exit code 3), 3 times in a row" in engine.message
    assert engine.pid is None
    with pytest.raises(EngineGone, match="3 times in a row"):
        await engine.complete(REQUEST)
    await soon(engine.stop())


async def test_only_an_engine_that_was_ready_for_a_while_has_recovered(monkeypatch):
    """However long one that dies while it loads may take: that is no success."""
    monkeypatch.setattr(engine_client, "BACK_OFF_S", (0.0, 0.0))
    monkeypatch.setattr(engine_client, "STABLE_AFTER_S", 0.0)
    engine = WaitingClient(DyingOptions(EngineOptions("tiny")))
    await engine.start()
    await engine.until(EngineState.FAILED)
    assert engine.n_restarts == 2
    await soon(engine.stop())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
async def test_one_that_was_ready_for_a_while_is_started_again_each_time(monkeypatch, tmp_path):
    script = tmp_path / "script.json"
    script.write_text("{}")
    monkeypatch.setattr(engine_client, "BACK_OFF_S", (0.0,))
    monkeypatch.setattr(engine_client, "STABLE_AFTER_S", 0.0)
    engine = WaitingClient(ClientOptions(EngineOptions(f"script:{script}")))
    await engine.start()
    for n_restarts in range(3):
        await engine.until(EngineState.READY)
        assert engine.n_restarts == n_restarts
        os.kill(engine.pid, signal.SIGKILL)
        await engine.until(EngineState.LOADING)
    await soon(engine.stop())


async def test_stopping_while_it_waits_to_start_again(monkeypatch, caplog):
    monkeypatch.setattr(engine_client, "BACK_OFF_S", (3600.0,))
    engine = WaitingClient(DyingOptions(EngineOptions("tiny")))
    await engine.start()
    await engine.until(EngineState.LOADING)

    async def crashed():
        while engine.n_restarts == 0:
            engine._news.clear()
            await engine._news.wait()

    await soon(crashed())
    await soon(engine.stop())
    assert engine.state is EngineState.STOPPED
    with pytest.raises(EngineGone, match="stopped"):
        await engine.complete(REQUEST)


async def test_stopping_while_the_model_loads_is_no_crash():
    engine = WaitingClient(ClientOptions(EngineOptions("tiny", persist=False)))
    await engine.start()
    pid = engine.pid
    request = asyncio.create_task(engine.status())
    await asyncio.sleep(0)
    await soon(engine.stop())
    with pytest.raises(EngineGone):
        await soon(request)
    assert engine.states == [EngineState.LOADING]
    assert engine.n_restarts == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_an_engine_is_asked_nothing_before_it_is_ready(tmp_path):
    """A file that was read while the engine started again would fail for want of a model."""
    script = tmp_path / "script.json"
    script.write_text("{}")
    engine = WaitingClient(ClientOptions(EngineOptions(f"script:{script}")))
    starting = asyncio.create_task(engine.start())
    await asyncio.sleep(0)
    for _ in range(2):  # before there is a process, and after
        assert engine.state is EngineState.LOADING
        with pytest.raises(EngineGone, match="loading the model"):
            await soon(engine.remember("a.py", "x = 1\n"))
        await soon(starting)
    await engine.until(EngineState.READY)
    assert (await soon(engine.remember("a.py", "x = 1\n"))).n_tokens == 6
    await soon(engine.stop())


async def test_what_a_former_process_said_counts_no_more(engine):
    """Its last words may be read after its end: nobody would start the engine that they praise."""
    former = EngineConnection(engine._listener)
    states = [*engine.states]
    engine.handle_ready(former, {"token_bytes": 1})
    engine.handle_failed(former, {"message": "no such model"})
    assert engine.states == states
    assert engine.token_bytes != 1


async def test_a_model_that_is_not_there():
    engine = WaitingClient(ClientOptions(EngineOptions("/nowhere", persist=False)))
    await engine.start()
    await engine.until(EngineState.FAILED)
    assert "/nowhere" in engine.message
    with pytest.raises(EngineGone, match="/nowhere"):
        await engine.complete(REQUEST)
    await soon(engine.stop())


async def test_an_engine_that_cannot_even_be_started(monkeypatch):
    monkeypatch.setattr(stdio.sys, "executable", "/nowhere/python")
    engine = WaitingClient(ClientOptions(EngineOptions("tiny")))
    await engine.start()
    assert engine.state is EngineState.FAILED
    assert "/nowhere/python" in engine.message
    await soon(engine.stop())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
async def test_an_engine_that_hangs_is_ended_and_started_again(caplog):
    options = EngineOptions(model="tiny", persist=False, threads=1)
    engine = WaitingClient(ClientOptions(options, hang_timeout_s=2))
    try:
        await soon(engine.start())
        await engine.until(EngineState.READY)
        hanging = engine.pid
        os.kill(hanging, signal.SIGSTOP)
        with pytest.raises(EngineGone):
            await soon(engine.complete(REQUEST))
        assert engine.hung
        assert "did not answer for 2 s" in engine.message
        await engine.until(EngineState.READY)
        assert engine.pid != hanging
        assert not engine.hung
        assert (await soon(engine.complete(REQUEST))).text
        assert engine.n_restarts == 1
        assert "did not answer for 2 s" in caplog.text
    finally:
        await engine.stop()
