"""Commands and the server's own requests."""

import asyncio
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest

from lsp_server.engine.client import EngineError
from lsp_server.indexing import power as power_module

_COMMANDS = """
    reindex pauseIndexing resumeIndexing clearMemory clearStore restart toggle toggleLanguage
    showStatus explain diagnose snooze showStatistics clearStatistics didAccept
"""
COMMANDS = _COMMANDS.split()


async def test_every_command_is_advertised(wire, root):
    can = (await wire.begin(root))["capabilities"]
    assert set(can["executeCommandProvider"]["commands"]) == {f"longllama.{c}" for c in COMMANDS}


async def test_off_answers_what_runs_and_stops_the_engine(wire, root):
    await wire.begin(root)
    await wire.indexed()
    engine = wire.engine
    engine.may_answer.clear()
    uri = wire.open("untitled:a", "x = ")
    request = asyncio.ensure_future(wire.inline(uri, 0, 4))
    await wire.until(lambda: engine.asked)
    assert await wire.command("longllama.toggle") is False
    assert await request == {"items": []}
    assert engine.n_cancelled == 1
    assert engine.state.value == "stopped"
    off = wire.statuses[-1]
    assert (off["phase"], off["kind"], off["busy"]) == ("off", "Inactive", False)
    assert off["last_reason"] == "disabled"
    assert (await wire.inline(uri, 0, 4))["items"] == []
    assert (await wire.ask("longllama/explain"))["reason"] == "disabled"

    assert await wire.command("longllama.toggle") is True
    assert (await wire.indexed())["phase"] == "ready"
    assert wire.engine is not engine
    assert set(wire.engine.texts) == {"lib.py"}
    assert len((await wire.inline(uri, 0, 4))["items"]) == 1


