"""Ctrl-C ends every process at once, although the other side keeps the pipe open."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lsp_server.clients.recording import framed, frames
from tests.deadline import DEADLINE_S

Json = dict[str, Any]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals of one process")


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes of a test, which must have ended by themselves."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(processes: list["subprocess.Popen[bytes]"], *arguments: str) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "lsp_server", *arguments]
    processes.append(
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    )
    return processes[-1]


def send(process: "subprocess.Popen[bytes]", message: Json) -> None:
    assert process.stdin is not None
    process.stdin.write(framed(json.dumps({"jsonrpc": "2.0", **message}).encode()))
    process.stdin.flush()


def shake_hands(process: "subprocess.Popen[bytes]", root: Path, settings: Json) -> None:
    """Begin a session, and wait until the folder is in memory."""
    folders = [{"uri": root.as_uri(), "name": "ws"}]
    params = {"processId": None, "capabilities": {}, "workspaceFolders": folders}
    params["initializationOptions"] = {**settings, "engine": {"shared": False}}
    send(process, {"id": 1, "method": "initialize", "params": params})
    send(process, {"method": "initialized", "params": {}})
    send(process, {"id": 2, "method": "longllama/waitUntilIndexed", "params": {}})
    assert process.stdout is not None
    for body in frames(process.stdout):
        message = json.loads(body)
        if message.get("id") == 2 and "method" not in message:
            return
    pytest.fail("the server has ended")


def interrupt(process: "subprocess.Popen[bytes]") -> bytes:
    """Press Ctrl-C, which reaches all processes of the terminal; return what stderr had."""
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130
    _, alive = psutil.wait_procs(children, DEADLINE_S)
    assert not alive
    assert process.stderr is not None
    return process.stderr.read()


@pytest.mark.parametrize("arguments", [(), ("serve",), ("--tcp", "0")])
def test_a_server_without_a_client(started: list[Any], arguments: tuple[str, ...]) -> None:
    server = start(started, *arguments)
    if arguments == ("--tcp", "0"):
        assert b"listening" in server.stderr.readline()
    else:
        send(server, {"id": 1, "method": "longllama/status"})  # refused, and answered
        next(frames(server.stdout))
    assert interrupt(server) == b""


def test_a_server_with_a_client(started: list[Any], root: Path, settings: Json) -> None:
    (root / "lib.py").write_text("x = 1\n")
    server = start(started, "serve")
    shake_hands(server, root, settings)
    assert psutil.Process(server.pid).children()
    assert interrupt(server) == b""


def test_a_recording(started: list[Any], root: Path, settings: Json, tmp_path: Path) -> None:
    (root / "lib.py").write_text("x = 1\n")
    recorder = start(started, "record", str(tmp_path / "session.jsonl"))
    shake_hands(recorder, root, settings)
    assert interrupt(recorder) == b""


def test_a_command(started: list[Any], root: Path, tmp_path: Path) -> None:
    for number in range(50):
        (root / f"{number}.py").write_text(f"x = {number}\n")
    script = tmp_path / "slow.json"
    script.write_text('{"remember_ms": 500}')
    model, cache = f"script:{script}", str(tmp_path / "cache")
    command = start(started, "status", "--root", str(root), "--model", model, "--cache-dir", cache)
    assert b" files" in command.stderr.readline()
    began = time.monotonic()
    assert b"Traceback" not in interrupt(command)
    assert time.monotonic() - began < DEADLINE_S


def test_the_demo(started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves nothing behind, in the middle of a suggestion."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    script = tmp_path / "slow.json"
    script.write_text('{"answers": [{"text": "late", "delay_ms": 60000}]}')
    model, cache = f"script:{script}", str(tmp_path / "cache")
    demo = start(started, "demo", "--model", model, "--cache-dir", cache)
    assert any(line.startswith(b"1/5") for line in demo.stdout)
    assert [*temporary.glob("longllama-demo-*")]
    assert b"Traceback" not in interrupt(demo)
    assert not [*temporary.glob("longllama-demo-*")]