async def test_off_by_configuration_is_as_quick(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.engine.may_answer.clear()
    request = asyncio.ensure_future(wire.inline(wire.open("untitled:a", "x = "), 0, 4))
    await wire.until(lambda: wire.engine.asked)
    wire.notify("workspace/didChangeConfiguration", settings={"longllama": {"enable": False}})
    assert await request == {"items": []}
    await wire.until(lambda: wire.statuses[-1]["phase"] == "off")


async def test_a_language_turned_off_ends_its_requests_alone(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.engine.may_answer.clear()
    python = asyncio.ensure_future(wire.inline(wire.open("untitled:a", "x = "), 0, 4))
    go = asyncio.ensure_future(wire.inline(wire.open("untitled:b", "x := ", "go"), 0, 5))
    await wire.until(lambda: len(wire.engine.asked) == 2)
    assert await wire.command("longllama.toggleLanguage", "python") is False
    assert await python == {"items": []}
    assert not go.done()
    wire.engine.may_answer.set()
    assert len((await go)["items"]) == 1
    await wire.until(lambda: wire.statuses[-1]["languages"] == {"*": True, "python": False})
    assert await wire.command("longllama.toggleLanguage", "python") is True


@pytest.mark.parametrize("arguments", [(), (None,), (3,), ("",)])
async def test_a_language_that_is_none_is_said_to_be_missing(wire, root, arguments):
    await wire.begin(root)
    assert await wire.command("longllama.toggleLanguage", *arguments) is None
    assert "needs a language id" in wire.messages[-1]


async def test_clearing_the_memory(wire, root):
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    await wire.command("longllama.clearMemory")
    await wire.until(lambda: not wire.engine.texts)
    status = await wire.ask("longllama/status")
    assert (status["phase"], status["files"]["tokens"]) == ("paused", 0)
    (file,) = (await wire.ask("longllama/memory"))["files"]
    assert file["state"] == "waiting"
    await wire.command("longllama.resumeIndexing")
    assert (await wire.indexed())["files"]["in_memory"] == 1


async def test_reindex_also_ends_a_pause(wire, root):
    await wire.begin(root)
    await wire.indexed()
    await wire.command("longllama.clearMemory")
    await wire.command("longllama.reindex")
    assert (await wire.indexed())["phase"] == "ready"
    assert set(wire.engine.texts) == {"lib.py"}


async def test_the_status_in_words_and_values(wire, root):
    await wire.begin(root)
    await wire.indexed()
    status = await wire.command("longllama.showStatus")
    assert status["files"]["in_memory"] == 1
    said = wire.messages[-1]
    assert "longllama is ready" in said
    assert "1 files in memory" in said
    assert status == await wire.ask("longllama/status")


async def test_the_status_without_that_of_an_engine_that_refuses_it(wire, root, monkeypatch):
    await wire.begin(root)
    await wire.indexed()
    refusal = EngineError("the team's engine refused the request")
    monkeypatch.setattr(wire.engine, "status", AsyncMock(side_effect=refusal))
    status = await wire.command("longllama.showStatus")
    assert (status["phase"], status["engine"]) == ("ready", None)


async def test_explaining_in_words_and_values(wire, root):
    await wire.begin(root)
    await wire.indexed()
    assert await wire.command("longllama.explain") is None
    assert wire.messages[-1] == "There was no suggestion yet."
    uri = wire.open("untitled:a", "x = ")
    await wire.inline(uri, 0, 4)
    explained = await wire.command("longllama.explain")
    assert explained["sources"][0]["path"] == "lib.py"
    assert "came from lib.py:1-2 (50%); 4 tokens in 3 ms" in wire.messages[-1]
    wire.open("file:///elsewhere/.env", "A=")
    await wire.inline("file:///elsewhere/.env", 0, 2)
    assert (await wire.command("longllama.explain"))["reason"] == "secret_file"
    assert wire.messages[-1] == "No suggestion: the file's name says that it holds secrets."


async def test_the_status_bar_learns_why_nothing_came(wire, root):
    await wire.begin(root)
    await wire.indexed()
    uri = wire.open("untitled:a", "foobar")
    await wire.inline(uri, 0, 3, kind=2)
    await wire.until(lambda: wire.statuses[-1]["last_reason"] == "inside_word")
    status = wire.statuses[-1]
    assert {"kind", "phase", "message", "busy", "last_reason", "languages"} <= status.keys()
    assert {"in_memory", "waiting", "left_out", "tokens"} <= status["files"].keys()


async def test_commands_before_a_workspace_do_no_harm(wire):
    await wire.begin(options={"enable": False})
    for name in ("reindex", "pauseIndexing", "resumeIndexing", "clearMemory", "restart"):
        await wire.command(f"longllama.{name}")
    assert (await wire.ask("longllama/status"))["phase"] == "off"


async def test_diagnosis(wire, root, monkeypatch):
    probed = {
        "torch": {"version": "2.13", "device": "cpu", "threads": 2},
        "model": {"name": "mini", "error": "run `longllama pull mini`"},
    }
    monkeypatch.setattr("lsp_server.status.diagnosis._probe", lambda _: probed)
    await wire.begin(root, can={"textDocument": {}})
    status = replace(await wire.engine.status(), prompt_threads=4, decoding_threads=2)
    monkeypatch.setattr(wire.engine, "status", AsyncMock(return_value=status))
    found = await wire.ask("longllama/diagnose")
    checks = {check["name"]: check for check in found["checks"]}
    assert {"python", "torch", "model", "cache", "file watches", "port", "folder", "engine"} < set(
        checks
    )
    assert not found["ok"]
    assert checks["model"]["state"] == "error"
    assert "longllama pull mini" in checks["model"]["found"]
    assert checks["client"]["state"] == "warning"
    assert "no inline completion" in found["text"]
    assert "threads: 4 for prompts, 2 for a token" in checks["engine"]["found"]
    by_command = await wire.command("longllama.diagnose")
    assert [check["name"] for check in by_command["checks"]] == [
        check["name"] for check in found["checks"]
    ]
    assert wire.messages[-1].startswith("ok      python")


async def test_on_battery_the_status_says_why_files_wait(monkeypatch, wire, root):
    power = iter([True, False])
    monkeypatch.setattr(power_module, "on_battery", lambda: next(power, False))
    monkeypatch.setattr(power_module, "CHECK_EVERY_S", 0.2)
    await wire.begin(root)
    await wire.until(lambda: any(status["phase"] == "paused" for status in wire.statuses))
    paused = next(status for status in wire.statuses if status["phase"] == "paused")
    assert (paused["kind"], paused["files"]["waiting"]) == ("Inactive", 1)
    assert paused["message"] == "on battery: only open and changed files are taken in"
    await wire.until(lambda: wire.statuses[-1]["phase"] == "ready")
    assert wire.statuses[-1]["files"]["in_memory"] == 1


async def test_a_battery_does_not_matter_where_it_shall_not(monkeypatch, wire, root):
    monkeypatch.setattr(power_module, "on_battery", lambda: True)
    await wire.begin(root, options={"indexing": {"pauseOnBattery": False}})
    assert (await wire.indexed())["phase"] == "ready"
